#include "copies.h"
#include "kernels.h"
#include "strips.h"

enum {
    // Most rows of a result that are kept in registers, and vectors of each.
    ROWS = MARTLET_STRIP_ROWS,
    VECTORS = MARTLET_STRIP / LANES,
    // Elements along the depth of a piece, so that the rows that are in registers lie in the first-level cache.
    PIECE = 576,
    // Between those rows: a distance that spreads them over the cache.
    ROW = PIECE + LANES,
    // Steps along the depth between what is multiplied and what is asked for.
    AHEAD = 12,
};

// rows and vectors are constants wherever it is called. What the result holds is asked for before the products are summed.
MARTLET_INLINE void multiply_rows(int rows, int vectors, int64_t depth, const float *left, const float *right,
                                  float *result, int64_t stride, int accumulate) {
    lanes sums[ROWS][VECTORS];
    UNROLLED for (int i = 0; i < rows; i++)
        UNROLLED for (int j = 0; j < vectors; j++) {
            sums[i][j] = (lanes)0.0f;
            __builtin_prefetch(result + i * stride + j * LANES, 1, 3);
        }
    for (int64_t d = 0; d < depth; d++, left++, right += MARTLET_STRIP) {
        lanes columns[VECTORS];
        UNROLLED for (int j = 0; j < vectors; j++) {
            load_lanes(right + j * LANES, &columns[j]);
            __builtin_prefetch(right + AHEAD * MARTLET_STRIP + j * LANES, 0, 3);
        }
        UNROLLED for (int i = 0; i < rows; i++)
            UNROLLED for (int j = 0; j < vectors; j++) sums[i][j] += (lanes)left[i * ROW] * columns[j];
    }
    UNROLLED for (int i = 0; i < rows; i++)
        UNROLLED for (int j = 0; j < vectors; j++) {
            float *target = result + i * stride + j * LANES;
            if (accumulate) {
                lanes before;
                load_lanes(target, &before);
                sums[i][j] += before;
            }
            store_lanes(&sums[i][j], target);
        }
}

// Rows that are copied with a strip, `vectors` vectors of it at a time.
MARTLET_INLINE void multiply_part(int level, int vectors, int64_t rows, int64_t depth, const float *left,
                                  const float *right, float *result, int64_t stride, int accumulate) {
#define TAKE(count)                                                                                                   \
    {                                                                                                                 \
        multiply_rows(count, vectors, depth, left, right, result, stride, accumulate);                                \
        left += (count) * ROW;                                                                                        \
        result += (count) * stride;                                                                                   \
        rows -= (count);                                                                                              \
    }
    if (level >= MARTLET_ISA_AVX512 && rows == ROWS) TAKE(ROWS)
    if (level != MARTLET_ISA_PORTABLE)
        while (rows >= 4) TAKE(4)
    while (rows >= 2) TAKE(2)
    if (rows > 0) TAKE(1)
#undef TAKE
}

// The first vectors of a strip, as many together as there are registers for.
MARTLET_INLINE void multiply_vectors(int level, int vectors, int64_t rows, int64_t depth, const float *left,
                                     const float *right, float *result, int64_t stride, int accumulate) {
    if (level >= MARTLET_ISA_AVX512 && vectors == VECTORS)
        return multiply_part(level, VECTORS, rows, depth, left, right, result, stride, accumulate);
    if (level >= MARTLET_ISA_AVX512 && vectors == 2)
        return multiply_part(level, 2, rows, depth, left, right, result, stride, accumulate);
    for (int v = 0; v < vectors; v++)
        multiply_part(level, 1, rows, depth, left, right + v * LANES, result + v * LANES, stride, accumulate);
}

// A strip of which only some columns exist: a vector that ends beyond them goes by way of a buffer.
MARTLET_INLINE void multiply_edge(int level, int64_t rows, int64_t columns, int64_t depth, const float *left,
                                  const float *right, float *result, int64_t stride, int accumulate) {
    int64_t whole = columns / LANES;
    multiply_vectors(level, (int)whole, rows, depth, left, right, result, stride, accumulate);
    if (whole * LANES == columns) return;
    float sums[ROWS * LANES];
    multiply_part(level, 1, rows, depth, left, right + whole * LANES, sums, LANES, 0);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = whole * LANES; c < columns; c++)
            result[r * stride + c] = sums[r * LANES + c % LANES] + (accumulate ? result[r * stride + c] : 0.0f);
}

// Rows of the left operand from an element of the depth on, as floats.
MARTLET_INLINE void copy_left(int level, const struct martlet_strip_product *p, int64_t row, int64_t rows, int64_t from,
                              int64_t depth, float *left) {
    int64_t at = row * p->left_stride + from;
    if (p->left_form == MARTLET_LEFT_FLOAT32)
        return copy_rows((const float *)p->left + at, p->left_stride, rows, depth, left, ROW);
    for (int64_t r = 0; r < rows; r++, at += p->left_stride, left += ROW) {
        if (p->left_form == MARTLET_LEFT_ROUNDED)
            CALL_AT_LEVEL(round_to_bfloat16, depth, (const float *)p->left + at, left);
        else
            CALL_AT_LEVEL(from_bfloat16, depth, (const uint16_t *)p->left + at, left);
    }
}

KERNEL_BY_LEVEL(strip_product, (const struct martlet_strip_product *p), (p)) {
    __attribute__((aligned(64))) float left[ROWS * ROW];
    int64_t pieces = (p->depth + PIECE - 1) / PIECE, size = (p->depth + pieces - 1) / pieces;
    for (int64_t from = 0; from < p->depth; from += size) {
        int64_t depth = p->depth - from < size ? p->depth - from : size;
        int accumulate = p->accumulate || from > 0;
        for (int64_t row = 0; row < p->rows; row += ROWS) {
            int64_t rows = p->rows - row < ROWS ? p->rows - row : ROWS, column = 0;
            copy_left(level, p, row, rows, from, depth, left);
            const float *right = (const float *)p->right + from * MARTLET_STRIP;
            float *result = p->result + row * p->result_stride;
            for (; column + MARTLET_STRIP <= p->columns; column += MARTLET_STRIP, right += p->depth * MARTLET_STRIP)
                multiply_vectors(level, VECTORS, rows, depth, left, right, result + column, p->result_stride,
                                 accumulate);
            if (column < p->columns)
                multiply_edge(level, rows, p->columns - column, depth, left, right, result + column, p->result_stride,
                              accumulate);
        }
    }
}
