#include "bfloat16.h"
#include "kernels.h"

// Sums that are kept beside one another, and bytes that are fetched ahead of their use.
enum { LANES = 32, AHEAD = 4096 };

// Halves are added to halves: the order depends on nothing, and takes five steps instead of 32.
MARTLET_INLINE float sum_of_lanes(float *lanes) {
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int j = 0; j < width; j++) lanes[j] += lanes[j + width];
    return lanes[0];
}

MARTLET_INLINE float same(float value) { return value; }

// The body of both kernels: `value` turns an element of the weight into a float.
#define DOT_ROWS(value)                                                                                               \
    for (int64_t r = 0; r < rows; r++, w += columns)                                                                  \
        for (int64_t i = 0; i < count; i++) {                                                                         \
            const float *a = x + i * stride;                                                                          \
            float lanes[LANES] = {0};                                                                                 \
            int64_t c = 0;                                                                                            \
            for (; c + LANES <= columns; c += LANES) {                                                                \
                __builtin_prefetch((const char *)(w + c) + AHEAD);                                                    \
                for (int j = 0; j < LANES; j++) lanes[j] += a[c + j] * value(w[c + j]);                               \
            }                                                                                                         \
            for (int j = 0; c + j < columns; j++) lanes[j] += a[c + j] * value(w[c + j]);                             \
            float *target = result + i * result_stride + r, sum = sum_of_lanes(lanes);                                \
            *target = accumulate ? *target + sum : sum;                                                               \
        }

KERNEL(dot_rows, DOT_ROWS_PARAMETERS(float),
       (count, rows, columns, x, stride, w, accumulate, result, result_stride)) {
    DOT_ROWS(same)
}

KERNEL(dot_rows_bfloat16, DOT_ROWS_PARAMETERS(uint16_t),
       (count, rows, columns, x, stride, w, accumulate, result, result_stride)) {
    DOT_ROWS(widened)
}
