#include "block_product.h"
#include "copies.h"

// A right operand is STRIP wide, so that DEPTH elements along the depth stay in the first-level cache. Sums wait in the
// second-level cache until the whole depth is through.
enum { STRIP = 64, DEPTH = 64, SUMS = 256 };

// A vector that crosses the end of a line of the cache costs twice.
#define ALIGNED __attribute__((aligned(64)))

MARTLET_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// result[row, column] = sums[row, column], or added to what is there.
MARTLET_INLINE void put_rows(const float *sums, int64_t rows, int64_t columns, int accumulate, float *result,
                             int64_t stride) {
    for (int64_t r = 0; r < rows; r++, sums += STRIP, result += stride)
        for (int64_t c = 0; c < columns; c++) result[c] = sums[c] + (accumulate ? result[c] : 0.0f);
}

KERNEL_BY_LEVEL(panel_product, (const struct martlet_panel_product *p), (p)) {
    ALIGNED float right[DEPTH * STRIP], sums[SUMS * STRIP];
    for (int64_t column = 0; column < p->columns; column += STRIP) {
        int64_t width = least(STRIP, p->columns - column);
        for (int64_t row = 0; row < p->rows; row += SUMS) {
            int64_t height = least(SUMS, p->rows - row);
            for (int64_t from = 0; from < p->depth; from += DEPTH) {
                int64_t depth = least(DEPTH, p->depth - from);
                copy_rows(p->weight + from * p->weight_stride + column, p->weight_stride, depth, width, right, STRIP);
                struct martlet_block_product product = {
                    .rows = height, .vectors = padded(width) / LANES, .depth = depth,
                    .left = p->x + row * p->x_stride + from, .left_stride = p->x_stride, .right = right,
                    .right_stride = STRIP, .result = sums, .result_stride = STRIP, .accumulate = from > 0,
                };
                CALL_AT_LEVEL(block_product, &product);
            }
            put_rows(sums, height, width, p->accumulate, p->result + row * p->result_stride + column, p->result_stride);
        }
    }
}

// The transpose of the result, so that the vectors are of rows of x: those are copied once for all panels.
KERNEL_BY_LEVEL(panel_product_transposed, (const struct martlet_panel_product *p), (p)) {
    ALIGNED float sums[SUMS * STRIP];
    for (int64_t row = 0; row < p->rows; row += STRIP) {
        int64_t width = least(STRIP, p->rows - row);
        for (int64_t column = 0; column < p->columns; column += SUMS) {
            int64_t height = least(SUMS, p->columns - column);
            struct martlet_block_product product = {
                .rows = height, .vectors = padded(width) / LANES, .depth = p->depth,
                .left = p->weight + column * p->weight_stride, .left_stride = p->weight_stride, .right = p->x + row,
                .right_stride = p->x_stride, .result = sums, .result_stride = STRIP,
            };
            CALL_AT_LEVEL(block_product, &product);
            transpose_back(sums, STRIP, width, height, p->accumulate, p->result + row * p->result_stride + column,
                           p->result_stride);
        }
    }
}

// --- Few rows, or few columns --------------------------------------------------------------------------------------

// rows and columns, up to four, are constants wherever it is called: sixteen running sums.
MARTLET_INLINE void multiply_few(int rows, int columns, const struct martlet_panel_product *p, const float *x,
                                 const float *weight, float *result) {
    lanes sums[4][4];
    UNROLLED for (int i = 0; i < rows; i++)
        UNROLLED for (int j = 0; j < columns; j++) sums[i][j] = (lanes)0.0f;
    int64_t d = 0;
    for (; d + LANES <= p->depth; d += LANES) {
        lanes left[4], right[4];
        UNROLLED for (int i = 0; i < rows; i++) load_lanes(x + i * p->x_stride + d, &left[i]);
        UNROLLED for (int j = 0; j < columns; j++) load_lanes(weight + j * p->weight_stride + d, &right[j]);
        UNROLLED for (int i = 0; i < rows; i++)
            UNROLLED for (int j = 0; j < columns; j++) sums[i][j] += left[i] * right[j];
    }
    UNROLLED for (int i = 0; i < rows; i++)
        UNROLLED for (int j = 0; j < columns; j++) {
            float sum = sum_by_halves(&sums[i][j]), *to = result + i * p->result_stride + j;
            for (int64_t k = d; k < p->depth; k++) sum += x[i * p->x_stride + k] * weight[j * p->weight_stride + k];
            *to = sum + (p->accumulate ? *to : 0.0f);
        }
}

MARTLET_INLINE void multiply_few_rows(int rows, const struct martlet_panel_product *p, const float *x, float *result) {
    int64_t column = 0;
    for (; column + 4 <= p->columns; column += 4)
        multiply_few(rows, 4, p, x, p->weight + column * p->weight_stride, result + column);
    for (; column < p->columns; column++)
        multiply_few(rows, 1, p, x, p->weight + column * p->weight_stride, result + column);
}

KERNEL(panel_product_few, (const struct martlet_panel_product *p), (p)) {
    int64_t row = 0;
    for (; row + 4 <= p->rows; row += 4)
        multiply_few_rows(4, p, p->x + row * p->x_stride, p->result + row * p->result_stride);
    const float *x = p->x + row * p->x_stride;
    float *result = p->result + row * p->result_stride;
    switch (p->rows - row) {
    case 3: multiply_few_rows(3, p, x, result); break;
    case 2: multiply_few_rows(2, p, x, result); break;
    case 1: multiply_few_rows(1, p, x, result); break;
    }
}

KERNEL(transpose, (int64_t rows, int64_t columns, const float *x, int64_t stride, float *result, int64_t result_stride),
       (rows, columns, x, stride, result, result_stride)) {
    transpose(x, stride, rows, columns, result, result_stride);
}
