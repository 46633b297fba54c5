#include "kernels.h"

#include <string.h>

// Sixteen floats: one register with AVX-512, two with AVX2.
typedef float lanes __attribute__((vector_size(64)));

MARTLET_INLINE void load(lanes *target, const float *source) { memcpy(target, source, sizeof *target); }

typedef float half_lanes __attribute__((vector_size(32)));
typedef float quarter_lanes __attribute__((vector_size(16)));

// Sum by halves: a fixed order that costs a few shuffles.
MARTLET_INLINE float total(const lanes *values) {
    half_lanes a, b;
    memcpy(&a, values, sizeof a);
    memcpy(&b, (const float *)values + 8, sizeof b);
    a += b;
    quarter_lanes low = __builtin_shufflevector(a, a, 0, 1, 2, 3), high = __builtin_shufflevector(a, a, 4, 5, 6, 7);
    low += high;
    low += __builtin_shufflevector(low, low, 2, 3, 0, 1);
    return low[0] + low[1];
}

MARTLET_INLINE float dot(int64_t columns, const float *x, const float *a) {
    lanes sum = {0};
    int64_t c = 0;
    for (; c + 16 <= columns; c += 16) {
        lanes left, right;
        load(&left, x + c);
        load(&right, a + c);
        sum += left * right;
    }
    float result = total(&sum);
    for (; c < columns; c++) result += x[c] * a[c];
    return result;
}

// Four rows of x against four rows of a: sixteen running sums.
MARTLET_INLINE void project_block(int64_t columns, int64_t rank, const float *x, const float *a, float *h) {
    lanes sums[4][4];
    memset(sums, 0, sizeof sums);
    int64_t c = 0;
    for (; c + 16 <= columns; c += 16) {
        lanes left[4], right[4];
        for (int i = 0; i < 4; i++) load(&left[i], x + i * columns + c);
        for (int k = 0; k < 4; k++) load(&right[k], a + k * columns + c);
        for (int i = 0; i < 4; i++)
            for (int k = 0; k < 4; k++) sums[i][k] += left[i] * right[k];
    }
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 4; k++) {
            float sum = total(&sums[i][k]);
            for (int64_t j = c; j < columns; j++) sum += x[i * columns + j] * a[k * columns + j];
            h[i * rank + k] = sum;
        }
}

KERNEL(low_rank_project, (int64_t rows, int64_t columns, int64_t rank, const float *x, const float *a, float *h),
       (rows, columns, rank, x, a, h)) {
    for (int64_t r = 0; r < rows; r += 4) {
        for (int64_t k = 0; k < rank; k += 4) {
            if (r + 4 <= rows && k + 4 <= rank) {
                project_block(columns, rank, x + r * columns, a + k * columns, h + r * rank + k);
                continue;
            }
            for (int64_t i = r; i < r + 4 && i < rows; i++)
                for (int64_t j = k; j < k + 4 && j < rank; j++)
                    h[i * rank + j] = dot(columns, x + i * columns, a + j * columns);
        }
    }
}

// Sixteen columns of sixteen rows of the result, over `rows` rows.
MARTLET_INLINE void gradient_block(int64_t rows, int64_t rank, int64_t stride, const float *g, const float *x,
                                   float *out, int64_t out_stride) {
    lanes sums[16];
    for (int k = 0; k < 16; k++) load(&sums[k], out + k * out_stride);
    for (int64_t r = 0; r < rows; r++) {
        lanes value;
        load(&value, x + r * stride);
        for (int k = 0; k < 16; k++) sums[k] += g[r * rank + k] * value;
    }
    for (int k = 0; k < 16; k++) memcpy(out + k * out_stride, &sums[k], sizeof sums[k]);
}

KERNEL(low_rank_gradient,
       (int64_t rows, int64_t columns, int64_t rank, const float *g, const float *x, int64_t stride, float *out,
        int64_t out_stride),
       (rows, columns, rank, g, x, stride, out, out_stride)) {
    // A block of rows stays in the second-level cache while its columns are walked.
    const int64_t block = 128;
    for (int64_t first = 0; first < rows; first += block) {
        int64_t count = rows - first < block ? rows - first : block;
        const float *gs = g + first * rank, *xs = x + first * stride;
        for (int64_t c = 0; c < columns; c += 16) {
            for (int64_t k = 0; k < rank; k += 16) {
                if (c + 16 <= columns && k + 16 <= rank) {
                    gradient_block(count, rank, stride, gs + k, xs + c, out + k * out_stride + c, out_stride);
                    continue;
                }
                for (int64_t j = k; j < k + 16 && j < rank; j++)
                    for (int64_t r = 0; r < count; r++)
                        for (int64_t i = c; i < c + 16 && i < columns; i++)
                            out[j * out_stride + i] += gs[r * rank + j] * xs[r * stride + i];
            }
        }
    }
}
