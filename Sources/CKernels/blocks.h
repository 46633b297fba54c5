// The stored weight formats, as runs.h reads them.
#ifndef MARTLET_BLOCKS_H
#define MARTLET_BLOCKS_H

#include "runs.h"

// --- Loads -------------------------------------------------------------------------------------------------------

typedef uint8_t sixteen_bytes __attribute__((ext_vector_type(16), aligned(1), may_alias));
typedef int8_t sixteen_signed __attribute__((ext_vector_type(16), aligned(1), may_alias));
typedef uint8_t run_bytes __attribute__((ext_vector_type(32), aligned(1), may_alias));
typedef int8_t run_signed __attribute__((ext_vector_type(32), aligned(1), may_alias));
typedef uint16_t sixteen_words __attribute__((ext_vector_type(16), aligned(1), may_alias));
typedef _Float16 sixteen_halves __attribute__((ext_vector_type(16), aligned(1), may_alias));
typedef _Float16 half_pair __attribute__((ext_vector_type(2), aligned(1), may_alias));
typedef float float_pair __attribute__((ext_vector_type(2)));
typedef float sixteen_floats __attribute__((ext_vector_type(16), aligned(1), may_alias));

MARTLET_INLINE void load_bytes(const uint8_t *from, lane_integers *to) {
    *to = __builtin_convertvector(*(const sixteen_bytes *)from, lane_integers);
}

MARTLET_INLINE void to_floats(const lane_integers *codes, lanes *to) { *to = __builtin_convertvector(*codes, lanes); }

