#include "attention_blocks.h"

#include <math.h>

// What a block of queries knows of one head so far.
struct head {
    // Queries [head_size, BLOCK] or as tiles, outputs without their normaliser [value_size, BLOCK].
    float *query, *output;
    // Of each query the largest score, and the sum of exp(score - largest).
    lanes *largest, *sum;
};

static int64_t head_floats(const struct martlet_attention *a) {
    return prepared_floats(a, a->head_size, MARTLET_ATTENTION_PARTS) + (a->value_size + 2) * BLOCK;
}

int64_t martlet_attention_forward_scratch(const struct martlet_attention *a, int64_t heads) {
    return heads * head_floats(a) + 2 * BLOCK * BLOCK;
}

MARTLET_INLINE void find_head(const struct martlet_attention *a, int64_t number, float *scratch, struct head *head) {
    scratch += 2 * BLOCK * BLOCK + number * head_floats(a);
    head->query = scratch;
    head->output = scratch + prepared_floats(a, a->head_size, MARTLET_ATTENTION_PARTS);
    head->largest = (lanes *)(head->output + a->value_size * BLOCK);
    head->sum = head->largest + VECTORS;
}

MARTLET_INLINE void begin_head(int level, const struct martlet_attention *a,
                               const struct martlet_attention_block *block, const float *q,
                               const struct martlet_attention_operand *k, const float *sink, const struct head *head) {
    prepare_query_side(level, a, k, q, a->query_stride, block->queries, a->head_size, head->query);
    memset(head->output, 0, (size_t)(a->value_size * BLOCK) * sizeof(float));
    for (int j = 0; j < VECTORS; j++) {
        head->largest[j] = (lanes)(sink ? *sink : LOWEST);
        head->sum[j] = (lanes)(sink ? 1.0f : 0.0f);
    }
}

MARTLET_INLINE void scale_lanes(const lanes *factors, float *place) {
    lanes values;
    load_lanes(place, &values);
    values *= *factors;
    store_lanes(&values, place);
}

// Raises `largest` to the largest scores of a strip.
MARTLET_INLINE void find_largest(int level, const struct martlet_attention *a, const struct visibility *seen,
                                 int64_t from, const struct strip *strip, const float *scores, float *largest) {
    if (has_whole_rows(level, strip)) {
        four_lanes most;
        load_four(largest, &most);
        for (int64_t k = strip->key; k < strip->key + strip->keys; k++) {
            four_lanes s;
            load_four(scores + k * BLOCK, &s);
            s *= (four_lanes)factor_of_scores(a);
            most = s > most ? s : most;
        }
        return store_four(&most, largest);
    }
    for (int64_t j = strip->vector; j < strip->vector + strip->vectors; j++) {
        lanes most;
        load_lanes(largest + j * LANES, &most);
        for (int64_t k = strip->key; k < strip->key + strip->keys; k++) {
            lanes s;
            load_lanes(scores + k * BLOCK + j * LANES, &s);
            s *= (lanes)factor_of_scores(a);
            if (strip->masked) {
                lane_integers mask;
                see(seen, j, from + k, &mask);
                s = mask ? s : (lanes)LOWEST;
            }
            most = s > most ? s : most;
        }
        store_lanes(&most, largest + j * LANES);
    }
}

// Raises the largest scores of a head and brings what was summed before to their measure.
MARTLET_INLINE void raise_largest(int level, const struct martlet_attention *a, const struct visibility *seen,
                                  int64_t from, const struct strip *strips, int count, const float *scores,
                                  const struct head *head) {
    lanes found[VECTORS];
    memcpy(found, head->largest, sizeof found);
    for (int n = 0; n < count; n++) find_largest(level, a, seen, from, &strips[n], scores, (float *)found);
    for (int64_t j = 0; j < seen->vectors; j++) {
        lanes largest = found[j], change = head->largest[j] - largest;
        lane_integers raised = largest > head->largest[j];
        if (__builtin_reduce_or(raised) == 0) continue;
        exponentials_of_lanes(&change);
        head->largest[j] = largest;
        head->sum[j] *= change;
        for (int64_t d = 0; d < a->value_size; d++) scale_lanes(&change, head->output + d * BLOCK + j * LANES);
    }
}

// weigh() of keys that all queries see, a row of scores at a time.
MARTLET_INLINE void weigh_rows(const struct martlet_attention *a, const struct strip *strip, float *scores,
                               const struct head *head) {
    four_lanes largest, sum;
    load_four((const float *)head->largest, &largest);
    load_four((const float *)head->sum, &sum);
    for (int64_t k = strip->key; k < strip->key + strip->keys; k++) {
        four_lanes s;
        load_four(scores + k * BLOCK, &s);
        s = s * (four_lanes)factor_of_scores(a) - largest;
        exponentials_of_four(&s);
        sum += s;
        store_four(&s, scores + k * BLOCK);
    }
    store_four(&sum, (float *)head->sum);
}

