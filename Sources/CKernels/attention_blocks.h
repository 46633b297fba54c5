// What the blocks of attention have in common: which queries see which keys, products, and the steps of the softmax.
//
// A product has a key side, rows of keys or values packed for all queries (struct martlet_attention_operand), and a
// query side, queries or gradients of outputs of one block.
#ifndef MARTLET_ATTENTION_BLOCKS_H
#define MARTLET_ATTENTION_BLOCKS_H

#include "attention.h"
#include "copies.h"
#include "exponential.h"
#include "fetch.h"
#include "float16.h"
#include "float16_scales.h"
#include "kernels.h"
#include "pairs.h"

enum {
    BLOCK = MARTLET_ATTENTION_BLOCK,
    // Vectors of queries in a block.
    VECTORS = BLOCK / LANES,
    // Vectors of queries that are one vector of float16.
    HALF_VECTORS = MARTLET_FLOAT16_COLUMNS / LANES,
    // Most strips that a block of keys falls into.
    STRIPS = BLOCK / LANES,
};

// Below every score, but finite: differences with it are numbers.
#define LOWEST -1e30f

// --- Visibility --------------------------------------------------------------------------------------------------

// The keys that each lane of a block sees. Lanes without a query see what the last query sees: their scores are numbers
// that nobody reads.
struct visibility {
    int32_t first[BLOCK], last[BLOCK];
    int64_t vectors;
};

MARTLET_INLINE void find_visibility(const struct martlet_attention *a, const struct martlet_attention_block *block,
                                    struct visibility *seen) {
    seen->vectors = (block->queries + LANES - 1) / LANES;
    if (a->halves) seen->vectors += seen->vectors % HALF_VECTORS;
    for (int64_t i = 0; i < BLOCK; i++) {
        int64_t query = i < block->queries ? i : block->queries - 1;
        seen->first[i] = block->first[query];
        seen->last[i] = block->last[query];
    }
}

// Some keys, counted from the beginning of their block, and the vectors of queries that see any of them.
struct strip {
    int64_t key, keys, vector, vectors;
    // Whether some of these queries do not see some of these keys.
    int masked;
};

// Whether a strip can be gone through a row of scores at a time.
MARTLET_INLINE int has_whole_rows(int level, const struct strip *strip) {
    return level >= MARTLET_ISA_AVX512 && strip->vectors == VECTORS && !strip->masked;
}

// Strips of the keys [from, to), at most BLOCK; returns their number. Where not all queries see all keys, sixteen keys
// are looked at together; on tiles as many keys and queries as a tile has along the depth.
MARTLET_INLINE int find_strips(const struct martlet_attention *a, const struct visibility *seen, int64_t from,
                               int64_t to, struct strip *strips) {
    int64_t height = a->tiles ? MARTLET_TILE_DEPTH : LANES;
    int64_t end = seen->vectors * LANES - 1;
    if (seen->first[end] <= from && seen->last[0] >= to) {
        strips[0] = (struct strip){.key = 0, .keys = to - from, .vector = 0, .vectors = seen->vectors, .masked = 0};
        return 1;
    }
    int count = 0;
    for (int64_t key = from; key < to; key += height) {
        int64_t next = key + height < to ? key + height : to, low = 0, high = seen->vectors;
        while (low < high && seen->last[low * LANES + LANES - 1] <= key) low++;
        while (high > low && seen->first[(high - 1) * LANES] >= next) high--;
        if (low == high) continue;
        if (a->tiles) low -= low % (MARTLET_TILE_DEPTH / LANES);
        if (a->halves) low -= low % HALF_VECTORS, high += high % HALF_VECTORS;
        int masked = seen->first[high * LANES - 1] > key || seen->last[low * LANES] < next;
        strips[count++] = (struct strip){key - from, next - key, low, high - low, masked};
    }
    return count;
}

// All bits of the lanes that see a key.
MARTLET_INLINE void see(const struct visibility *seen, int64_t vector, int64_t key, lane_integers *mask) {
    lane_integers first, last, here = (lane_integers)(int32_t)key;
    memcpy(&first, seen->first + vector * LANES, sizeof first);
    memcpy(&last, seen->last + vector * LANES, sizeof last);
    *mask = (first <= here) & (here < last);
}

