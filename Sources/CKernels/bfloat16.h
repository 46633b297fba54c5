// Conversions between bfloat16 and float32, for the bodies of kernels.
#ifndef MARTLET_BFLOAT16_H
#define MARTLET_BFLOAT16_H

#include "variants.h"

#include <string.h>

// Nearest bfloat16 (ties to even) in the low half.
MARTLET_INLINE uint32_t bfloat16_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
    // The carry of rounding could turn a NaN into infinity: keep it a quiet NaN.
    return (bits & 0x7FFFFFFFu) > 0x7F800000u ? ((bits >> 16) | 0x40u) : rounded;
}

MARTLET_INLINE float widened(uint32_t bits) {
    float value;
    bits <<= 16;
    memcpy(&value, &bits, 4);
    return value;
}

#endif
