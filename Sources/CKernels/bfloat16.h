// Conversions between bfloat16 and float32, for the bodies of kernels.
#ifndef MARTLET_BFLOAT16_H
#define MARTLET_BFLOAT16_H

#include "variants.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Thirty-two floats, as many words, and their halves.
typedef float float_run __attribute__((ext_vector_type(32), aligned(4), may_alias));
typedef uint32_t word_run __attribute__((ext_vector_type(32)));
typedef uint16_t half_pairs __attribute__((ext_vector_type(64)));
typedef uint16_t half_run __attribute__((ext_vector_type(32)));

// Nearest bfloat16 (ties to even) in the low half.
MARTLET_INLINE uint32_t bfloat16_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
    // The carry of rounding could turn a NaN into infinity: keep it a quiet NaN.
    return (bits & 0x7FFFFFFFu) > 0x7F800000u ? ((bits >> 16) | 0x40u) : rounded;
}

// The same of a vector of floats, each in the high half of a word; the low halves are rubbish.
#define ROUNDED_WORDS(words, floats, source, result)                                                                  \
    floats values = *(const floats *)(source);                                                                        \
    words bits;                                                                                                       \
    memcpy(&bits, &values, sizeof bits);                                                                              \
    words result = bits + 0x7FFFu + ((bits >> 16) & 1u);                                                              \
    result = values != values ? (bits | 0x400000u) : result;

// Thirty-two of them together.
MARTLET_INLINE void round_run(const float *source, half_run *target) {
    ROUNDED_WORDS(word_run, float_run, source, rounded)
    half_pairs halves;
    memcpy(&halves, &rounded, sizeof halves);
    *target = __builtin_shufflevector(halves, halves, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31, 33,
                                      35, 37, 39, 41, 43, 45, 47, 49, 51, 53, 55, 57, 59, 61, 63);
}

// The same, by the instruction where the CPU has it. It takes numbers below 2^-126 for zeros.
MARTLET_INLINE uint32_t bfloat16_bits_at(int level, float value) {
#if defined(__x86_64__)
    if (level == MARTLET_ISA_AVX512_BF16) {
        __bf16 rounded = (__bf16)value;
        uint16_t bits;
        memcpy(&bits, &rounded, sizeof bits);
        return bits;
    }
#endif
    return bfloat16_bits(value);
}

#if defined(__x86_64__)
MARTLET_TARGET_AVX512_BF16 MARTLET_INLINE void convert_run(const float *source, half_run *target) {
    *target = (half_run)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(source + 16), _mm512_loadu_ps(source));
}
#define ROUND_RUN(level) ((level) == MARTLET_ISA_AVX512_BF16 ? convert_run : round_run)
#else
#define ROUND_RUN(level) round_run
#endif

MARTLET_INLINE void round_row(int level, int64_t count, const float *x, uint16_t *y) {
    int64_t i = 0;
    for (; i + 32 <= count; i += 32) {
        half_run run;
        ROUND_RUN(level)(x + i, &run);
        memcpy(y + i, &run, sizeof run);
    }
    for (; i < count; i++) y[i] = (uint16_t)bfloat16_bits_at(level, x[i]);
}

MARTLET_INLINE float widened(uint32_t bits) {
    float value;
    bits <<= 16;
    memcpy(&value, &bits, 4);
    return value;
}

#endif