// The distance at which rows are best copied.
MARTLET_INLINE int64_t spread(int64_t size) { return padded(size) | LANES; }

// --- Products ----------------------------------------------------------------------------------------------------

// Tiles along a summed dimension.
MARTLET_INLINE int64_t tile_depth(int64_t size) { return (size + MARTLET_TILE_DEPTH - 1) / MARTLET_TILE_DEPTH; }

// Elements between blocks of tiles that follow one another.
MARTLET_INLINE int64_t tile_step(int64_t size) { return tile_depth(size) * MARTLET_TILE_ELEMENTS; }

// Whether the rows of an operand are multiplied as tiles; else, in float32, as they are.
MARTLET_INLINE int is_in_tiles(const struct martlet_attention *a, const struct martlet_attention_operand *operand) {
    return a->tiles && operand->tiles;
}

// result[keys, queries] = operand[keys, size] · side, where the keys are those of a strip. side: as prepare_query_side leaves it.
MARTLET_INLINE void multiply_by_query_side(int level, const struct martlet_attention *a, int64_t from,
                                           const struct strip *strip, int64_t size,
                                           const struct martlet_attention_operand *operand, const float *side,
                                           float *result) {
    result += strip->key * BLOCK + strip->vector * LANES;
    if (is_in_tiles(a, operand)) {
        int64_t step = operand->parts * tile_step(size);
        struct martlet_tile_product product = {
            .rows = strip->keys, .columns = strip->vectors * LANES, .result = result, .stride = BLOCK,
            .operands[0] = {
                .left = martlet_packed_tiles(
                    operand->tiles + (from + strip->key) / MARTLET_TILE_SIDE * operand->step, operand->step),
                .right = martlet_packed_tiles((const uint16_t *)side + strip->vector * step, step),
                .depth = operand->parts * tile_depth(size),
            },
        };
        a->tiles(&product);
        return;
    }
    struct martlet_block_product product = {
        .rows = strip->keys, .vectors = strip->vectors, .depth = size,
        .left = operand->rows + (from + strip->key) * operand->stride, .left_stride = operand->stride,
        .right = side + strip->vector * LANES, .right_stride = BLOCK, .result = result, .result_stride = BLOCK,
    };
    CALL_AT_LEVEL(block_product, &product);
}

// result[size, queries] += operandᵀ · scores[keys, queries], over the keys of a strip.
MARTLET_INLINE void sum_over_keys(int level, int64_t from, const struct strip *strip, int64_t size,
                                  const struct martlet_attention_operand *operand, const float *scores, float *result) {
    struct martlet_block_product product = {
        .rows = size, .vectors = strip->vectors, .depth = strip->keys,
        .left = operand->rows + (from + strip->key) * operand->stride, .left_stride = operand->stride,
        .left_is_transposed = 1, .right = scores + strip->key * BLOCK + strip->vector * LANES, .right_stride = BLOCK,
        .result = result + strip->vector * LANES, .result_stride = BLOCK, .accumulate = 1,
    };
    CALL_AT_LEVEL(block_product, &product);
}

// The same of scores as tiles: pairs of keys, see key_pair. low: what rounding took from them, or null.
MARTLET_INLINE void sum_tiles_over_keys(const struct martlet_attention *a, int64_t from, const struct strip *strip,
                                        int64_t size, const struct martlet_attention_operand *operand,
                                        const uint16_t *scores, const uint16_t *low, float *result) {
    int64_t step = tile_step(strip->keys);
    struct martlet_tile_product product = {
        .rows = size, .columns = strip->vectors * LANES, .result = result + strip->vector * LANES, .stride = BLOCK,
        .accumulate = 1,
        .operands[0] = {
            .left = martlet_packed_tiles(
                operand->transposed + (from + strip->key) / MARTLET_TILE_DEPTH * MARTLET_TILE_ELEMENTS,
                operand->transposed_step),
            .right = martlet_packed_tiles(scores, step), .depth = tile_depth(strip->keys),
        },
    };
    if (low) {
        product.operands[1] = product.operands[0];
        product.operands[1].right.tiles = low;
    }
    a->tiles(&product);
}

// --- Products in float16 -----------------------------------------------------------------------------------------

// Weights are at most 1: so that small ones keep their bits.
#define WEIGHT_SCALE 256.0f

