#include "fetch.h"
#include "pairs.h"
#include "tiles.h"

// Sixteen pairs of bfloat16: a row of a tile.
typedef uint32_t row __attribute__((vector_size(64)));
// The same where a tile lies.
typedef uint32_t row_in_place __attribute__((vector_size(64), aligned(2), may_alias));

enum { SIDE = MARTLET_TILE_SIDE, DEPTH = MARTLET_TILE_DEPTH, ELEMENTS = MARTLET_TILE_ELEMENTS };

MARTLET_INLINE void transpose_tile(row *rows) { TRANSPOSE_LANES(row, rows) }

MARTLET_INLINE void store_tile(row *rows, int transpose, uint16_t *tile) {
    if (transpose) transpose_tile(rows);
    // Without a loop: the compiler would take one for a copy, and write the registers down before it.
    row_in_place *target = (row_in_place *)tile;
#define STORE_FOUR(i) target[i] = rows[i], target[i + 1] = rows[i + 1], target[i + 2] = rows[i + 2], target[i + 3] = rows[i + 3]
    STORE_FOUR(0), STORE_FOUR(4), STORE_FOUR(8), STORE_FOUR(12);
#undef STORE_FOUR
}

// --- Rows along the depth ----------------------------------------------------------------------------------------

// 32 neighbours are a row of a tile as they are.
MARTLET_INLINE void pack_run_f32(int level, const float *source, row *target) {
    half_run values;
    ROUND_RUN(level)(source, &values);
    memcpy(target, &values, sizeof values);
}
#define PACK_RUN_F32(source, target) pack_run_f32(level, source, target)

MARTLET_INLINE void pack_run_bf16(const uint16_t *source, row *target) { memcpy(target, source, sizeof *target); }

// Sixteen rows side by side are more than a processor looks ahead in: elements are asked for four tiles before their
// turn, also where they do not exist any more.
enum { AHEAD = 4 * DEPTH };

// A whole tile; the rows of it stay in registers.
#define PACK_WHOLE_ROWS(PACK_RUN)                                                                                     \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < SIDE; i++) {                                               \
        fetch_second_level(start + i * stride + d + AHEAD, DEPTH * (int64_t)sizeof *start);                           \
        PACK_RUN(start + i * stride + d, &rows[i]);                                                                   \
    }

// What there is of a tile, with zeros behind it.
#define PACK_SOME_ROWS(TYPE, PACK_RUN)                                                                                \
    memset(rows, 0, sizeof rows);                                                                                     \
    for (int64_t i = 0; i < here; i++) {                                                                              \
        TYPE run[DEPTH] = {0};                                                                                        \
        memcpy(run, start + i * stride + d, (size_t)(depth - d < DEPTH ? depth - d : DEPTH) * sizeof(TYPE));          \
        PACK_RUN(run, &rows[i]);                                                                                      \
    }

// Tiles of 16 rows; `PACK_RUN` packs 32 elements.
#define PACK_ROWS(TYPE, PACK_RUN)                                                                                     \
    for (int64_t side = 0; side < sides; side += SIDE, tiles += block_step) {                                         \
        const TYPE *start = source + side * stride;                                                                   \
        int64_t here = sides - side < SIDE ? sides - side : SIDE;                                                     \
        uint16_t *tile = tiles;                                                                                       \
        for (int64_t d = 0; d < depth; d += DEPTH, tile += ELEMENTS) {                                                \
            row rows[SIDE];                                                                                           \
            if (here == SIDE && d + DEPTH <= depth) {                                                                 \
                PACK_WHOLE_ROWS(PACK_RUN)                                                                             \
                store_tile(rows, transpose, tile);                                                                    \
            } else {                                                                                                  \
                PACK_SOME_ROWS(TYPE, PACK_RUN)                                                                        \
                store_tile(rows, transpose, tile);                                                                    \
            }                                                                                                         \
        }                                                                                                             \
    }

