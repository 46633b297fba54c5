#include "kernels.h"
#include "lanes.h"

// Sixteen columns of sixteen rows of the result, over `rows` rows.
MARTLET_INLINE void gradient_block(int64_t rows, int64_t rank, int64_t stride, const float *g, const float *x,
                                   float *out, int64_t out_stride) {
    lanes sums[16];
    for (int k = 0; k < 16; k++) load_lanes(out + k * out_stride, &sums[k]);
    for (int64_t r = 0; r < rows; r++) {
        lanes value;
        load_lanes(x + r * stride, &value);
        for (int k = 0; k < 16; k++) sums[k] += g[r * rank + k] * value;
    }
    for (int k = 0; k < 16; k++) store_lanes(&sums[k], out + k * out_stride);
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
