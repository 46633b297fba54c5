// Scales that bring numbers into the range of float16.
#ifndef MARTLET_FLOAT16_SCALES_H
#define MARTLET_FLOAT16_SCALES_H

#include "lanes.h"

// A power of two and its inverse.
struct scale {
    float factor, inverse;
};

MARTLET_INLINE float power_of_two(uint32_t biased) {
    uint32_t bits = biased << 23;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

typedef _Float16 float16_lanes __attribute__((ext_vector_type(LANES), aligned(2), may_alias));

// What brings `largest` to between 2^exponent and 2^(exponent + 1). An infinity or a NaN stays what it is.
MARTLET_INLINE struct scale scale_to(uint32_t exponent, float largest) {
    uint32_t bits;
    memcpy(&bits, &largest, sizeof bits);
    uint32_t biased = bits >> 23;
    if (biased == 255) biased = 127 + exponent;
    if (biased == 254 && exponent == 0) biased = 253;
    if (biased <= exponent) biased = exponent + 1;
    return (struct scale){power_of_two(254 + exponent - biased), power_of_two(biased - exponent)};
}

// Magnitudes are in the order of their bits, NaNs behind infinity.
MARTLET_INLINE void most_of(const lane_bits *bits, lane_bits *most) {
    lane_bits magnitudes = *bits & 0x7FFFFFFFu;
    *most = magnitudes > *most ? magnitudes : *most;
}

MARTLET_INLINE float largest_of(const lane_bits *most) {
    uint32_t all = 0;
    UNROLLED for (int i = 0; i < LANES; i++) all = (*most)[i] > all ? (*most)[i] : all;
    float value;
    memcpy(&value, &all, sizeof value);
    return value;
}

#endif