ROUNDING_KERNEL(pack_rows_f32,
       (int64_t sides, int64_t depth, const float *source, int64_t stride, int transpose, uint16_t *tiles,
        int64_t block_step),
       (sides, depth, source, stride, transpose, tiles, block_step)) {
    PACK_ROWS(float, PACK_RUN_F32)
}

KERNEL(pack_rows_bf16,
       (int64_t sides, int64_t depth, const uint16_t *source, int64_t stride, int transpose, uint16_t *tiles,
        int64_t block_step),
       (sides, depth, source, stride, transpose, tiles, block_step)) {
    PACK_ROWS(uint16_t, pack_run_bf16)
}

// --- Columns along the depth -------------------------------------------------------------------------------------

// 16 elements of two rows, alternating, are a row of a tile.
MARTLET_INLINE void pack_pair_f32(int level, const float *low, const float *high, row *target) {
    lane_bits values;
    ROUND_PAIR(level)(low, high, &values);
    memcpy(target, &values, sizeof values);
}
#define PACK_PAIR_F32(low, high, target) pack_pair_f32(level, low, high, target)

MARTLET_INLINE void pack_pair_bf16(const uint16_t *low, const uint16_t *high, row *target) {
    uint32_t values[SIDE];
    for (int i = 0; i < SIDE; i++) values[i] = low[i] | (uint32_t)high[i] << 16;
    memcpy(target, values, sizeof values);
}

// Of parts of rows a processor does not guess what comes next: they are asked for 32 rows before their turn.
#define PACK_WHOLE_PAIRS(PACK_PAIR)                                                                                   \
    _Pragma("clang loop unroll(full)") for (int p = 0; p < SIDE; p++) {                                               \
        fetch_second_level(start + (2 * p + DEPTH) * stride, SIDE * (int64_t)sizeof *start);                          \
        fetch_second_level(start + (2 * p + 1 + DEPTH) * stride, SIDE * (int64_t)sizeof *start);                      \
        PACK_PAIR(start + 2 * p * stride, start + (2 * p + 1) * stride, &rows[p]);                                    \
    }

#define PACK_SOME_PAIRS(TYPE, PACK_PAIR)                                                                              \
    memset(rows, 0, sizeof rows);                                                                                     \
    for (int64_t p = 0; 2 * p < deep; p++) {                                                                          \
        TYPE pair[2][SIDE] = {{0}};                                                                                   \
        memcpy(pair[0], start + 2 * p * stride, (size_t)here * sizeof(TYPE));                                         \
        if (2 * p + 1 < deep) memcpy(pair[1], start + (2 * p + 1) * stride, (size_t)here * sizeof(TYPE));             \
        PACK_PAIR(pair[0], pair[1], &rows[p]);                                                                        \
    }

// Tiles of 16 columns and `deep` rows from column `first` on; `PACK_PAIR` packs 16 elements of two rows.
#define PACK_COLUMNS(TYPE, PACK_PAIR, first)                                                                          \
    for (int64_t side = first; side < sides; side += SIDE) {                                                          \
        const TYPE *start = source + side;                                                                            \
        uint16_t *tile = tiles + side / SIDE * block_step;                                                            \
        int64_t here = sides - side < SIDE ? sides - side : SIDE;                                                     \
        row rows[SIDE];                                                                                               \
        if (here == SIDE && deep == DEPTH) {                                                                          \
            PACK_WHOLE_PAIRS(PACK_PAIR)                                                                               \
            store_tile(rows, transpose, tile);                                                                        \
        } else {                                                                                                      \
            PACK_SOME_PAIRS(TYPE, PACK_PAIR)                                                                          \
            store_tile(rows, transpose, tile);                                                                        \
        }                                                                                                             \
    }

ROUNDING_KERNEL(pack_columns_f32,
       (int64_t sides, int64_t depth, const float *source, int64_t stride, int transpose, uint16_t *tiles,
        int64_t block_step),
       (sides, depth, source, stride, transpose, tiles, block_step)) {
    for (int64_t d = 0; d < depth; d += DEPTH, source += DEPTH * stride, tiles += ELEMENTS) {
        int64_t deep = depth - d < DEPTH ? depth - d : DEPTH;
        PACK_COLUMNS(float, PACK_PAIR_F32, 0)
    }
}

