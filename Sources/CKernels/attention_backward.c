#include "attention_blocks.h"

// Queries or gradients of outputs of one block and head: as prepare_query_side leaves them; and as rows, or as the
// right operand of tiles that has the queries along its depth. In float16 rows, and columns of gradients, under a scale
// each, that of columns as large as sums of products with up to 2 have room for.
struct query_side {
    float *columns, *rows;
    struct scale row_scale, column_scale;
};

enum { LARGE_EXPONENT = 7 };

// Scratch of a block and head, and what the block needs of it.
struct pass {
    float *scores, *slopes, *d_query;
    uint16_t *tiles;
    struct query_side query, d_output;
    struct visibility seen;
    lanes lse[VECTORS], delta[VECTORS];
};

int64_t martlet_attention_backward_scratch(const struct martlet_attention *a) {
    int64_t rows = spread(a->head_size) + spread(a->value_size);
    return prepared_floats(a, a->head_size, MARTLET_ATTENTION_PARTS) + prepared_floats(a, a->value_size, 1) +
           (3 * BLOCK + a->head_size + rows) * BLOCK;
}

// Tiles of a block's queries along the depth.
enum { QUERY_TILES = BLOCK / MARTLET_TILE_DEPTH, QUERY_STEP = QUERY_TILES * MARTLET_TILE_ELEMENTS };

// What meets the operand. Returns the scratch behind what it has used.
MARTLET_INLINE float *prepare_query_sides(int level, const struct martlet_attention *a,
                                          const struct martlet_attention_operand *operand, const float *from,
                                          int64_t stride, int64_t queries, int64_t size, float *scratch,
                                          struct query_side *side) {
    *side = (struct query_side){.columns = scratch, .rows = scratch + prepared_floats(a, size, operand->parts)};
    prepare_query_side(level, a, operand, from, stride, queries, size, side->columns);
    if (a->tiles) {
        CALL_ROUNDING_AT_LEVEL(pack_columns_f32, size, queries, from, stride, 0, (uint16_t *)side->rows, QUERY_STEP);
    } else if (a->halves) {
        float largest = largest_of_rows(queries, size, from, stride);
        side->row_scale = scale_to(0, largest);
        side->column_scale = scale_to(LARGE_EXPONENT, largest);
        write_rows_of_halves(queries, size, side->row_scale.factor, from, stride, (uint16_t *)side->rows, size);
    } else {
        copy_rows(from, stride, queries, size, side->rows, spread(size));
    }
    return side->rows + spread(size) * BLOCK;
}

MARTLET_INLINE void prepare(int level, const struct martlet_attention *a, const struct martlet_attention_block *block,
                            const float *q, const struct martlet_attention_operand *k,
                            const struct martlet_attention_operand *v, const float *d_output, const float *lse,
                            const float *delta, float *scratch, struct pass *pass) {
    float padded_lse[BLOCK] = {0}, padded_delta[BLOCK] = {0};
    pass->scores = scratch;
    pass->slopes = pass->scores + BLOCK * BLOCK;
    pass->d_query = pass->slopes + BLOCK * BLOCK;
    pass->tiles = (uint16_t *)(pass->d_query + a->head_size * BLOCK);
    scratch = pass->d_query + (a->head_size + BLOCK) * BLOCK;
    int64_t queries = block->queries;
    scratch = prepare_query_sides(level, a, k, q, a->query_stride, queries, a->head_size, scratch, &pass->query);
    prepare_query_sides(level, a, v, d_output, a->output_stride, queries, a->value_size, scratch, &pass->d_output);
    if (a->halves)
        write_rows_of_halves(a->value_size, BLOCK, pass->d_output.column_scale.factor, pass->d_output.columns, BLOCK,
                             (uint16_t *)pass->d_output.columns, BLOCK);
    memset(pass->d_query, 0, (size_t)(a->head_size * BLOCK) * sizeof(float));
    memcpy(padded_lse, lse, (size_t)queries * sizeof *lse);
    memcpy(padded_delta, delta, (size_t)queries * sizeof *delta);
    memcpy(pass->lse, padded_lse, sizeof padded_lse);
    memcpy(pass->delta, padded_delta, sizeof padded_delta);
    find_visibility(a, block, &pass->seen);
}