MARTLET_INLINE uint16_t load16(const uint8_t *p) {
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

MARTLET_INLINE uint32_t load32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

MARTLET_INLINE float float_of_bits(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

// --- Numbers that are not quantised: a block is a run ------------------------------------------------------------

MARTLET_INLINE float f32_one(const uint8_t *number) { return float_of_bits(load32(number)); }

MARTLET_INLINE void f32_run(int level, const uint8_t *block, int run, lanes *numbers) {
    UNROLLED for (int j = 0; j < 2; j++) numbers[j] = *(const sixteen_floats *)(block + 64 * j);
}

MARTLET_INLINE float bf16_one(const uint8_t *number) { return widened(load16(number)); }

MARTLET_INLINE void bf16_run(int level, const uint8_t *block, int run, lanes *numbers) {
    UNROLLED for (int j = 0; j < 2; j++) {
        lane_bits bits = __builtin_convertvector(*(const sixteen_words *)(block + 32 * j), lane_bits) << 16;
        memcpy(&numbers[j], &bits, sizeof bits);
    }
}

// Integer selects, so that the portable copy vectorises too. Subnormals are made by subtracting 2^-14 from a normal
// number: no denormal operand, hence no slow path and no effect of DAZ.
MARTLET_INLINE float half_to_float(uint16_t h) {
    const uint32_t rebias = (uint32_t)112 << 23;
    uint32_t magnitude = (uint32_t)(h & 0x7fff) << 13;
    uint32_t exponent = magnitude & 0x0f800000;
    uint32_t normal = magnitude + rebias;
    uint32_t special = normal + rebias;
    float subnormal = float_of_bits(normal + (1u << 23)) - float_of_bits((uint32_t)113 << 23);
    uint32_t subnormal_bits;
    memcpy(&subnormal_bits, &subnormal, sizeof subnormal_bits);
    uint32_t bits = exponent == 0 ? subnormal_bits : exponent == 0x0f800000 ? special : normal;
    return float_of_bits(bits | (uint32_t)(h & 0x8000) << 16);
}

MARTLET_INLINE float f16_one(const uint8_t *number) { return half_to_float(load16(number)); }

MARTLET_INLINE void f16_run(int level, const uint8_t *block, int run, lanes *numbers) {
    UNROLLED for (int j = 0; j < 2; j++, block += 2 * LANES) {
        if (level == MARTLET_ISA_PORTABLE) {
            float values[LANES];
            for (int k = 0; k < LANES; k++) values[k] = half_to_float(load16(block + 2 * k));
            load_lanes(values, &numbers[j]);
        } else {
            numbers[j] = __builtin_convertvector(*(const sixteen_halves *)block, lanes);
        }
    }
}

// --- Blocks of 32 ------------------------------------------------------------------------------------------------

// Two half-precision numbers. By integers, one after the other, that costs as much as all else.
MARTLET_INLINE void two_halves(int level, const uint8_t *from, float *to) {
    if (level == MARTLET_ISA_PORTABLE) {
        for (int k = 0; k < 2; k++) to[k] = half_to_float(load16(from + 2 * k));
    } else {
        float_pair pair = __builtin_convertvector(*(const half_pair *)from, float_pair);
        memcpy(to, &pair, sizeof pair);
    }
}

// The scales of a block that begins with one or two halves.
MARTLET_INLINE void leading_scales(int level, const uint8_t *block, float *scales) { two_halves(level, block, scales); }

// Block: scale d, 32 signed bytes q. x = q·d.
MARTLET_INLINE void q8_0_run(int level, const uint8_t *block, int run, lanes *numbers) {
    UNROLLED for (int j = 0; j < 2; j++) {
        sixteen_signed bytes = *(const sixteen_signed *)(block + 2 + 16 * j);
        lane_integers codes = __builtin_convertvector(bytes, lane_integers);
        to_floats(&codes, &numbers[j]);
    }
}

// The blocks of 4 and 5 bits: byte j holds element j in its low and element j + 16 in its high nibble; bit i of `high`
// is the fifth bit of element i. x = (q − centre)·d + m.
MARTLET_INLINE void nibbles(const uint8_t *bytes, lane_integers *codes) {
    load_bytes(bytes, &codes[0]);
    codes[1] = codes[0] >> 4;
}

MARTLET_INLINE void less_eight(const lane_integers *codes, lanes *numbers) {
    lane_integers centred = *codes - 8;
    to_floats(&centred, numbers);
}

// Block: d, 16 bytes.
MARTLET_INLINE void q4_0_codes(const uint8_t *block, int run, lane_integers *codes) { nibbles(block + 2, codes); }

// Block: d, minimum m, 16 bytes.
MARTLET_INLINE void q4_1_codes(const uint8_t *block, int run, lane_integers *codes) { nibbles(block + 4, codes); }

// Numbers with a fifth bit count from `upper` on, those without it from `lower` on.
MARTLET_INLINE void five_bits(const uint8_t *bytes, uint32_t fifth, int lower, int upper, lanes *numbers) {
    const lane_integers place = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768};
    lane_integers codes[2];
    nibbles(bytes, codes);
    codes[0] &= 15;
    UNROLLED for (int j = 0; j < 2; j++) {
        lane_integers is_upper = ((int32_t)(fifth >> 16 * j) & place) != 0;
        codes[j] = is_upper ? codes[j] + upper : codes[j] + lower;
        to_floats(&codes[j], &numbers[j]);
    }
}

// Block: d, 32 fifth bits, 16 bytes.
MARTLET_INLINE void q5_0_run(int level, const uint8_t *block, int run, lanes *numbers) {
    five_bits(block + 6, load32(block + 2), -16, 0, numbers);
}

// Block: d, m, 32 fifth bits, 16 bytes.
MARTLET_INLINE void q5_1_run(int level, const uint8_t *block, int run, lanes *numbers) {
    five_bits(block + 8, load32(block + 4), 0, 16, numbers);
}

// OCP microscaling: a 4-bit float is sign, two bits of exponent and one of mantissa (0, ½, 1, 1½, 2, 3, 4, 6), a scale
// the exponent of a power of two, 2^(s − 127). Products are exact unless they leave the range of float32. Numbers are
// doubled and scales halved, so that the largest scale is finite too.
MARTLET_INLINE void doubled_tiny_floats(const lane_integers *codes, lanes *numbers) {
    lane_integers magnitude = *codes & 7;
    // From 1 on, exponent and mantissa stand where a float32 has them; below, there is only ½.
    lane_integers normal = (magnitude << 22) + 0x3f800000;
    lane_integers bits = magnitude >= 2 ? normal : -magnitude & 0x3f800000;
    bits |= (*codes & 8) << 28;
    memcpy(numbers, &bits, sizeof bits);
}

MARTLET_INLINE float half_power_of_two(uint8_t biased) {
    return float_of_bits(biased >= 2 ? (uint32_t)(biased - 1) << 23 : (uint32_t)0x00200000 << biased);
}

// Block: scale, 16 bytes.
MARTLET_INLINE void mxfp4_scales(int level, const uint8_t *block, float *scales) {
    scales[0] = half_power_of_two(block[0]);
}

MARTLET_INLINE void mxfp4_codes(const uint8_t *block, int run, lane_integers *codes) { nibbles(block + 1, codes); }

// --- Blocks of 256 -----------------------------------------------------------------------------------------------

// Eight runs. Behind d and the d of the minima, which are taken off, twelve bytes hold eight 6-bit scales and as many
// minima: bytes 0…3 and 4…7 the first four of each, with two bits of the other four on top; bytes 8…11 the low nibbles.
MARTLET_INLINE void scales_and_minima(int level, const uint8_t *block, float *scales) {
    float d[2];
    two_halves(level, block, d);
    uint32_t s = load32(block + 4), m = load32(block + 8), low = load32(block + 12);
    uint32_t words[4] = {s & 0x3f3f3f3f, (low & 0x0f0f0f0f) | (s >> 2 & 0x30303030), m & 0x3f3f3f3f,
                         (low >> 4 & 0x0f0f0f0f) | (m >> 2 & 0x30303030)};
    sixteen_bytes bytes;
    memcpy(&bytes, words, sizeof bytes);
    bytes = __builtin_shufflevector(bytes, bytes, 0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
    lanes pairs = __builtin_convertvector(__builtin_convertvector(bytes, lane_integers), lanes), both;
    both.even = d[0], both.odd = -d[1];
    pairs *= both;
    store_lanes(&pairs, scales);
}

// Block: d, d of the minima, 12 bytes of scales, 128 bytes: each 32 of them hold two runs, low nibbles first.
MARTLET_INLINE void q4_K_codes(const uint8_t *block, int run, lane_integers *codes) {
    UNROLLED for (int j = 0; j < 2; j++) {
        load_bytes(block + 16 + 32 * (run / 2) + 16 * j, &codes[j]);
        codes[j] >>= 4 * (run % 2);
    }
}

// A run of bytes as floats. What is done to bytes costs a quarter of what it costs later.
MARTLET_INLINE void bytes_to_floats(const run_signed *bytes, lanes *numbers) {
    lane_integers codes[2] = {__builtin_convertvector(bytes->lo, lane_integers),
                              __builtin_convertvector(bytes->hi, lane_integers)};
    UNROLLED for (int j = 0; j < 2; j++) to_floats(&codes[j], &numbers[j]);
}

// As q4_K, with 32 bytes of fifth bits before the nibbles: bit g of byte l belongs to element l of run g.
MARTLET_INLINE void q5_K_run(int level, const uint8_t *block, int run, lanes *numbers) {
    run_bytes high = *(const run_bytes *)(block + 16);
    run_bytes q = *(const run_bytes *)(block + 48 + 32 * (run / 2)) >> 4 * (run % 2) & 15;
    run_signed codes = (run_signed)q | (((high & (1 << run)) != 0) & 16);
    bytes_to_floats(&codes, numbers);
}

// Block: 128 bytes of low nibbles, 64 bytes of upper bit pairs, 16 signed scales (one per 16 elements), d.
// Each half of 128 elements: 64 bytes give elements 0…63 by their low and 64…127 by their high nibbles; upper byte l
// holds the pairs of elements l, l + 32, l + 64, l + 96. x = (d·scale)·(q − 32).
MARTLET_INLINE void q6_K_scales(int level, const uint8_t *block, float *scales) {
    float d[2];
    two_halves(level, block + 206, d);
    lane_integers codes = __builtin_convertvector(*(const sixteen_signed *)(block + 192), lane_integers);
    lanes values;
    to_floats(&codes, &values);
    values *= d[1];
    store_lanes(&values, scales);
}

MARTLET_INLINE void q6_K_run(int level, const uint8_t *block, int run, lanes *numbers) {
    int half = run / 4, part = run % 4;
    // All 32 together as bytes, of which a register holds four times as many.
    run_bytes low = *(const run_bytes *)(block + 64 * half + 32 * (part % 2));
    run_bytes high = *(const run_bytes *)(block + 128 + 32 * half);
    run_bytes q = (low >> 4 * (part / 2) & 15) | (high >> 2 * part & 3) << 4;
    run_signed centred = (run_signed)(q - 32);
    bytes_to_floats(&centred, numbers);
}

// --- The formats -------------------------------------------------------------------------------------------------

static const struct block_format
    f32_format = {RUN, 128, UNSCALED, ANY_BITS, .run = f32_run, .one = f32_one},
    f16_format = {RUN, 64, UNSCALED, FEW_BITS, .run = f16_run, .one = f16_one},
    bf16_format = {RUN, 64, UNSCALED, NO_BITS, .run = bf16_run, .one = bf16_one},
    q8_0_format = {RUN, 34, ONE_SCALE, FEW_BITS, leading_scales, .run = q8_0_run},
    q4_0_format = {RUN, 18, ONE_SCALE, FEW_BITS, leading_scales, .codes = q4_0_codes, .values = less_eight},
    q4_1_format = {RUN, 20, SCALE_AND_MINIMUM, ANY_BITS, leading_scales, .codes = q4_1_codes, .values = to_floats},
    q5_0_format = {RUN, 22, ONE_SCALE, FEW_BITS, leading_scales, .run = q5_0_run},
    q5_1_format = {RUN, 24, SCALE_AND_MINIMUM, ANY_BITS, leading_scales, .run = q5_1_run},
    mxfp4_format = {RUN, 17, ONE_SCALE, ANY_BITS, mxfp4_scales, .codes = mxfp4_codes, .values = doubled_tiny_floats},
    q4_K_format = {256, 144, SCALE_AND_MINIMUM, ANY_BITS, scales_and_minima, .codes = q4_K_codes, .values = to_floats},
    q5_K_format = {256, 176, SCALE_AND_MINIMUM, ANY_BITS, scales_and_minima, .run = q5_K_run},
    q6_K_format = {256, 210, SCALE_OF_EACH_HALF, FEW_BITS, q6_K_scales, .run = q6_K_run};

#endif
