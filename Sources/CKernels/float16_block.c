#include "float16_block.h"
#include "float16_lanes.h"
#include "float16_scales.h"

enum {
    STEPS = MARTLET_FLOAT16_BLOCK_STEPS,
    GROUP = MARTLET_FLOAT16_GROUP,
    // Most rows and vectors of a result that are kept in registers.
    ROWS = 8,
    VECTORS = 2,
};

// Some rows of a left operand from a step on: elements of a row, or of a step, follow one another. transposed is a constant
// wherever it is called.
struct left_rows {
    const uint32_t *rows[ROWS];
    int64_t step;
};

MARTLET_INLINE const uint32_t *element_of(int transposed, const struct left_rows *left, int row, int64_t step) {
    return transposed ? left->rows[0] + step * left->step + row : left->rows[row] + step;
}

// group[rows, vectors] += a step along the depth. rows and vectors are constants wherever it is called.
MARTLET_INLINE void add_step(int level, int transposed, int rows, int vectors, const struct left_rows *left, int64_t step,
                             const uint16_t *right, int is_first, halves group[ROWS][VECTORS]) {
    halves columns[VECTORS];
    UNROLLED for (int j = 0; j < vectors; j++) columns[j] = *(const halves_anywhere *)(right + j * WIDTH);
    UNROLLED for (int i = 0; i < rows; i++) {
        halves element;
        spread(*element_of(transposed, left, i, step), &element);
        UNROLLED for (int j = 0; j < vectors; j++) {
            if (is_first)
                MULTIPLY(level)(&element, &columns[j], &group[i][j]);
            else
                ADD_PRODUCT(level)(&element, &columns[j], &group[i][j]);
        }
    }
}

// Sums over at most STEPS steps: those of a group in registers, then added to those of the groups before.
MARTLET_INLINE void sum_steps(int level, int transposed, int rows, int vectors, int64_t from, int64_t to,
                              const struct left_rows *left, const uint16_t *right, int64_t stride,
                              halves sums[ROWS][VECTORS]) {
    for (int64_t d = from; d < to; d += GROUP, right += GROUP * stride) {
        halves group[ROWS][VECTORS];
        if (level == MARTLET_ISA_AVX512_FP16 && to - d >= GROUP)
            UNROLLED for (int k = 0; k < GROUP; k++)
                add_step(level, transposed, rows, vectors, left, d + k, right + k * stride, k == 0, group);
        else
            for (int64_t k = d; k < to && k < d + GROUP; k++)
                add_step(level, transposed, rows, vectors, left, k, right + (k - d) * stride, k == d, group);
        UNROLLED for (int i = 0; i < rows; i++)
            UNROLLED for (int j = 0; j < vectors; j++) {
                if (d > from) ADD(level)(&sums[i][j], &group[i][j]);
                sums[i][j] = group[i][j];
            }
    }
}

MARTLET_INLINE void multiply_rows(int level, int transposed, int rows, int vectors, const struct martlet_float16_block *p,
                                  int64_t row, const uint16_t *right, float *result) {
    struct left_rows left = {.step = p->left_stride};
    UNROLLED for (int i = 0; i < rows; i++) left.rows[i] = p->left + (row + i) * (transposed ? 1 : p->left_stride);
    result += row * p->result_stride;
    int accumulate = p->accumulate;
    for (int64_t d = 0; d < p->depth; d += STEPS, right += STEPS * p->right_stride, accumulate = 1) {
        halves sums[ROWS][VECTORS];
        int64_t end = d + STEPS < p->depth ? d + STEPS : p->depth;
        sum_steps(level, transposed, rows, vectors, d, end, &left, right, p->right_stride, sums);
        UNROLLED for (int i = 0; i < rows; i++)
            UNROLLED for (int j = 0; j < vectors * WIDTH; j += LANES) {
                float *to = result + i * p->result_stride + j;
                float16_lanes half;
                lanes sum, before = (lanes)0.0f;
                memcpy(&half, (const _Float16 *)sums[i] + j, sizeof half);
                if (accumulate) load_lanes(to, &before);
                sum = __builtin_convertvector(half, lanes) * p->factor + before;
                store_lanes(&sum, to);
            }
    }
}

// Rows of some vectors of columns.
MARTLET_INLINE void multiply_vectors(int level, int transposed, int vectors, const struct martlet_float16_block *p,
                                     int64_t vector) {
    const uint16_t *right = p->right + vector * WIDTH;
    float *result = p->result + vector * WIDTH;
    int64_t row = 0;
    if (level == MARTLET_ISA_AVX512_FP16)
        for (; row + ROWS <= p->rows; row += ROWS)
            multiply_rows(level, transposed, ROWS, vectors, p, row, right, result);
    for (; row < p->rows; row++) multiply_rows(level, transposed, 1, vectors, p, row, right, result);
}

MARTLET_INLINE void multiply(int level, int transposed, const struct martlet_float16_block *p) {
    int64_t vector = 0;
    for (; vector + VECTORS <= p->vectors; vector += VECTORS) multiply_vectors(level, transposed, VECTORS, p, vector);
    if (vector < p->vectors) multiply_vectors(level, transposed, 1, p, vector);
}

FLOAT16_KERNEL(float16_block, (const struct martlet_float16_block *p), (p)) {
    if (p->left_is_transposed) return multiply(level, 1, p);
    multiply(level, 0, p);
}

FLOAT16_KERNEL(to_float16_words, (int64_t rows, int64_t columns, float *x, int64_t stride, float *inverse),
               (rows, columns, x, stride, inverse)) {
    struct scale scale = scale_to(0, largest_of_rows(rows, columns, x, stride));
    *inverse = scale.inverse;
    write_rows_of_words(rows, columns, scale.factor, x, stride);
}
