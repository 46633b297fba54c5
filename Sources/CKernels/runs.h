// How numbers of stored weights come into registers: what expand.c writes down and dot.c multiplies. blocks.h has the
// formats.
//
// All formats are read in runs of 32 numbers. A number is a small one, as it is coded, times a scale, plus a minimum
// where the format has one. Half-precision scales have 11 bits, 6-bit group scales and codes little more: wherever a
// product is followed by a sum, the product is exact in float32, so a fused multiply-add gives the same bits as two
// operations.
#ifndef MARTLET_RUNS_H
#define MARTLET_RUNS_H

#include "bfloat16.h"
#include "lanes.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Numbers of a run, and runs of a block at most.
enum { RUN = 2 * LANES, MOST_RUNS = 8 };

// What a run is multiplied with, and what its second number is.
enum scaling { UNSCALED, ONE_SCALE, SCALE_AND_MINIMUM, SCALE_OF_EACH_HALF };

// What rounding to bfloat16 meets: any float32; zeros and numbers of at most 23 bits far from the ends of float32's
// range; bfloat16.
enum rounding { ANY_BITS, FEW_BITS, NO_BITS };

struct block_format {
    // Of a block, which is a number of whole runs.
    int64_t elements, bytes;
    enum scaling scaling;
    enum rounding rounding;
    // Two floats for each run of a block, of which the second may be rubbish with ONE_SCALE.
    void (*scales)(int level, const uint8_t *block, float *scales);
    // A run of a block as it is coded, without scale and minimum.
    void (*run)(int level, const uint8_t *block, int run, lanes *numbers);
    // Formats of 4 bits have these two instead: codes of a run in the low four bits of integers, and what codes stand
    // for.
    void (*codes)(const uint8_t *block, int run, lane_integers *codes);
    void (*values)(const lane_integers *codes, lanes *numbers);
    // One number, where rows need not be whole runs.
    float (*one)(const uint8_t *number);
};

// to = table[codes & 15], for instruction sets that look up sixteen numbers at once.
typedef void look_up(const lanes *table, const lane_integers *codes, lanes *to);

#if defined(__x86_64__)
MARTLET_TARGET_AVX512 MARTLET_INLINE void look_up_avx512(const lanes *table, const lane_integers *codes, lanes *to) {
    *to = (lanes)_mm512_permutexvar_ps((__m512i)*codes, (__m512)*table);
}
#define LOOK_UP(level) ((level) >= MARTLET_ISA_AVX512 ? look_up_avx512 : (look_up *)0)
#else
#define LOOK_UP(level) (look_up *)0
#endif

// Rounds to bfloat16, ties to even.
MARTLET_INLINE void round_lanes(enum rounding rounding, lanes *numbers) {
    if (rounding == FEW_BITS) {
        // Beside 65536 times itself there is room for eight bits of a number. Ties are as if that were not there: the
        // last of its 24 bits is none.
        lanes sum = *numbers * 65536.0f + *numbers;
        *numbers = sum - *numbers * 65536.0f;
    } else if (rounding == ANY_BITS) {
        ROUNDED_WORDS(lane_bits, lanes, numbers, rounded)
        rounded &= 0xFFFF0000u;
        memcpy(numbers, &rounded, sizeof rounded);
    }
}

// Coded numbers, of the first or the second half of a run, become those that they stand for.
MARTLET_INLINE void scale_lanes(const struct block_format *format, const float *scales, int half, int round,
                                lanes *numbers) {
    // Without a minimum the sum is left away: −0 + 0 would lose the sign.
    if (format->scaling == SCALE_AND_MINIMUM)
        *numbers = *numbers * scales[0] + scales[1];
    else if (format->scaling != UNSCALED)
        *numbers *= scales[format->scaling == SCALE_OF_EACH_HALF ? half : 0];
    if (round) round_lanes(format->rounding, numbers);
}

// A run of a block, whose scales are decoded, rounded to bfloat16 (nearest even) if asked.
MARTLET_INLINE void run_numbers(const struct block_format *format, int level, const uint8_t *block, int run,
                                const float *scales, int round, lanes *numbers) {
    lane_integers codes[2] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};
    if (format->codes && LOOK_UP(level)) {
        // Two lookups cost less than scaling twice, and rounding is done once for both.
        lanes table;
        format->values(codes, &table);
        scale_lanes(format, scales, 0, round, &table);
        format->codes(block, run, codes);
        UNROLLED for (int j = 0; j < 2; j++) LOOK_UP(level)(&table, &codes[j], &numbers[j]);
        return;
    }
    if (format->codes) {
        format->codes(block, run, codes);
        UNROLLED for (int j = 0; j < 2; j++) {
            codes[j] &= 15;
            format->values(&codes[j], &numbers[j]);
        }
    } else {
        format->run(level, block, run, numbers);
    }
    UNROLLED for (int j = 0; j < 2; j++) scale_lanes(format, scales, j, round, &numbers[j]);
}

#endif
