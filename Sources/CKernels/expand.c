#include "expand.h"

#include "blocks.h"

// Blocks of a format, a constant in each kernel.
MARTLET_INLINE void expand(const struct block_format *format, int level, const uint8_t *blocks, int64_t count,
                           float *out) {
    for (; count > 0; count--, blocks += format->bytes) {
        float scales[2 * MOST_RUNS];
        if (format->scaling != UNSCALED) format->scales(level, blocks, scales);
        UNROLLED for (int run = 0; run < format->elements / RUN; run++, out += RUN) {
            lanes numbers[2];
            run_numbers(format, level, blocks, run, scales + 2 * run, 0, numbers);
            UNROLLED for (int j = 0; j < 2; j++) store_lanes(&numbers[j], out + j * LANES);
        }
    }
}

// Numbers one by one; those behind the last whole run too.
MARTLET_INLINE void expand_numbers(const struct block_format *format, int level, const uint8_t *from, int64_t count,
                                   float *out) {
    int64_t whole = count / RUN, size = format->bytes / RUN;
    expand(format, level, from, whole, out);
    for (int64_t i = whole * RUN; i < count; i++) out[i] = format->one(from + size * i);
}

#define EXPAND(name, how)                                                                                             \
    KERNEL_BY_LEVEL(expand_##name, EXPAND_PARAMETERS, (blocks, block_count, out)) {                                   \
        how(&name##_format, level, blocks, block_count, out);                                                         \
    }

EXPAND(f16, expand_numbers)
EXPAND(bf16, expand_numbers)
EXPAND(q8_0, expand)
EXPAND(q4_0, expand)
EXPAND(q4_1, expand)
EXPAND(q5_0, expand)
EXPAND(q5_1, expand)
EXPAND(q4_K, expand)
EXPAND(q5_K, expand)
EXPAND(q6_K, expand)
EXPAND(mxfp4, expand)

KERNEL(expand_microscaled, EXPAND_MICROSCALED_PARAMETERS, (codes, scales, block_count, out)) {
    for (int64_t b = 0; b < block_count; b++, codes += 16, out += RUN) {
        float d = half_power_of_two(scales[b]);
        lane_integers pairs[2];
        nibbles(codes, pairs);
        pairs[0] &= 15;
        lanes low, high;
        doubled_tiny_floats(&pairs[0], &low);
        doubled_tiny_floats(&pairs[1], &high);
        low *= d, high *= d;
        lanes first = __builtin_shufflevector(low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        lanes last = __builtin_shufflevector(low, high, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        store_lanes(&first, out);
        store_lanes(&last, out + LANES);
    }
}
