#include "copies.h"
#include "fetch.h"
#include "float16.h"
#include "float16_lanes.h"
#include "float16_scales.h"

enum {
    STRIP = MARTLET_FLOAT16_STRIP,
    STEPS = MARTLET_FLOAT16_STEPS,
    HEAD = MARTLET_FLOAT16_HEAD,
    GROUP = MARTLET_FLOAT16_GROUP,
    // Vectors of a strip.
    VECTORS = STRIP / WIDTH,
    // Most rows of a result that are kept in registers.
    ROWS = MARTLET_STRIP_ROWS,
    PIECE = MARTLET_FLOAT16_PIECE,
    ROW = MARTLET_FLOAT16_ROW,
    // Steps along the depth between what is multiplied and what is asked for.
    AHEAD = 12,
    // Lines of the next rows that are asked for with each block.
    LINES = 16,
};

// group[rows, vectors] += a step along the depth. rows and vectors are constants wherever it is called.
MARTLET_INLINE void add_step(int level, int rows, int vectors, const uint32_t *left, const uint16_t *right,
                             halves group[ROWS][VECTORS]) {
    halves columns[VECTORS];
    UNROLLED for (int j = 0; j < vectors; j++) {
        columns[j] = *(const halves_anywhere *)(right + j * WIDTH);
        __builtin_prefetch(right + AHEAD * STRIP + j * WIDTH, 0, 3);
    }
    UNROLLED for (int i = 0; i < rows; i++) {
        halves element;
        spread(left[i * ROW], &element);
        UNROLLED for (int j = 0; j < vectors; j++) ADD_PRODUCT(level)(&element, &columns[j], &group[i][j]);
    }
}

// Sums over the steps of a block, [rows, vectors]: those of a group in registers, then added to those of the groups before.
MARTLET_INLINE void sum_block(int level, int rows, int vectors, int64_t steps, const uint32_t *left,
                              const uint16_t *right, halves *sums) {
    // Without a loop, because the CPU guesses its end wrong as often as not.
    const int is_unrolled = level == MARTLET_ISA_AVX512_FP16 && rows == ROWS && vectors == VECTORS;
    for (int64_t d = 0; d < steps; d += GROUP, left += GROUP, right += GROUP * STRIP) {
        halves group[ROWS][VECTORS];
        UNROLLED for (int i = 0; i < rows; i++)
            UNROLLED for (int j = 0; j < vectors; j++) group[i][j] = (halves)(_Float16)0;
        int64_t count = steps - d < GROUP ? steps - d : GROUP;
        if (is_unrolled && count == GROUP)
            UNROLLED for (int k = 0; k < GROUP; k++) add_step(level, rows, vectors, left + k, right + k * STRIP, group);
        else
            for (int64_t k = 0; k < count; k++) add_step(level, rows, vectors, left + k, right + k * STRIP, group);
        UNROLLED for (int i = 0; i < rows; i++)
            UNROLLED for (int j = 0; j < vectors; j++) {
                if (d > 0) ADD(level)(&sums[i * vectors + j], &group[i][j]);
                sums[i * vectors + j] = group[i][j];
            }
    }
}

// Rows of the left operand that come next, asked for a few lines at a time while those before them are multiplied.
struct next_rows {
    const char *row;
    int64_t rows, stride, bytes, at;
};

MARTLET_INLINE void find_next(const struct martlet_strip_product *p, int64_t row, int64_t from, int64_t depth,
                              struct next_rows *next) {
    int64_t size = p->left_form == MARTLET_LEFT_FLOAT32 ? sizeof(float) : sizeof(uint16_t), left = p->rows - row;
    *next = (struct next_rows){
        .row = (const char *)p->left + (row * p->left_stride + from) * size,
        .rows = left < ROWS ? left : ROWS, .stride = p->left_stride * size, .bytes = depth * size,
    };
}

MARTLET_INLINE void fetch_next(struct next_rows *next) {
    for (int line = 0; line < LINES && next->rows > 0; line++) {
        __builtin_prefetch(next->row + next->at, 0, 2);
        next->at += LINE_BYTES;
        if (next->at < next->bytes) continue;
        next->at = 0;
        next->row += next->stride;
        next->rows--;
    }
}

