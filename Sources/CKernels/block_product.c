#include "block_product.h"
#include "lanes.h"

enum {
    // Most rows and vectors of a result that are kept in registers.
    ROWS = 6,
    VECTORS = 4,
    // Elements along the depth whose right operand, four vectors of each, stays in the first-level cache.
    DEPTH = 64,
};

// rows, vectors and transposed are constants wherever it is called.
MARTLET_INLINE void multiply_block(int rows, int vectors, int transposed, const struct martlet_block_product *p,
                                   const float *left, const float *right, float *result) {
    lanes sums[ROWS][VECTORS];
    int64_t row = transposed ? 1 : p->left_stride, step = transposed ? p->left_stride : 1;
    UNROLLED for (int i = 0; i < rows; i++)
        UNROLLED for (int j = 0; j < vectors; j++) {
            sums[i][j] = (lanes)0.0f;
            if (p->accumulate) load_lanes(result + i * p->result_stride + j * LANES, &sums[i][j]);
        }
    for (int64_t d = 0; d < p->depth; d++, left += step, right += p->right_stride) {
        lanes columns[VECTORS];
        UNROLLED for (int j = 0; j < vectors; j++) load_lanes(right + j * LANES, &columns[j]);
        UNROLLED for (int i = 0; i < rows; i++)
            UNROLLED for (int j = 0; j < vectors; j++) sums[i][j] += (lanes)left[i * row] * columns[j];
    }
    UNROLLED for (int i = 0; i < rows; i++)
        UNROLLED for (int j = 0; j < vectors; j++)
            store_lanes(&sums[i][j], result + i * p->result_stride + j * LANES);
}

// All rows of one to four vectors of columns. The baseline has sixteen registers for four of a vector.
MARTLET_INLINE void multiply_columns(int level, int vectors, int transposed, const struct martlet_block_product *p,
                                     const float *right, float *result) {
    const float *left = p->left;
    int64_t row = transposed ? 1 : p->left_stride, left_over = p->rows;
#define TAKE(count)                                                                                                   \
    {                                                                                                                 \
        multiply_block(count, vectors, transposed, p, left, right, result);                                           \
        left += (count) * row;                                                                                        \
        result += (count) * p->result_stride;                                                                         \
        left_over -= (count);                                                                                         \
    }
    if (level == MARTLET_ISA_PORTABLE) {
        while (left_over >= 2) TAKE(2)
    } else {
        while (left_over >= ROWS) TAKE(ROWS)
        if (left_over >= 4) TAKE(4)
        if (left_over >= 2) TAKE(2)
    }
    if (left_over > 0) TAKE(1)
#undef TAKE
}

MARTLET_INLINE void multiply_some(int level, int vectors, const struct martlet_block_product *p,
                                  const float *right, float *result) {
    if (p->left_is_transposed)
        multiply_columns(level, vectors, 1, p, right, result);
    else
        multiply_columns(level, vectors, 0, p, right, result);
}

// All columns over a piece of the depth.
MARTLET_INLINE void multiply_piece(int level, const struct martlet_block_product *p) {
    int64_t most = level >= MARTLET_ISA_AVX512 ? VECTORS : 1, groups = (p->vectors + most - 1) / most;
    for (int64_t group = 0, first = 0; group < groups; group++) {
        // About equal groups: five vectors are two and three.
        int64_t width = (p->vectors - first) / (groups - group);
        const float *right = p->right + first * LANES;
        float *result = p->result + first * LANES;
        first += width;
        if (level >= MARTLET_ISA_AVX512 && width == 4)
            multiply_some(level, 4, p, right, result);
        else if (level >= MARTLET_ISA_AVX512 && width == 3)
            multiply_some(level, 3, p, right, result);
        else if (level >= MARTLET_ISA_AVX512 && width == 2)
            multiply_some(level, 2, p, right, result);
        else
            multiply_some(level, 1, p, right, result);
    }
}

KERNEL_BY_LEVEL(block_product, (const struct martlet_block_product *product), (product)) {
    struct martlet_block_product piece = *product;
    for (int64_t from = 0; from < product->depth; from += DEPTH) {
        piece.depth = product->depth - from < DEPTH ? product->depth - from : DEPTH;
        multiply_piece(level, &piece);
        piece.left += DEPTH * (piece.left_is_transposed ? piece.left_stride : 1);
        piece.right += DEPTH * piece.right_stride;
        piece.accumulate = 1;
    }
}