// result[keys, queries] = operand[keys, size] · side, where the keys are those of a strip. side: [size, BLOCK]; inverse undoes
// its scale.
MARTLET_INLINE void multiply_by_halves(const struct martlet_attention *a, int64_t from, const struct strip *strip,
                                       int64_t size, const struct martlet_attention_operand *operand,
                                       const uint16_t *side, float inverse, float *result) {
    struct martlet_float16_block product = {
        .rows = strip->keys, .vectors = strip->vectors / HALF_VECTORS, .depth = size,
        .left = operand->words + (from + strip->key) * operand->stride, .left_stride = operand->stride,
        .right = side + strip->vector * LANES, .right_stride = BLOCK, .factor = inverse * operand->inverses[from / BLOCK],
        .result = result + strip->key * BLOCK + strip->vector * LANES, .result_stride = BLOCK,
    };
    a->halves(&product);
}

// result[size, queries] += operandᵀ · scores[keys, queries], over the keys of a strip.
MARTLET_INLINE void sum_halves_over_keys(const struct martlet_attention *a, int64_t from, const struct strip *strip,
                                         int64_t size, const struct martlet_attention_operand *operand,
                                         const uint16_t *scores, float inverse, float *result) {
    struct martlet_float16_block product = {
        .rows = size, .vectors = strip->vectors / HALF_VECTORS, .depth = strip->keys,
        .left = operand->words + (from + strip->key) * operand->stride, .left_stride = operand->stride,
        .left_is_transposed = 1, .right = scores + strip->key * BLOCK + strip->vector * LANES, .right_stride = BLOCK,
        .factor = inverse * operand->inverses[from / BLOCK], .result = result + strip->vector * LANES,
        .result_stride = BLOCK, .accumulate = 1,
    };
    a->halves(&product);
}

// The scores of a strip in float16, at the same places.
MARTLET_INLINE void halve_strip(const struct strip *strip, float factor, const float *scores, uint16_t *halves) {
    int64_t at = strip->key * BLOCK + strip->vector * LANES;
    write_rows_of_halves(strip->keys, strip->vectors * LANES, factor, scores + at, BLOCK, halves + at, BLOCK);
}

// --- Scores as tiles ---------------------------------------------------------------------------------------------

// Leaves in both what rounding to `pairs` took from them.
MARTLET_INLINE void take_pair(const lane_bits *pairs, lanes *first, lanes *second) {
    lane_bits low = *pairs << 16, high = *pairs & 0xFFFF0000u;
    lanes values;
    memcpy(&values, &low, sizeof values);
    *first -= values;
    memcpy(&values, &high, sizeof values);
    *second -= values;
}

// Where the scores of two keys that follow one another, the first of them even, belong in the right operand of a sum over
// the keys of a strip: `key` and `vector` are counted from its beginning.
MARTLET_INLINE int64_t key_pair(const struct strip *strip, int64_t key, int64_t vector) {
    return vector * tile_step(strip->keys) + key / MARTLET_TILE_DEPTH * MARTLET_TILE_ELEMENTS +
           key % MARTLET_TILE_DEPTH * LANES;
}

// Sixteen queries of two keys to their place, rounded, and what rounding took from them to the same place in `low`.
MARTLET_INLINE void store_key_pairs(int level, const lanes *first, const lanes *second, int64_t place, uint16_t *scores,
                                    uint16_t *low) {
    lane_bits pairs;
    ROUND_PAIR(level)((const float *)first, (const float *)second, &pairs);
    memcpy(scores + place, &pairs, sizeof pairs);
    lanes taken[2] = {*first, *second};
    take_pair(&pairs, &taken[0], &taken[1]);
    ROUND_PAIR(level)((const float *)&taken[0], (const float *)&taken[1], &pairs);
    memcpy(low + place, &pairs, sizeof pairs);
}

// Zeros behind the last keys of a strip, up to a whole tile.
MARTLET_INLINE void end_key_pairs(const struct strip *strip, uint16_t *scores) {
    for (int64_t key = (strip->keys + 1) / 2 * 2; key % MARTLET_TILE_DEPTH != 0; key += 2)
        for (int64_t j = 0; j < strip->vectors; j++)
            memset(scores + key_pair(strip, key, j), 0, 2 * LANES * sizeof *scores);
}