// differentiate() of keys that all queries see, without a cap, a row of scores at a time.
MARTLET_INLINE void differentiate_rows(const struct martlet_attention *a, const struct strip *strip,
                                       struct pass *pass) {
    four_lanes lse, delta;
    load_four((const float *)pass->lse, &lse);
    load_four((const float *)pass->delta, &delta);
    for (int64_t k = strip->key; k < strip->key + strip->keys; k++) {
        four_lanes weight, d;
        load_four(pass->scores + k * BLOCK, &weight);
        load_four(pass->slopes + k * BLOCK, &d);
        weight = weight * (four_lanes)a->scale - lse;
        exponentials_of_four(&weight);
        d = weight * (d - delta) * (four_lanes)a->scale;
        store_four(&weight, pass->scores + k * BLOCK);
        store_four(&d, pass->slopes + k * BLOCK);
    }
}

// Scores become weights, gradients of weights become those of the products of queries and keys.
MARTLET_INLINE void differentiate(int level, const struct martlet_attention *a, int64_t from, const struct strip *strip,
                                  struct pass *pass) {
    if (has_whole_rows(level, strip) && a->cap == 0) return differentiate_rows(a, strip, pass);
    for (int64_t j = strip->vector; j < strip->vector + strip->vectors; j++) {
        lanes lse = pass->lse[j], delta = pass->delta[j];
        for (int64_t k = strip->key; k < strip->key + strip->keys; k++) {
            float *score = pass->scores + k * BLOCK + j * LANES, *slope = pass->slopes + k * BLOCK + j * LANES;
            lanes s, weight, d, slope_of_score = (lanes)a->scale;
            load_lanes(score, &s);
            load_lanes(slope, &d);
            weight = s * (lanes)factor_of_scores(a) - lse;
            exponentials_of_lanes(&weight);
            if (strip->masked) {
                lane_integers mask;
                see(&pass->seen, j, from + k, &mask);
                weight = mask ? weight : (lanes)0.0f;
            }
            if (a->cap != 0) slope_of_score *= 1.0f - s * s / (lanes)(a->cap * a->cap);
            d = weight * (d - delta) * slope_of_score;
            store_lanes(&weight, score);
            store_lanes(&d, slope);
        }
    }
}

// result[keys, size] += scores[keys, queries] · side, over the queries of a strip.
MARTLET_INLINE void sum_over_queries(int level, const struct martlet_attention *a, const struct strip *strip,
                                     int64_t queries, int64_t size, const float *scores,
                                     const struct query_side *side, uint16_t *tiles, float *result) {
    int64_t query = strip->vector * LANES, end = query + strip->vectors * LANES;
    int64_t stride = spread(size);
    scores += strip->key * BLOCK + query;
    result += strip->key * padded(size);
    if (a->tiles) {
        int64_t step = tile_step(end - query);
        CALL_ROUNDING_AT_LEVEL(pack_rows_f32, strip->keys, end - query, scores, BLOCK, 0, tiles, step);
        struct martlet_tile_product product = {
            .rows = strip->keys, .columns = size, .result = result, .stride = padded(size), .accumulate = 1,
            .operands[0] = {
                .left = martlet_packed_tiles(tiles, step),
                .right = martlet_packed_tiles(
                    (const uint16_t *)side->rows + query / MARTLET_TILE_DEPTH * MARTLET_TILE_ELEMENTS, QUERY_STEP),
                .depth = tile_depth(end - query),
            },
        };
        a->tiles(&product);
        return;
    }
    struct martlet_block_product product = {
        .rows = strip->keys, .vectors = padded(size) / LANES, .depth = (end < queries ? end : queries) - query,
        .left = scores, .left_stride = BLOCK, .right = side->rows + query * stride, .right_stride = stride,
        .result = result, .result_stride = padded(size), .accumulate = 1,
    };
    CALL_AT_LEVEL(block_product, &product);
}

// result[keys, size] += inverse * scores[keys, queries] · side, over the queries of a strip, with scores as words.
MARTLET_INLINE void sum_words_over_queries(const struct martlet_attention *a, const struct strip *strip, int64_t queries,
                                           int64_t size, const float *scores, const struct query_side *side,
                                           float inverse, float *result) {
    int64_t query = strip->vector * LANES, end = query + strip->vectors * LANES;
    struct martlet_float16_block product = {
        .rows = strip->keys, .vectors = size / MARTLET_FLOAT16_COLUMNS, .depth = (end < queries ? end : queries) - query,
        .left = (const uint32_t *)scores + strip->key * BLOCK + query, .left_stride = BLOCK,
        .right = (const uint16_t *)side->rows + query * size, .right_stride = size, .factor = inverse * side->row_scale.inverse,
        .result = result + strip->key * size, .result_stride = size, .accumulate = 1,
    };
    a->halves(&product);
}

