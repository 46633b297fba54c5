// exp and tanh for vectorised loops: no branches, relative error below 2e-7 and 4e-7 where exp is a number.
#ifndef MARTLET_EXPONENTIAL_H
#define MARTLET_EXPONENTIAL_H

#include "lanes.h"
#include "variants.h"

#include <string.h>

// exp(x) = 2^n * exp(r), n = round(x / ln 2), |r| <= ln 2 / 2; arguments are clipped to [-87, 88]. Adding 1.5 * 2^23 rounds
// to the nearest integer in the default rounding mode and leaves n in the lowest bits. The polynomial is summed in pairs:
// what counts is the length of the chain of operations, which the processor has to look past for other work.
#define EXPONENTIAL_OF(number, bits, argument)                                                                        \
    number x = argument;                                                                                              \
    x = x < (number)-87.0f ? (number)-87.0f : x;                                                                      \
    x = x > (number)88.0f ? (number)88.0f : x;                                                                        \
    number shifted = x * 1.44269504088896f + 12582912.0f;                                                             \
    number n = shifted - 12582912.0f;                                                                                 \
    number r = x - n * 0.693145751953125f;                                                                            \
    r = r - n * 1.42860682030941723e-6f;                                                                              \
    number square = r * r;                                                                                            \
    number high = (r * 1.9875691500e-4f + 1.3981999507e-3f) * square + (r * 8.3334519073e-3f + 4.1665795894e-2f);     \
    number low = r * 1.6666665459e-1f + 5.0000001201e-1f;                                                             \
    number p = (high * square + low) * square + (r + 1.0f);                                                           \
    bits exponent;                                                                                                    \
    memcpy(&exponent, &shifted, sizeof exponent);                                                                     \
    exponent = (exponent << 23) + 0x3F800000u;                                                                        \
    number power;                                                                                                     \
    memcpy(&power, &exponent, sizeof power);

MARTLET_INLINE float exponential(float value) {
    EXPONENTIAL_OF(float, uint32_t, value)
    return p * power;
}

MARTLET_INLINE float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

// The same of sixteen, in place.
MARTLET_INLINE void exponentials_of_lanes(lanes *values) {
    EXPONENTIAL_OF(lanes, lane_bits, *values)
    *values = p * power;
}

// The same of four registers at once, whose chains of operations hide each other.
MARTLET_INLINE void exponentials_of_four(four_lanes *values) {
    EXPONENTIAL_OF(four_lanes, four_lane_bits, *values)
    *values = p * power;
}

// tanh(x) = 1 - 2 / (exp(2x) + 1); near 0, where that cancels, its Taylor series.
MARTLET_INLINE float hyperbolic_tangent(float x) {
    float square = x * x;
    float p = -8.8632355299e-3f;
    p = p * square + 2.1869488536e-2f;
    p = p * square - 5.3968253968e-2f;
    p = p * square + 1.3333333333e-1f;
    p = p * square - 3.3333333333e-1f;
    float series = p * square * x + x;
    float whole = 1.0f - 2.0f / (exponential(2.0f * x) + 1.0f);
    return square < 0.09f ? series : whole;
}

#endif