// Scores become weights without their normaliser.
MARTLET_INLINE void weigh(int level, const struct martlet_attention *a, const struct visibility *seen, int64_t from,
                          const struct strip *strip, float *scores, const struct head *head) {
    if (has_whole_rows(level, strip)) return weigh_rows(a, strip, scores, head);
    for (int64_t j = strip->vector; j < strip->vector + strip->vectors; j++) {
        lanes largest = head->largest[j], sum = head->sum[j];
        for (int64_t k = strip->key; k < strip->key + strip->keys; k++) {
            lanes s;
            load_lanes(scores + k * BLOCK + j * LANES, &s);
            s = s * (lanes)factor_of_scores(a) - largest;
            exponentials_of_lanes(&s);
            if (strip->masked) {
                lane_integers mask;
                see(seen, j, from + k, &mask);
                s = mask ? s : (lanes)0.0f;
            }
            sum += s;
            store_lanes(&s, scores + k * BLOCK + j * LANES);
        }
        head->sum[j] = sum;
    }
}

// weigh() of two keys, the first of them even, and one vector of queries; the weights become tiles, and what rounding
// takes from them tiles in `low`.
MARTLET_INLINE void weigh_key_pair(int level, const struct martlet_attention *a, const struct visibility *seen, int64_t from,
                                   const struct strip *strip, int64_t key, int64_t vector, const float *scores,
                                   const lanes *largest, lanes *sum, uint16_t *tiles, uint16_t *low) {
    lanes s[2] = {(lanes)0.0f, (lanes)0.0f};
    for (int i = 0; i < 2; i++) {
        int64_t k = strip->key + key + i, j = strip->vector + vector;
        if (i == 1 && key + 1 == strip->keys) break;
        load_lanes(scores + k * BLOCK + j * LANES, &s[i]);
        s[i] = s[i] * (lanes)factor_of_scores(a) - *largest;
        exponentials_of_lanes(&s[i]);
        if (strip->masked) {
            lane_integers mask;
            see(seen, j, from + k, &mask);
            s[i] = mask ? s[i] : (lanes)0.0f;
        }
        *sum += s[i];
    }
    store_key_pairs(level, &s[0], &s[1], key_pair(strip, key, vector), tiles, low);
}

// Weights of one key that all queries see.
MARTLET_INLINE void weigh_whole_row(const struct martlet_attention *a, const float *scores, const four_lanes *largest,
                                    four_lanes *sum, lanes *weights) {
    four_lanes s;
    load_four(scores, &s);
    s = s * (four_lanes)factor_of_scores(a) - *largest;
    exponentials_of_four(&s);
    *sum += s;
    memcpy(weights, &s, sizeof s);
}

MARTLET_INLINE void weigh_whole_tiles(int level, const struct martlet_attention *a, const struct strip *strip,
                                      const float *scores, const struct head *head, uint16_t *tiles, uint16_t *low) {
    four_lanes largest, sum;
    load_four((const float *)head->largest, &largest);
    load_four((const float *)head->sum, &sum);
    for (int64_t key = 0; key < strip->keys; key += 2) {
        const float *row = scores + (strip->key + key) * BLOCK;
        lanes weights[2][VECTORS];
        weigh_whole_row(a, row, &largest, &sum, weights[0]);
        weigh_whole_row(a, row + BLOCK, &largest, &sum, weights[1]);
        UNROLLED for (int j = 0; j < VECTORS; j++)
            store_key_pairs(level, &weights[0][j], &weights[1][j], key_pair(strip, key, j), tiles, low);
    }
    store_four(&sum, (float *)head->sum);
}

// weigh() whose results become tiles.
MARTLET_INLINE void weigh_tiles(int level, const struct martlet_attention *a, const struct visibility *seen,
                                int64_t from, const struct strip *strip, const float *scores, const struct head *head,
                                uint16_t *tiles, uint16_t *low) {
    if (has_whole_rows(level, strip) && strip->keys % 2 == 0) {
        weigh_whole_tiles(level, a, strip, scores, head, tiles, low);
    } else {
        for (int64_t j = 0; j < strip->vectors; j++) {
            lanes largest = head->largest[strip->vector + j], sum = head->sum[strip->vector + j];
            for (int64_t key = 0; key < strip->keys; key += 2)
                weigh_key_pair(level, a, seen, from, strip, key, j, scores, &largest, &sum, tiles, low);
            head->sum[strip->vector + j] = sum;
        }
    }
    end_key_pairs(strip, tiles);
    end_key_pairs(strip, low);
}

