#include "attention_blocks.h"

// Queries or gradients of outputs of one block and head: transposed [size, BLOCK] and multiplied by a factor, and as rows.
struct side {
    float *transposed, *rows;
};

// Scratch of a block and head, and what the block needs of it.
struct pass {
    float *scores, *slopes, *d_query;
    struct side query, d_output;
    struct visibility seen;
    lanes lse[VECTORS], delta[VECTORS];
};

int64_t martlet_attention_backward_scratch(const struct martlet_attention *a) {
    return (2 * BLOCK + 2 * a->head_size + a->value_size + spread(a->head_size) + spread(a->value_size)) * BLOCK;
}

// Returns the scratch behind what it has used.
MARTLET_INLINE float *prepare_side(const float *from, int64_t stride, int64_t queries, int64_t size, float factor,
                                   float *scratch, struct side *side) {
    *side = (struct side){.transposed = scratch, .rows = scratch + size * BLOCK};
    transpose(from, stride, queries, size, factor, side->transposed, BLOCK);
    copy_rows(from, stride, queries, size, side->rows);
    return side->rows + spread(size) * BLOCK;
}

MARTLET_INLINE void prepare(const struct martlet_attention *a, const struct martlet_attention_block *block,
                            const float *q, const float *d_output, const float *lse, const float *delta,
                            float *scratch, struct pass *pass) {
    float padded_lse[BLOCK] = {0}, padded_delta[BLOCK] = {0};
    pass->scores = scratch;
    pass->slopes = pass->scores + BLOCK * BLOCK;
    pass->d_query = pass->slopes + BLOCK * BLOCK;
    scratch = pass->d_query + a->head_size * BLOCK;
    scratch = prepare_side(q, a->query_stride, block->queries, a->head_size, a->scale, scratch, &pass->query);
    prepare_side(d_output, a->output_stride, block->queries, a->value_size, 1, scratch, &pass->d_output);
    memset(pass->d_query, 0, (size_t)(a->head_size * BLOCK) * sizeof(float));
    memcpy(padded_lse, lse, (size_t)block->queries * sizeof *lse);
    memcpy(padded_delta, delta, (size_t)block->queries * sizeof *delta);
    memcpy(pass->lse, padded_lse, sizeof padded_lse);
    memcpy(pass->delta, padded_delta, sizeof padded_delta);
    find_visibility(block, &pass->seen);
}

// Scores become weights, gradients of weights become those of the products of queries and keys.
MARTLET_INLINE void differentiate(const struct martlet_attention *a, int64_t from, const struct strip *strip,
                                  struct pass *pass) {
    for (int64_t j = strip->vector; j < strip->vector + strip->vectors; j++) {
        lanes lse = pass->lse[j], delta = pass->delta[j];
        for (int64_t k = strip->key; k < strip->key + strip->keys; k++) {
            float *score = pass->scores + k * BLOCK + j * LANES, *slope = pass->slopes + k * BLOCK + j * LANES;
            lanes s, weight, d, factor = (lanes)a->scale;
            load_lanes(score, &s);
            load_lanes(slope, &d);
            weight = s - lse;
            exponentials_of_lanes(&weight);
            if (strip->masked) {
                lane_integers mask;
                see(&pass->seen, j, from + k, &mask);
                weight = mask ? weight : (lanes)0.0f;
            }
            if (a->cap != 0) factor *= 1.0f - s * s / (lanes)(a->cap * a->cap);
            d = weight * (d - delta) * factor;
            store_lanes(&weight, score);
            store_lanes(&d, slope);
        }
    }
}

// result[keys, queries] = left[keys, size] · side.
MARTLET_INLINE void product_with_side(int level, const struct strip *strip, int64_t size, const float *left,
                                      int64_t left_stride, const struct side *side, float *result) {
    struct martlet_attention_product product = {
        .rows = strip->keys, .vectors = strip->vectors, .depth = size, .left = left, .left_stride = left_stride,
        .right = side->transposed + strip->vector * LANES, .right_stride = BLOCK,
        .result = result + strip->key * BLOCK + strip->vector * LANES, .result_stride = BLOCK,
    };
    CALL_AT_LEVEL(attention_product, &product);
}

// result[keys, size] += scores[keys, queries] · side, over the queries of a strip.
MARTLET_INLINE void sum_over_queries(int level, const struct strip *strip, int64_t queries, int64_t size,
                                     const float *scores, const struct side *side, float *result) {
    int64_t query = strip->vector * LANES, end = query + strip->vectors * LANES;
    struct martlet_attention_product product = {
        .rows = strip->keys, .vectors = padded(size) / LANES, .depth = (end < queries ? end : queries) - query,
        .left = scores + strip->key * BLOCK + query, .left_stride = BLOCK,
        .right = side->rows + query * spread(size), .right_stride = spread(size),
        .result = result + strip->key * padded(size), .result_stride = padded(size), .accumulate = 1,
    };
    CALL_AT_LEVEL(attention_product, &product);
}

// One strip of a block of keys; d_key and d_value begin at the block.
MARTLET_INLINE void differentiate_strip(int level, const struct martlet_attention *a, int64_t queries, int64_t from,
                                        const struct strip *strip, const float *k, const float *v, struct pass *pass,
                                        float *d_key, float *d_value) {
    k += (from + strip->key) * a->key_stride;
    v += (from + strip->key) * a->value_stride;
    product_with_side(level, strip, a->head_size, k, a->key_stride, &pass->query, pass->scores);
    cap_strip(a, strip, pass->scores);
    product_with_side(level, strip, a->value_size, v, a->value_stride, &pass->d_output, pass->slopes);
    differentiate(a, from, strip, pass);
    sum_over_queries(level, strip, queries, a->value_size, pass->scores, &pass->d_output, d_value);
    sum_over_queries(level, strip, queries, a->head_size, pass->slopes, &pass->query, d_key);
    struct martlet_attention_product product = {
        .rows = a->head_size, .vectors = strip->vectors, .depth = strip->keys, .left = k, .left_stride = a->key_stride,
        .left_is_transposed = 1, .right = pass->slopes + strip->key * BLOCK + strip->vector * LANES,
        .right_stride = BLOCK, .result = pass->d_query + strip->vector * LANES, .result_stride = BLOCK,
        .accumulate = 1,
    };
    CALL_AT_LEVEL(attention_product, &product);
}

KERNEL_BY_LEVEL(attention_backward,
                (const struct martlet_attention *a, const struct martlet_attention_block *block, const float *q,
                 const float *k, const float *v, const float *d_output, const float *lse, const float *delta,
                 float *scratch, float *d_query, int accumulate, float *d_key, float *d_value),
                (a, block, q, k, v, d_output, lse, delta, scratch, d_query, accumulate, d_key, d_value)) {
    struct pass pass;
    struct strip strips[STRIPS];
    prepare(a, block, q, d_output, lse, delta, scratch, &pass);
    for (int64_t from = block->first_key; from < block->last_key; from += BLOCK) {
        int64_t to = from + BLOCK < block->last_key ? from + BLOCK : block->last_key, row = from - block->first_key;
        int count = find_strips(&pass.seen, from, to, strips);
        for (int n = 0; n < count; n++)
            differentiate_strip(level, a, block->queries, from, &strips[n], k, v, &pass,
                                d_key + row * padded(a->head_size), d_value + row * padded(a->value_size));
    }
    transpose_back(pass.d_query, BLOCK, block->queries, a->head_size, accumulate, d_query, a->query_stride);
}
