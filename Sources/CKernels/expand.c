#include "expand.h"

#include <string.h>

// Half-precision scales have 11 bits, 6-bit group scales and 5-bit values little more: wherever a product is followed
// by a sum, the product is exact in float32, so a fused multiply-add gives the same bits as two operations.

// Vector code belongs inside a block. Left to itself the compiler vectorises some of these loops over blocks, with
// gathers and scatters, at a sixth of the speed.
#define FOR_EACH_BLOCK(b) \
    _Pragma("clang loop vectorize(disable)") for (int64_t b = 0; b < block_count; b++)

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

// Integer selects instead of F16C, so that one body vectorises everywhere. Subnormals are made by
// subtracting 2^-14 from a normal number: no denormal operand, hence no slow path and no effect of DAZ.
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

KERNEL(expand_f16, EXPAND_PARAMETERS, (blocks, block_count, out)) {
    for (int64_t i = 0; i < block_count; i++) out[i] = half_to_float(load16(blocks + 2 * i));
}

KERNEL(expand_bf16, EXPAND_PARAMETERS, (blocks, block_count, out)) {
    for (int64_t i = 0; i < block_count; i++) out[i] = float_of_bits((uint32_t)load16(blocks + 2 * i) << 16);
}

// Block: scale d, 32 signed bytes q. x = q·d.
KERNEL(expand_q8_0, EXPAND_PARAMETERS, (blocks, block_count, out)) {
    FOR_EACH_BLOCK(b) {
        const uint8_t *block = blocks + 34 * b;
        const int8_t *q = (const int8_t *)block + 2;
        float *restrict x = out + 32 * b;
        float d = half_to_float(load16(block));
        for (int j = 0; j < 32; j++) x[j] = (float)q[j] * d;
    }
}

// The 32-element blocks of 4 and 5 bits: byte j holds element j in its low and element j + 16 in its high nibble;
// bit i of `high` (0 for 4-bit formats) is the fifth bit of element i. x = (q − centre)·d + m.

// Without a minimum: the sum with m is left away, because −0 + 0 would lose the sign.
MARTLET_INLINE void centred(const uint8_t *q, uint32_t high, int centre, float d, float *restrict x) {
    for (int j = 0; j < 16; j++) x[j] = (float)((int)((q[j] & 15) | (high >> j & 1) << 4) - centre) * d;
    for (int j = 0; j < 16; j++) x[j + 16] = (float)((int)((q[j] >> 4) | (high >> (j + 16) & 1) << 4) - centre) * d;
}

MARTLET_INLINE void with_minimum(const uint8_t *q, uint32_t high, float d, float m, float *restrict x) {
    for (int j = 0; j < 16; j++) x[j] = (float)(int)((q[j] & 15) | (high >> j & 1) << 4) * d + m;
    for (int j = 0; j < 16; j++) x[j + 16] = (float)(int)((q[j] >> 4) | (high >> (j + 16) & 1) << 4) * d + m;
}

// Block: d, 16 bytes.
KERNEL(expand_q4_0, EXPAND_PARAMETERS, (blocks, block_count, out)) {
    FOR_EACH_BLOCK(b) {
        const uint8_t *block = blocks + 18 * b;
        centred(block + 2, 0, 8, half_to_float(load16(block)), out + 32 * b);
    }
}

// Block: d, minimum m, 16 bytes.
KERNEL(expand_q4_1, EXPAND_PARAMETERS, (blocks, block_count, out)) {
    FOR_EACH_BLOCK(b) {
        const uint8_t *block = blocks + 20 * b;
        with_minimum(block + 4, 0, half_to_float(load16(block)), half_to_float(load16(block + 2)), out + 32 * b);
    }
}

// Block: d, 32 fifth bits, 16 bytes.
KERNEL(expand_q5_0, EXPAND_PARAMETERS, (blocks, block_count, out)) {
    FOR_EACH_BLOCK(b) {
        const uint8_t *block = blocks + 22 * b;
        centred(block + 6, load32(block + 2), 16, half_to_float(load16(block)), out + 32 * b);
    }
}

// Block: d, m, 32 fifth bits, 16 bytes.
KERNEL(expand_q5_1, EXPAND_PARAMETERS, (blocks, block_count, out)) {
    FOR_EACH_BLOCK(b) {
        const uint8_t *block = blocks + 24 * b;
        with_minimum(
            block + 8, load32(block + 4), half_to_float(load16(block)), half_to_float(load16(block + 2)),
            out + 32 * b);
    }
}

// The 256-element blocks have eight groups of 32. Twelve bytes hold eight 6-bit scales and eight 6-bit minima:
// bytes 0…3 and 4…7 the first four of each, with two bits of the other four on top; bytes 8…11 the low nibbles.
MARTLET_INLINE void scales_and_minima(const uint8_t *block, float *restrict scale, float *restrict minimum) {
    float d = half_to_float(load16(block)), d_minimum = half_to_float(load16(block + 2));
    const uint8_t *packed = block + 4;
    for (int j = 0; j < 4; j++) {
        uint8_t s = packed[j], m = packed[j + 4], low = packed[j + 8];
        scale[j] = d * (float)(s & 63);
        minimum[j] = d_minimum * (float)(m & 63);
        scale[j + 4] = d * (float)((low & 15) | (s >> 6) << 4);
        minimum[j + 4] = d_minimum * (float)((low >> 4) | (m >> 6) << 4);
    }
}