// 32 neighbours, a line of memory, of two rows are rows of two tiles.
MARTLET_INLINE void pack_two_pairs(const uint16_t *low, const uint16_t *high, uint16_t *left, uint16_t *right) {
    row low_row = *(const row_in_place *)low, high_row = *(const row_in_place *)high;
    half_run a = (half_run)low_row, b = (half_run)high_row;
    *(row_in_place *)left = (row)__builtin_shufflevector(a, b, 0, 32, 1, 33, 2, 34, 3, 35, 4, 36, 5, 37, 6, 38, 7, 39, 8, 40,
                                                         9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47);
    *(row_in_place *)right = (row)__builtin_shufflevector(a, b, 16, 48, 17, 49, 18, 50, 19, 51, 20, 52, 21, 53, 22, 54, 23, 55,
                                                          24, 56, 25, 57, 26, 58, 27, 59, 28, 60, 29, 61, 30, 62, 31, 63);
}

MARTLET_INLINE void pack_two_tiles(const uint16_t *source, int64_t stride, uint16_t *left, uint16_t *right) {
    for (int64_t p = 0; p < SIDE; p++) {
        const uint16_t *low = source + 2 * p * stride, *high = low + stride;
        fetch_second_level(low + DEPTH * stride, DEPTH * sizeof *low);
        fetch_second_level(high + DEPTH * stride, DEPTH * sizeof *high);
        pack_two_pairs(low, high, left + p * DEPTH, right + p * DEPTH);
    }
}

KERNEL(pack_columns_bf16,
       (int64_t sides, int64_t depth, const uint16_t *source, int64_t stride, int transpose, uint16_t *tiles,
        int64_t block_step),
       (sides, depth, source, stride, transpose, tiles, block_step)) {
    for (int64_t d = 0; d < depth; d += DEPTH, source += DEPTH * stride, tiles += ELEMENTS) {
        int64_t deep = depth - d < DEPTH ? depth - d : DEPTH, done = 0;
        if (deep == DEPTH && !transpose)
            for (; done + 2 * SIDE <= sides; done += 2 * SIDE) {
                uint16_t *left = tiles + done / SIDE * block_step;
                pack_two_tiles(source + done, stride, left, left + block_step);
            }
        PACK_COLUMNS(uint16_t, pack_pair_bf16, done)
    }
}

// --- Spread ------------------------------------------------------------------------------------------------------

// Up to sixteen elements, rounded, each in the high half of a word, with zeros behind them.
MARTLET_INLINE void spread_run(const float *source, int64_t count, row *target) {
    float run[SIDE] = {0};
    lane_bits values;
    if (count < SIDE) memcpy(run, source, (size_t)count * sizeof *source);
    round_lanes(count < SIDE ? run : source, &values);
    values &= 0xFFFF0000u;
    memcpy(target, &values, sizeof values);
}

KERNEL(pack_spread,
       (int64_t sides, int64_t depth, const float *source, int64_t stride, uint16_t *tiles, int64_t block_step),
       (sides, depth, source, stride, tiles, block_step)) {
    for (int64_t side = 0; side < sides; side += SIDE, tiles += 2 * block_step) {
        int64_t here = sides - side < SIDE ? sides - side : SIDE;
        uint16_t *tile = tiles;
        for (int64_t d = 0; d < depth; d += SIDE, tile += ELEMENTS) {
            row rows[SIDE];
            memset(rows, 0, sizeof rows);
            for (int64_t i = 0; i < SIDE && d + i < depth; i++)
                spread_run(source + (d + i) * stride + side, here, &rows[i]);
            transpose_tile(rows);
            store_tile(rows, 0, tile + block_step);
            for (int i = 0; i < SIDE; i++) rows[i] >>= 16;
            store_tile(rows, 0, tile);
        }
    }
}
