#include "kernels.h"
#include "lanes.h"

// Sixteen columns of some rows of the result, a constant number of them, over `rows` rows.
MARTLET_INLINE void gradient_block(int count, int64_t rows, const float *g, int64_t g_stride, const float *x,
                                   int64_t stride, int accumulate, float *out, int64_t out_stride) {
    lanes sums[16];
    UNROLLED for (int k = 0; k < count; k++) {
        sums[k] = (lanes)0.0f;
        if (accumulate) load_lanes(out + k * out_stride, &sums[k]);
    }
    for (int64_t r = 0; r < rows; r++) {
        lanes value;
        load_lanes(x + r * stride, &value);
        UNROLLED for (int k = 0; k < count; k++) sums[k] += g[r * g_stride + k] * value;
    }
    UNROLLED for (int k = 0; k < count; k++) store_lanes(&sums[k], out + k * out_stride);
}

// The columns behind the last whole sixteen.
MARTLET_INLINE void gradient_rest(int64_t rows, int64_t columns, int64_t rank, const float *g, int64_t g_stride,
                                  const float *x, int64_t stride, int accumulate, float *out, int64_t out_stride) {
    for (int64_t k = 0; k < rank; k++)
        for (int64_t c = 0; c < columns; c++) {
            float sum = accumulate ? out[k * out_stride + c] : 0.0f;
            for (int64_t r = 0; r < rows; r++) sum += g[r * g_stride + k] * x[r * stride + c];
            out[k * out_stride + c] = sum;
        }
}

KERNEL(low_rank_gradient,
       (int64_t rows, int64_t columns, int64_t rank, const float *g, int64_t g_stride, const float *x, int64_t stride,
        int accumulate, float *out, int64_t out_stride),
       (rows, columns, rank, g, g_stride, x, stride, accumulate, out, out_stride)) {
    // A block of rows stays in the second-level cache while its columns are walked.
    const int64_t block = 128, whole = columns / LANES * LANES;
    for (int64_t first = 0; first < rows; first += block, accumulate = 1) {
        int64_t count = rows - first < block ? rows - first : block;
        const float *gs = g + first * g_stride, *xs = x + first * stride;
        for (int64_t c = 0; c < whole; c += LANES) {
            int64_t k = 0;
#define TAKE(most)                                                                                                     \
    for (; k + (most) <= rank; k += (most))                                                                            \
        gradient_block(most, count, gs + k, g_stride, xs + c, stride, accumulate, out + k * out_stride + c, out_stride);
            TAKE(16)
            TAKE(8)
            TAKE(4)
            TAKE(1)
#undef TAKE
        }
        gradient_rest(count, columns - whole, rank, gs, g_stride, xs + whole, stride, accumulate, out + whole, out_stride);
    }
}
