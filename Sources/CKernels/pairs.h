// Pairs of bfloat16, of which the rows of tiles are made.
#ifndef MARTLET_PAIRS_H
#define MARTLET_PAIRS_H

#include "bfloat16.h"
#include "lanes.h"

// Sixteen numbers rounded, each in the high half of a word; the low halves are rubbish.
MARTLET_INLINE void round_lanes(const float *from, lane_bits *words) {
    ROUNDED_WORDS(lane_bits, lanes_anywhere, from, rounded)
    *words = rounded;
}

// Sixteen pairs, `first` in the low halves.
MARTLET_INLINE void round_pair(const float *first, const float *second, lane_bits *pairs) {
    lane_bits low, high;
    round_lanes(first, &low);
    round_lanes(second, &high);
    *pairs = (low >> 16) | (high & 0xFFFF0000u);
}

#if defined(__x86_64__)
MARTLET_TARGET_AVX512_BF16 MARTLET_INLINE void convert_pair(const float *first, const float *second, lane_bits *pairs) {
    half_run one_after_other = (half_run)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(second), _mm512_loadu_ps(first));
    half_run alternating = __builtin_shufflevector(one_after_other, one_after_other, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5,
                                                   21, 6, 22, 7, 23, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14,
                                                   30, 15, 31);
    memcpy(pairs, &alternating, sizeof *pairs);
}
#define ROUND_PAIR(level) ((level) == MARTLET_ISA_AVX512_BF16 ? convert_pair : round_pair)
#else
#define ROUND_PAIR(level) round_pair
#endif

#endif