// Adds a block of keys, which falls into `count` strips, to what a head has summed. scores: 2 * BLOCK * BLOCK floats.
MARTLET_INLINE void attend(int level, const struct martlet_attention *a, const struct visibility *seen, int64_t from,
                           const struct strip *strips, int count, const struct martlet_attention_operand *k,
                           const struct martlet_attention_operand *v, float *scores, const struct head *head) {
    uint16_t *tiles = (uint16_t *)(scores + BLOCK * BLOCK), *low = tiles + BLOCK * BLOCK;
    for (int n = 0; n < count; n++) {
        multiply_by_query_side(level, a, from, &strips[n], a->head_size, k, head->query, scores);
        cap_strip(a, &strips[n], scores);
    }
    raise_largest(level, a, seen, from, strips, count, scores, head);
    for (int n = 0; n < count; n++) {
        if (a->tiles) {
            weigh_tiles(level, a, seen, from, &strips[n], scores, head, tiles, low);
            sum_tiles_over_keys(a, from, &strips[n], a->value_size, v, tiles, low, head->output);
            continue;
        }
        weigh(level, a, seen, from, &strips[n], scores, head);
        if (a->halves) {
            halve_strip(&strips[n], WEIGHT_SCALE, scores, tiles);
            sum_halves_over_keys(a, from, &strips[n], a->value_size, v, tiles, 1 / WEIGHT_SCALE, head->output);
        } else {
            sum_over_keys(level, from, &strips[n], a->value_size, v, scores, head->output);
        }
    }
}

MARTLET_INLINE void end_head(const struct martlet_attention *a, const struct martlet_attention_block *block,
                             const struct head *head, float *output, float *lse) {
    float largest[BLOCK], sum[BLOCK];
    memcpy(largest, head->largest, sizeof largest);
    memcpy(sum, head->sum, sizeof sum);
    for (int64_t i = 0; i < block->queries; i++) lse[i] = largest[i] + logf(sum[i]);
    for (int64_t j = 0; j * LANES < block->queries; j++) {
        lanes normaliser = 1.0f / head->sum[j];
        for (int64_t d = 0; d < a->value_size; d++) scale_lanes(&normaliser, head->output + d * BLOCK + j * LANES);
    }
    transpose_back(head->output, BLOCK, block->queries, a->value_size, 0, output, a->output_stride);
}

ROUNDING_KERNEL(attention_pack_keys,
                (int64_t rows, int64_t size, const float *keys, int64_t stride, float *scratch, uint16_t *tiles),
                (rows, size, keys, stride, scratch, tiles)) {
    int64_t part = tile_step(size), step = MARTLET_ATTENTION_PARTS * part;
    take_low_parts(level, keys, stride, rows, size, scratch);
    CALL_ROUNDING_AT_LEVEL(pack_rows_f32, rows, size, keys, stride, 0, tiles, step);
    copy_part(tiles, tiles + part, rows, part, step);
    CALL_ROUNDING_AT_LEVEL(pack_rows_f32, rows, size, scratch, size, 0, tiles + 2 * part, step);
}

ROUNDING_KERNEL(attention_forward,
                (const struct martlet_attention *a, const struct martlet_attention_block *block, int64_t heads,
                 const float *q, const struct martlet_attention_operand *k, const struct martlet_attention_operand *v,
                 const float *sinks, float *scratch, float *output, float *lse, int64_t lse_stride),
                (a, block, heads, q, k, v, sinks, scratch, output, lse, lse_stride)) {
    struct visibility seen;
    struct strip strips[STRIPS];
    struct head head;
    find_visibility(a, block, &seen);
    for (int64_t h = 0; h < heads; h++) {
        find_head(a, h, scratch, &head);
        fetch_rows(output + h * a->value_size, a->output_stride, block->queries, a->value_size, 1);
        begin_head(level, a, block, q + h * a->head_size, k, sinks ? sinks + h : NULL, &head);
    }
    for (int64_t from = block->first_key; from < block->last_key; from += BLOCK) {
        int64_t to = from + BLOCK < block->last_key ? from + BLOCK : block->last_key;
        int count = find_strips(a, &seen, from, to, strips);
        for (int64_t h = 0; h < heads; h++) {
            find_head(a, h, scratch, &head);
            attend(level, a, &seen, from, strips, count, k, v, scratch, &head);
        }
    }
    for (int64_t h = 0; h < heads; h++) {
        find_head(a, h, scratch, &head);
        end_head(a, block, &head, output + h * a->value_size, lse + h * lse_stride);
    }
}

int64_t martlet_attention_spread(int64_t size) { return spread(size); }