// result[rows, vectors] (+)= sums without their scales, those of vectors and of rows.
MARTLET_INLINE void add_sums(int rows, int vectors, const float *scales, const float *row_scales, const halves *sums,
                             float *result, int64_t stride, int accumulate) {
    const float16_lanes *values = (const float16_lanes *)sums;
    float factors[VECTORS][ROWS];
    UNROLLED for (int j = 0; j < vectors; j++)
        UNROLLED for (int i = 0; i < rows; i++) factors[j][i] = scales[j] * row_scales[i];
    for (int i = 0; i < rows; i++, result += stride)
        UNROLLED for (int j = 0; j < vectors * WIDTH; j += LANES, values++) {
            lanes sum = __builtin_convertvector(*values, lanes), factor = factors[j / WIDTH][i], before;
            if (accumulate) {
                load_lanes(result + j, &before);
                sum = sum * factor + before;
            } else {
                sum *= factor;
            }
            store_lanes(&sum, result + j);
        }
}

MARTLET_INLINE void multiply_rows(int level, int rows, int vectors, int64_t depth,
                                  const struct martlet_float16_rows *left, int row, const uint16_t *strip, float *result,
                                  int64_t stride, int accumulate, struct next_rows *next) {
    result += row * stride;
    UNROLLED for (int i = 0; i < rows; i++)
        UNROLLED for (int j = 0; j < 2 * vectors; j++) __builtin_prefetch(result + i * stride + j * LANES, 1, 3);
    halves sums[ROWS * VECTORS];
    for (int64_t d = 0; d < depth; d += STEPS, accumulate = 1) {
        int64_t steps = depth - d < STEPS ? depth - d : STEPS;
        float scales[VECTORS];
        memcpy(scales, strip, sizeof scales);
        fetch_next(next);
        sum_block(level, rows, vectors, steps, left->elements + row * ROW + d, strip + HEAD, sums);
        add_sums(rows, vectors, scales, left->inverse + row, sums, result, stride, accumulate);
        strip += HEAD + steps * STRIP;
    }
}

// Rows that are copied with the first vectors of a strip.
MARTLET_INLINE void multiply_vectors(int level, int vectors, int64_t rows, int64_t depth,
                                     const struct martlet_float16_rows *left, const uint16_t *strip, float *result,
                                     int64_t stride, int accumulate, struct next_rows *next) {
    if (level == MARTLET_ISA_AVX512_FP16 && rows == ROWS)
        return multiply_rows(level, ROWS, vectors, depth, left, 0, strip, result, stride, accumulate, next);
    for (int row = 0; row < rows; row++)
        multiply_rows(level, 1, vectors, depth, left, row, strip, result, stride, accumulate, next);
}

// As many vectors of a strip as have columns.
MARTLET_INLINE void multiply_strip(int level, int64_t columns, int64_t rows, int64_t depth,
                                   const struct martlet_float16_rows *left, const uint16_t *strip, float *result,
                                   int64_t stride, int accumulate, struct next_rows *next) {
#define MULTIPLY_VECTORS(count)                                                                                       \
    multiply_vectors(level, count, rows, depth, left, strip, result, stride, accumulate, next)
    if (columns > 2 * WIDTH) return MULTIPLY_VECTORS(VECTORS);
    if (columns > WIDTH) return MULTIPLY_VECTORS(2);
    MULTIPLY_VECTORS(1);
#undef MULTIPLY_VECTORS
}

FLOAT16_KERNEL(float16_product, (const struct martlet_strip_product *p), (p)) {
    __attribute__((aligned(64))) struct martlet_float16_rows left;
    const int64_t strip_size = martlet_float16_strip_size(p->depth);
    for (int64_t from = 0; from < p->depth; from += PIECE) {
        int64_t depth = p->depth - from < PIECE ? p->depth - from : PIECE;
        int accumulate = p->accumulate || from > 0;
        for (int64_t row = 0; row < p->rows; row += ROWS) {
            int64_t rows = p->rows - row < ROWS ? p->rows - row : ROWS;
            CALL_FLOAT16_AT_LEVEL(float16_rows, p, row, rows, from, depth, &left);
            struct next_rows next;
            find_next(p, row + rows, from, depth, &next);
            const uint16_t *strip = (const uint16_t *)p->right + martlet_float16_strip_size(from);
            float *result = p->result + row * p->result_stride;
            for (int64_t column = 0; column < p->columns; column += STRIP, strip += strip_size) {
                // Part of a vector goes by way of a buffer.
                int64_t columns = p->columns - column < STRIP ? p->columns - column : STRIP, stride = p->result_stride;
                float edge[ROWS * STRIP], *target = result + column;
                const int is_edge = columns % WIDTH != 0;
                if (is_edge && accumulate) {
                    memset(edge, 0, sizeof edge);
                    copy_corner(target, stride, rows, columns, edge, STRIP);
                }
                if (is_edge) target = edge, stride = STRIP;
                multiply_strip(level, columns, rows, depth, &left, strip, target, stride, accumulate, &next);
                if (is_edge) copy_corner(edge, STRIP, rows, columns, result + column, p->result_stride);
            }
        }
    }
}