// Floats of the right operand of multiply_by_query_side in one part.
MARTLET_INLINE int64_t side_floats(int64_t size) { return tile_depth(size) * MARTLET_TILE_DEPTH * BLOCK; }

// What rounding to bfloat16 takes from rows, one after another.
MARTLET_INLINE void take_low_parts(int level, const float *from, int64_t stride, int64_t rows, int64_t size,
                                   float *low) {
    for (int64_t r = 0; r < rows; r++) CALL_AT_LEVEL(low_part, size, from + r * stride, low + r * size);
}

// Floats that prepare_query_side takes: three parts in bfloat16 have the room of one and a half, and what rounding takes
// lies behind two.
MARTLET_INLINE int64_t prepared_floats(const struct martlet_attention *a, int64_t size, int64_t parts) {
    return (a->tiles && parts > 1 ? 3 : 1) * side_floats(size);
}

// Copies one part of packed rows to the place of another.
MARTLET_INLINE void copy_part(const uint16_t *from, uint16_t *to, int64_t rows, int64_t part, int64_t step) {
    for (int64_t row = 0; row < rows; row += MARTLET_TILE_SIDE, from += step, to += step)
        memcpy(to, from, (size_t)part * sizeof *to);
}

// Rows of queries or of gradients as multiply_by_query_side meets the operand with them: [size, BLOCK], or a right operand of tiles
// in as many parts as the left has.
MARTLET_INLINE void prepare_query_side(int level, const struct martlet_attention *a,
                                       const struct martlet_attention_operand *operand, const float *from, int64_t stride,
                                       int64_t queries, int64_t size, float *side) {
    if (!is_in_tiles(a, operand)) {
        // Lanes of a vector of float16 without a query must be numbers.
        if (a->halves && queries < BLOCK) memset(side, 0, (size_t)(size * BLOCK) * sizeof *side);
        return transpose(from, stride, queries, size, side, BLOCK);
    }
    uint16_t *tiles = (uint16_t *)side;
    int64_t part = tile_step(size), step = operand->parts * part;
    CALL_ROUNDING_AT_LEVEL(pack_rows_f32, queries, size, from, stride, 1, tiles, step);
    if (operand->parts == 1) return;
    float *low = side + 2 * side_floats(size);
    take_low_parts(level, from, stride, queries, size, low);
    CALL_ROUNDING_AT_LEVEL(pack_rows_f32, queries, size, low, size, 1, tiles + part, step);
    copy_part(tiles, tiles + 2 * part, queries, part, step);
}

// --- Scores ------------------------------------------------------------------------------------------------------

// tanh of sixteen, in place; see hyperbolic_tangent.
MARTLET_INLINE void tangents_of_lanes(lanes *values) {
    lanes x = *values, square = x * x, doubled = 2.0f * x;
    lanes p = square * -8.8632355299e-3f + 2.1869488536e-2f;
    p = p * square - 5.3968253968e-2f;
    p = p * square + 1.3333333333e-1f;
    p = p * square - 3.3333333333e-1f;
    lanes series = p * square * x + x;
    exponentials_of_lanes(&doubled);
    lanes whole = 1.0f - 2.0f / (doubled + 1.0f);
    *values = square < (lanes)0.09f ? series : whole;
}

// s becomes cap * tanh(s / cap).
MARTLET_INLINE void cap_lanes(float cap, lanes *s) {
    *s /= (lanes)cap;
    tangents_of_lanes(s);
    *s *= (lanes)cap;
}

// What the softmax still has to multiply scores with.
MARTLET_INLINE float factor_of_scores(const struct martlet_attention *a) { return a->cap == 0 ? a->scale : 1; }

// Scales and caps the scores of a strip, if there is a cap.
MARTLET_INLINE void cap_strip(const struct martlet_attention *a, const struct strip *strip, float *scores) {
    if (a->cap == 0) return;
    for (int64_t k = strip->key; k < strip->key + strip->keys; k++)
        for (int64_t j = strip->vector; j < strip->vector + strip->vectors; j++) {
            lanes s;
            load_lanes(scores + k * BLOCK + j * LANES, &s);
            s *= (lanes)a->scale;
            cap_lanes(a->cap, &s);
            store_lanes(&s, scores + k * BLOCK + j * LANES);
        }
}

#endif