// differentiate_strip() with products in float16, but for the scores.
MARTLET_INLINE void differentiate_halves(int level, const struct martlet_attention *a, int64_t queries, int64_t from,
                                         const struct strip *strip, const struct martlet_attention_operand *k,
                                         const struct martlet_attention_operand *v, struct pass *pass, float *d_key,
                                         float *d_value) {
    const int64_t columns = strip->vectors * LANES;
    float *weights = pass->scores + strip->key * BLOCK + strip->vector * LANES;
    float *slopes = pass->slopes + strip->key * BLOCK + strip->vector * LANES;
    multiply_by_halves(a, from, strip, a->value_size, v, (const uint16_t *)pass->d_output.columns,
                       pass->d_output.column_scale.inverse, pass->slopes);
    differentiate(level, a, from, strip, pass);
    write_rows_of_words(strip->keys, columns, WEIGHT_SCALE, weights, BLOCK);
    sum_words_over_queries(a, strip, queries, a->value_size, pass->scores, &pass->d_output, 1 / WEIGHT_SCALE, d_value);
    struct scale scale = scale_to(LARGE_EXPONENT, largest_of_rows(strip->keys, columns, slopes, BLOCK));
    halve_strip(strip, scale.factor, pass->slopes, pass->tiles);
    write_rows_of_words(strip->keys, columns, scale.factor, slopes, BLOCK);
    sum_words_over_queries(a, strip, queries, a->head_size, pass->slopes, &pass->query, scale.inverse, d_key);
    sum_halves_over_keys(a, from, strip, a->head_size, k, pass->tiles, scale.inverse, pass->d_query);
}

// One strip of a block of keys; d_key and d_value begin at the block.
MARTLET_INLINE void differentiate_strip(int level, const struct martlet_attention *a, int64_t queries, int64_t from,
                                        const struct strip *strip, const struct martlet_attention_operand *k,
                                        const struct martlet_attention_operand *v, struct pass *pass, float *d_key,
                                        float *d_value) {
    multiply_by_query_side(level, a, from, strip, a->head_size, k, pass->query.columns, pass->scores);
    cap_strip(a, strip, pass->scores);
    if (a->halves) return differentiate_halves(level, a, queries, from, strip, k, v, pass, d_key, d_value);
    multiply_by_query_side(level, a, from, strip, a->value_size, v, pass->d_output.columns, pass->slopes);
    differentiate(level, a, from, strip, pass);
    sum_over_queries(level, a, strip, queries, a->value_size, pass->scores, &pass->d_output, pass->tiles, d_value);
    sum_over_queries(level, a, strip, queries, a->head_size, pass->slopes, &pass->query, pass->tiles, d_key);
    if (a->tiles) {
        CALL_ROUNDING_AT_LEVEL(pack_columns_f32, strip->vectors * LANES, strip->keys,
                               pass->slopes + strip->key * BLOCK + strip->vector * LANES, BLOCK, 0, pass->tiles,
                               tile_step(strip->keys));
        sum_tiles_over_keys(a, from, strip, a->head_size, k, pass->tiles, NULL, pass->d_query);
    } else {
        sum_over_keys(level, from, strip, a->head_size, k, pass->slopes, pass->d_query);
    }
}

ROUNDING_KERNEL(attention_backward,
                (const struct martlet_attention *a, const struct martlet_attention_block *block, const float *q,
                 const struct martlet_attention_operand *k, const struct martlet_attention_operand *v,
                 const float *d_output, const float *lse, const float *delta, float *scratch, float *d_query,
                 int accumulate, float *d_key, float *d_value),
                (a, block, q, k, v, d_output, lse, delta, scratch, d_query, accumulate, d_key, d_value)) {
    struct pass pass;
    struct strip strips[STRIPS];
    fetch_rows(d_query, a->query_stride, block->queries, a->head_size, 1);
    prepare(level, a, block, q, k, v, d_output, lse, delta, scratch, &pass);
    for (int64_t from = block->first_key; from < block->last_key; from += BLOCK) {
        int64_t to = from + BLOCK < block->last_key ? from + BLOCK : block->last_key, row = from - block->first_key;
        int count = find_strips(a, &pass.seen, from, to, strips);
        for (int n = 0; n < count; n++)
            differentiate_strip(level, a, block->queries, from, &strips[n], k, v, &pass,
                                d_key + row * padded(a->head_size), d_value + row * padded(a->value_size));
    }
    transpose_back(pass.d_query, BLOCK, block->queries, a->head_size, accumulate, d_query, a->query_stride);
}