// Block: d, d of the minima, 12 bytes of scales, 128 bytes: each 32 of them hold two groups, low nibbles first.
KERNEL(expand_q4_K, EXPAND_PARAMETERS, (blocks, block_count, out)) {
    FOR_EACH_BLOCK(b) {
        const uint8_t *block = blocks + 144 * b;
        float scale[8], minimum[8];
        scales_and_minima(block, scale, minimum);
        for (int pair = 0; pair < 4; pair++) {
            const uint8_t *q = block + 16 + 32 * pair;
            float *restrict x = out + 256 * b + 64 * pair;
            float d0 = scale[2 * pair], m0 = minimum[2 * pair], d1 = scale[2 * pair + 1], m1 = minimum[2 * pair + 1];
            for (int l = 0; l < 32; l++) x[l] = d0 * (float)(q[l] & 15) - m0;
            for (int l = 0; l < 32; l++) x[l + 32] = d1 * (float)(q[l] >> 4) - m1;
        }
    }
}

// As q4_K, with 32 bytes of fifth bits before the nibbles: bit g of byte l belongs to element l of group g.
KERNEL(expand_q5_K, EXPAND_PARAMETERS, (blocks, block_count, out)) {
    FOR_EACH_BLOCK(b) {
        const uint8_t *block = blocks + 176 * b, *high = block + 16;
        float scale[8], minimum[8];
        scales_and_minima(block, scale, minimum);
        for (int pair = 0; pair < 4; pair++) {
            const uint8_t *q = block + 48 + 32 * pair;
            float *restrict x = out + 256 * b + 64 * pair;
            int g = 2 * pair;
            float d0 = scale[g], m0 = minimum[g], d1 = scale[g + 1], m1 = minimum[g + 1];
            for (int l = 0; l < 32; l++) x[l] = d0 * (float)((q[l] & 15) | (high[l] >> g & 1) << 4) - m0;
            for (int l = 0; l < 32; l++) {
                x[l + 32] = d1 * (float)((q[l] >> 4) | (high[l] >> (g + 1) & 1) << 4) - m1;
            }
        }
    }
}

// Block: 128 bytes of low nibbles, 64 bytes of upper bit pairs, 16 signed scales (one per 16 elements), d.
// Each half of 128 elements: 64 bytes give elements 0…63 by their low and 64…127 by their high nibbles; upper byte l
// holds the pairs of elements l, l + 32, l + 64, l + 96. x = (d·scale)·(q − 32).
KERNEL(expand_q6_K, EXPAND_PARAMETERS, (blocks, block_count, out)) {
    FOR_EACH_BLOCK(b) {
        const uint8_t *block = blocks + 210 * b;
        float d = half_to_float(load16(block + 208));
        for (int quarter = 0; quarter < 8; quarter++) {
            int half = quarter / 4, part = quarter % 4;
            const uint8_t *low = block + 64 * half + 32 * (part % 2), *high = block + 128 + 32 * half;
            const int8_t *s = (const int8_t *)block + 192 + 2 * quarter;
            float *restrict x = out + 256 * b + 32 * quarter;
            float d0 = d * (float)s[0], d1 = d * (float)s[1];
            int low_shift = 4 * (part / 2), high_shift = 2 * part;
            for (int l = 0; l < 32; l++) {
                int q = (low[l] >> low_shift & 15) | (high[l] >> high_shift & 3) << 4;
                x[l] = (l < 16 ? d0 : d1) * (float)(q - 32);
            }
        }
    }
}

// OCP microscaling: a 4-bit float is sign, two bits of exponent and one of mantissa (0, ½, 1, 1½, 2, 3, 4, 6), a scale
// the exponent of a power of two, 2^(s − 127). Products are exact unless they leave the range of float32. Numbers are
// doubled and scales halved, so that the largest scale is finite too.
MARTLET_INLINE float doubled_tiny_float(uint32_t code) {
    uint32_t magnitude = code & 7;
    // From 1 on, exponent and mantissa stand where a float32 has them; below, there is only ½.
    uint32_t normal = (magnitude << 22) + ((uint32_t)127 << 23);
    uint32_t bits = magnitude >= 2 ? normal : magnitude * 0x3f800000;
    return float_of_bits(bits | (code & 8) << 28);
}

MARTLET_INLINE float half_power_of_two(uint8_t biased) {
    return float_of_bits(biased >= 2 ? (uint32_t)(biased - 1) << 23 : (uint32_t)0x00200000 << biased);
}

// Block: scale, 16 bytes; byte j holds element j in its low and element j + 16 in its high nibble.
KERNEL(expand_mxfp4, EXPAND_PARAMETERS, (blocks, block_count, out)) {
    FOR_EACH_BLOCK(b) {
        const uint8_t *block = blocks + 17 * b;
        float *restrict x = out + 32 * b;
        float d = half_power_of_two(block[0]);
        for (int j = 0; j < 16; j++) x[j] = doubled_tiny_float(block[1 + j] & 15) * d;
        for (int j = 0; j < 16; j++) x[j + 16] = doubled_tiny_float(block[1 + j] >> 4) * d;
    }
}

KERNEL(expand_microscaled, EXPAND_MICROSCALED_PARAMETERS, (codes, scales, block_count, out)) {
    FOR_EACH_BLOCK(b) {
        const uint8_t *code = codes + 16 * b;
        float *restrict x = out + 32 * b;
        float d = half_power_of_two(scales[b]);
        for (int j = 0; j < 32; j++) x[j] = doubled_tiny_float((uint32_t)code[j / 2] >> 4 * (j % 2) & 15) * d;
    }
}
