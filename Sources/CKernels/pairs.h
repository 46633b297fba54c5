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

#endif
