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

typedef uint16_t lane_words __attribute__((ext_vector_type(LANES)));

// Brings sixteen numbers to float16.
MARTLET_INLINE void write_halves(const lanes *values, float factor, uint16_t *halves) {
    float16_lanes rounded = __builtin_convertvector(*values * factor, float16_lanes);
    memcpy(halves, &rounded, sizeof rounded);
}

// The same, each twice in a word.
MARTLET_INLINE void write_words(const lanes *values, float factor, uint32_t *words) {
    lane_words halves;
    write_halves(values, factor, (uint16_t *)&halves);
    lane_bits pairs = __builtin_convertvector(halves, lane_bits);
    pairs |= pairs << 16;
    memcpy(words, &pairs, sizeof pairs);
}

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

// The largest magnitude of rows whose columns are a multiple of 16.
MARTLET_INLINE float largest_of_rows(int64_t rows, int64_t columns, const float *x, int64_t stride) {
    lane_bits most = 0;
    for (int64_t r = 0; r < rows; r++, x += stride)
        for (int64_t c = 0; c < columns; c += LANES) {
            lane_bits bits;
            memcpy(&bits, x + c, sizeof bits);
            most_of(&bits, &most);
        }
    return largest_of(&most);
}

// Such rows in float16.
MARTLET_INLINE void write_rows_of_halves(int64_t rows, int64_t columns, float factor, const float *x, int64_t stride,
                                         uint16_t *halves, int64_t halves_stride) {
    for (int64_t r = 0; r < rows; r++, x += stride, halves += halves_stride)
        for (int64_t c = 0; c < columns; c += LANES) {
            lanes values;
            load_lanes(x + c, &values);
            write_halves(&values, factor, halves + c);
        }
}

// The same as words, in their place.
MARTLET_INLINE void write_rows_of_words(int64_t rows, int64_t columns, float factor, float *x, int64_t stride) {
    for (int64_t r = 0; r < rows; r++, x += stride)
        for (int64_t c = 0; c < columns; c += LANES) {
            lanes values;
            load_lanes(x + c, &values);
            write_words(&values, factor, (uint32_t *)(x + c));
        }
}

#endif
