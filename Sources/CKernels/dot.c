#include "bfloat16.h"
#include "kernels.h"
#include "lanes.h"

// Elements whose products are summed beside one another, bytes that are fetched ahead of their use, and rows of x that
// meet a row of the weight together.
enum { WIDTH = 2 * LANES, AHEAD = 4096, TOGETHER = 4 };

typedef uint16_t sixteen_bits __attribute__((ext_vector_type(16), aligned(2), may_alias));

MARTLET_INLINE void load_float(const float *from, lanes *to) { load_lanes(from, to); }

MARTLET_INLINE void load_bfloat16(const uint16_t *from, lanes *to) {
    lane_bits bits = __builtin_convertvector(*(const sixteen_bits *)from, lane_bits) << 16;
    memcpy(to, &bits, sizeof bits);
}

MARTLET_INLINE float same(float value) { return value; }

// Some rows of x, a constant number, with a row of the weight. `load` and `value` turn elements of it into floats.
#define DOTS(together, load, value)                                                                                   \
    {                                                                                                                 \
        const float *a = x + i * stride;                                                                              \
        lanes sums[together][2];                                                                                      \
        UNROLLED for (int k = 0; k < together; k++) sums[k][0] = sums[k][1] = (lanes)0.0f;                            \
        int64_t c = 0;                                                                                                \
        for (; c + WIDTH <= columns; c += WIDTH) {                                                                    \
            lanes weights[2];                                                                                         \
            __builtin_prefetch((const char *)(w + c) + AHEAD);                                                        \
            load(w + c, &weights[0]);                                                                                 \
            load(w + c + LANES, &weights[1]);                                                                         \
            UNROLLED for (int k = 0; k < together; k++)                                                               \
                UNROLLED for (int j = 0; j < 2; j++) {                                                                \
                    lanes values;                                                                                     \
                    load_lanes(a + k * stride + c + j * LANES, &values);                                              \
                    sums[k][j] += values * weights[j];                                                                \
                }                                                                                                     \
        }                                                                                                             \
        UNROLLED for (int k = 0; k < together; k++) {                                                                 \
            float rest[WIDTH];                                                                                        \
            store_lanes(&sums[k][0], rest);                                                                           \
            store_lanes(&sums[k][1], rest + LANES);                                                                   \
            for (int j = 0; c + j < columns; j++) rest[j] += a[k * stride + c + j] * value(w[c + j]);                 \
            lanes low, high;                                                                                          \
            load_lanes(rest, &low);                                                                                   \
            load_lanes(rest + LANES, &high);                                                                          \
            low += high;                                                                                              \
            float *target = result + (i + k) * result_stride + r, sum = sum_by_halves(&low);                          \
            *target = accumulate ? *target + sum : sum;                                                               \
        }                                                                                                             \
        i += together;                                                                                                \
    }

// The body of both kernels. A number is the same whichever rows it is computed with.
#define DOT_ROWS(load, value)                                                                                         \
    for (int64_t r = 0; r < rows; r++, w += columns) {                                                                \
        int64_t i = 0;                                                                                                \
        while (i + TOGETHER <= count) DOTS(TOGETHER, load, value)                                                     \
        if (i + 2 <= count) DOTS(2, load, value)                                                                      \
        if (i < count) DOTS(1, load, value)                                                                           \
    }

KERNEL(dot_rows, DOT_ROWS_PARAMETERS(float),
       (count, rows, columns, x, stride, w, accumulate, result, result_stride)) {
    DOT_ROWS(load_float, same)
}

KERNEL(dot_rows_bfloat16, DOT_ROWS_PARAMETERS(uint16_t),
       (count, rows, columns, x, stride, w, accumulate, result, result_stride)) {
    DOT_ROWS(load_bfloat16, widened)
}
