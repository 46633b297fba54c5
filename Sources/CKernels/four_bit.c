#include "bfloat16.h"
#include "four_bit.h"

#include <math.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

// bitsandbytes rounds the product of a nested scale before it adds the offset.
#pragma STDC FP_CONTRACT OFF

// The block that an element lies in. Blocks are counted on: a division costs as much as the elements of one.
struct position {
    int64_t block, end, group, blocks_left;
};

MARTLET_INLINE struct position position_of(const struct martlet_four_bit *matrix, int64_t element) {
    int64_t block = element / matrix->block_size, group = matrix->scales ? 0 : block / matrix->group_size;
    return (struct position){block, (block + 1) * matrix->block_size, group, (group + 1) * matrix->group_size - block};
}

MARTLET_INLINE void move_on(const struct martlet_four_bit *matrix, struct position *at) {
    at->block++;
    at->end += matrix->block_size;
    if (matrix->scales || --at->blocks_left > 0) return;
    at->group++;
    at->blocks_left = matrix->group_size;
}

MARTLET_INLINE float block_scale(const struct martlet_four_bit *matrix, const struct position *at) {
    if (matrix->scales) {
        float scale;
        memcpy(&scale, matrix->scales + 4 * at->block, sizeof scale);
        return scale;
    }
    float product = matrix->scale_table[matrix->scale_codes[at->block]] * matrix->group_scales[at->group];
    return product + matrix->offset;
}

// --- Expansion ---------------------------------------------------------------------------------------------------

// `bytes` whole bytes, 2 * bytes elements.
typedef void expand_bytes(const uint8_t *codes, int64_t bytes, const float *table, float scale, float *out);

// Elements [first, first + count), block by block; whole bytes go through `expand`.
MARTLET_INLINE void expand_blocks(const struct martlet_four_bit *matrix, int64_t first, int64_t count, float *out,
                                  expand_bytes *expand) {
    int64_t end = first + count;
    struct position at = position_of(matrix, first);
    for (int64_t i = first; i < end; move_on(matrix, &at)) {
        int64_t stop = at.end < end ? at.end : end;
        float scale = block_scale(matrix, &at);
        if (i % 2 == 1) {
            *out++ = matrix->table[matrix->codes[i / 2] & 15] * scale;
            i++;
        }
        int64_t bytes = (stop - i) / 2;
        expand(matrix->codes + i / 2, bytes, matrix->table, scale, out);
        out += 2 * bytes;
        i += 2 * bytes;
        if (i < stop) {
            *out++ = matrix->table[matrix->codes[i / 2] >> 4] * scale;
            i++;
        }
    }
}

static void expand_bytes_portable(const uint8_t *codes, int64_t bytes, const float *table, float scale, float *out) {
    for (int64_t b = 0; b < bytes; b++) {
        out[2 * b] = table[codes[b] >> 4] * scale;
        out[2 * b + 1] = table[codes[b] & 15] * scale;
    }
}

void martlet_expand_four_bit_portable(const struct martlet_four_bit *matrix, int64_t first, int64_t count, float *out) {
    expand_blocks(matrix, first, count, out, expand_bytes_portable);
}

#if defined(__x86_64__)

// The sixteen nibbles of eight bytes, in the order of their elements.
#define NIBBLES(codes)                                                                                                \
    __m128i packed = _mm_loadl_epi64((const __m128i *)(codes));                                                       \
    __m128i mask = _mm_set1_epi8(15);                                                                                 \
    __m128i nibbles = _mm_unpacklo_epi8(_mm_and_si128(_mm_srli_epi16(packed, 4), mask), _mm_and_si128(packed, mask))

MARTLET_TARGET_AVX512 static void expand_bytes_avx512(const uint8_t *codes, int64_t bytes, const float *table,
                                                      float scale, float *out) {
    __m512 entries = _mm512_mul_ps(_mm512_loadu_ps(table), _mm512_set1_ps(scale));
    int64_t b = 0;
    for (; b + 8 <= bytes; b += 8) {
        NIBBLES(codes + b);
        _mm512_storeu_ps(out + 2 * b, _mm512_permutexvar_ps(_mm512_cvtepu8_epi32(nibbles), entries));
    }
    expand_bytes_portable(codes + b, bytes - b, table, scale, out + 2 * b);
}

MARTLET_TARGET_AVX512 void martlet_expand_four_bit_avx512(const struct martlet_four_bit *matrix, int64_t first,
                                                          int64_t count, float *out) {
    expand_blocks(matrix, first, count, out, expand_bytes_avx512);
}

// A permutation of eight looks only at three bits of its index; the fourth chooses between the halves of the table.
MARTLET_TARGET_AVX2 static __m256 look_up_eight(__m256i index, __m256 low, __m256 high) {
    __m256 is_high = _mm256_castsi256_ps(_mm256_slli_epi32(index, 28));
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, index), _mm256_permutevar8x32_ps(high, index), is_high);
}

MARTLET_TARGET_AVX2 static void expand_bytes_avx2(const uint8_t *codes, int64_t bytes, const float *table, float scale,
                                                  float *out) {
    __m256 low = _mm256_mul_ps(_mm256_loadu_ps(table), _mm256_set1_ps(scale));
    __m256 high = _mm256_mul_ps(_mm256_loadu_ps(table + 8), _mm256_set1_ps(scale));
    int64_t b = 0;
    for (; b + 8 <= bytes; b += 8) {
        NIBBLES(codes + b);
        _mm256_storeu_ps(out + 2 * b, look_up_eight(_mm256_cvtepu8_epi32(nibbles), low, high));
        __m256i rest = _mm256_cvtepu8_epi32(_mm_srli_si128(nibbles, 8));
        _mm256_storeu_ps(out + 2 * b + 8, look_up_eight(rest, low, high));
    }
    expand_bytes_portable(codes + b, bytes - b, table, scale, out + 2 * b);
}

MARTLET_TARGET_AVX2 void martlet_expand_four_bit_avx2(const struct martlet_four_bit *matrix, int64_t first,
                                                      int64_t count, float *out) {
    expand_blocks(matrix, first, count, out, expand_bytes_avx2);
}

#else

void martlet_expand_four_bit_avx2(const struct martlet_four_bit *matrix, int64_t first, int64_t count, float *out) {
    expand_blocks(matrix, first, count, out, expand_bytes_portable);
}

void martlet_expand_four_bit_avx512(const struct martlet_four_bit *matrix, int64_t first, int64_t count, float *out) {
    expand_blocks(matrix, first, count, out, expand_bytes_portable);
}

#endif

DISPATCH(expand_four_bit, (const struct martlet_four_bit *matrix, int64_t first, int64_t count, float *out),
         (matrix, first, count, out))

// --- Expansion to bfloat16 ---------------------------------------------------------------------------------------

// The sixteen values of a block are rounded once; then elements are looked up.
typedef void look_up_bytes(const uint8_t *codes, int64_t bytes, const uint16_t *values, uint16_t *out);

MARTLET_INLINE void look_up_blocks(const struct martlet_four_bit *matrix, int64_t first, int64_t count, uint16_t *out,
                                   look_up_bytes *look_up) {
    int64_t end = first + count;
    struct position at = position_of(matrix, first);
    for (int64_t i = first; i < end; move_on(matrix, &at)) {
        int64_t stop = at.end < end ? at.end : end;
        float scale = block_scale(matrix, &at);
        uint16_t values[16];
        for (int k = 0; k < 16; k++) values[k] = (uint16_t)bfloat16_bits(matrix->table[k] * scale);
        if (i % 2 == 1) *out++ = values[matrix->codes[i++ / 2] & 15];
        int64_t bytes = (stop - i) / 2;
        look_up(matrix->codes + i / 2, bytes, values, out);
        out += 2 * bytes;
        i += 2 * bytes;
        if (i < stop) *out++ = values[matrix->codes[i++ / 2] >> 4];
    }
}

#define EXPAND_BF16_PARAMETERS (const struct martlet_four_bit *matrix, int64_t first, int64_t count, uint16_t *out)

MARTLET_INLINE void look_up_bytes_portable(const uint8_t *codes, int64_t bytes, const uint16_t *values, uint16_t *out) {
    for (int64_t b = 0; b < bytes; b++) {
        out[2 * b] = values[codes[b] >> 4];
        out[2 * b + 1] = values[codes[b] & 15];
    }
}

void martlet_expand_four_bit_bf16_portable EXPAND_BF16_PARAMETERS {
    look_up_blocks(matrix, first, count, out, look_up_bytes_portable);
}

#if defined(__x86_64__)

// A permutation of bytes looks values up by halves: low bytes and high bytes.
MARTLET_TARGET_AVX2 static void look_up_bytes_avx2(const uint8_t *codes, int64_t bytes, const uint16_t *values,
                                                   uint16_t *out) {
    __m256i both = _mm256_loadu_si256((const __m256i *)values), mask = _mm256_set1_epi16(255);
    __m256i halves = _mm256_packus_epi16(_mm256_and_si256(both, mask), _mm256_srli_epi16(both, 8));
    // packus works within 128 bits: low and high bytes of the first eight values, then those of the others.
    halves = _mm256_permute4x64_epi64(halves, 0xD8);
    __m128i low = _mm256_castsi256_si128(halves), high = _mm256_extracti128_si256(halves, 1);
    int64_t b = 0;
    for (; b + 8 <= bytes; b += 8) {
        NIBBLES(codes + b);
        __m128i l = _mm_shuffle_epi8(low, nibbles), h = _mm_shuffle_epi8(high, nibbles);
        _mm_storeu_si128((__m128i *)(out + 2 * b), _mm_unpacklo_epi8(l, h));
        _mm_storeu_si128((__m128i *)(out + 2 * b + 8), _mm_unpackhi_epi8(l, h));
    }
    look_up_bytes_portable(codes + b, bytes - b, values, out + 2 * b);
}

MARTLET_TARGET_AVX2 void martlet_expand_four_bit_bf16_avx2 EXPAND_BF16_PARAMETERS {
    look_up_blocks(matrix, first, count, out, look_up_bytes_avx2);
}

MARTLET_TARGET_AVX512 static void look_up_bytes_avx512(const uint8_t *codes, int64_t bytes, const uint16_t *values,
                                                       uint16_t *out) {
    __m512i table = _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)values));
    __m128i mask = _mm_set1_epi8(15);
    int64_t b = 0;
    for (; b + 16 <= bytes; b += 16) {
        __m128i packed = _mm_loadu_si128((const __m128i *)(codes + b));
        __m128i high = _mm_and_si128(_mm_srli_epi16(packed, 4), mask), low = _mm_and_si128(packed, mask);
        __m256i nibbles = _mm256_set_m128i(_mm_unpackhi_epi8(high, low), _mm_unpacklo_epi8(high, low));
        _mm512_storeu_si512(out + 2 * b, _mm512_permutexvar_epi16(_mm512_cvtepu8_epi16(nibbles), table));
    }
    look_up_bytes_portable(codes + b, bytes - b, values, out + 2 * b);
}

MARTLET_TARGET_AVX512 void martlet_expand_four_bit_bf16_avx512 EXPAND_BF16_PARAMETERS {
    look_up_blocks(matrix, first, count, out, look_up_bytes_avx512);
}

#else

void martlet_expand_four_bit_bf16_avx2 EXPAND_BF16_PARAMETERS {
    look_up_blocks(matrix, first, count, out, look_up_bytes_portable);
}

void martlet_expand_four_bit_bf16_avx512 EXPAND_BF16_PARAMETERS {
    look_up_blocks(matrix, first, count, out, look_up_bytes_portable);
}

#endif

DISPATCH(expand_four_bit_bf16, EXPAND_BF16_PARAMETERS, (matrix, first, count, out))

// --- Quantisation ------------------------------------------------------------------------------------------------

// Elements that are coded at a time.
enum { STRIP = 64 };

MARTLET_INLINE float absolute_maximum(const float *x, int64_t count) {
    float maximum = 0;
    int32_t bad = 0;
    for (int64_t i = 0; i < count; i++) {
        float a = fabsf(x[i]);
        bad |= !(a < INFINITY);
        maximum = a > maximum ? a : maximum;
    }
    return bad ? NAN : maximum;
}

// The number of bounds below each value: the index of the nearest entry of the table.
MARTLET_INLINE void code_strip(const float *values, int count, const float *bounds, uint8_t *codes) {
    int32_t index[STRIP] = {0};
    for (int k = 0; k < 15; k++) {
        float bound = bounds[k];
        for (int i = 0; i < STRIP; i++) index[i] += values[i] > bound;
    }
    for (int i = 0; i < count; i += 2) codes[i / 2] = (uint8_t)(index[i] << 4 | index[i + 1]);
}

// Full blocks are multiplied with the inverse of their maximum, a short last block is divided by it: the reference
// does so, and the last bit of a quotient decides a code now and then.
KERNEL(quantize_four_bit, (const float *x, int64_t count, int64_t block_size, const float *bounds, uint8_t *codes,
                           float *maxima),
       (x, count, block_size, bounds, codes, maxima)) {
    for (int64_t start = 0; start < count; start += block_size) {
        int is_full = count - start >= block_size;
        int64_t length = is_full ? block_size : count - start;
        float maximum = absolute_maximum(x + start, length);
        float divisor = maximum < 1e-38f ? 1e-38f : maximum;
        float inverse = 1.0f / divisor;
        *maxima++ = is_full ? maximum : divisor;
        for (int64_t i = 0; i < length; i += STRIP) {
            float values[STRIP] = {0};
            int here = length - i < STRIP ? (int)(length - i) : STRIP;
            const float *source = x + start + i;
            if (is_full) {
                for (int j = 0; j < here; j++) values[j] = source[j] * inverse;
            } else {
                for (int j = 0; j < here; j++) values[j] = source[j] / divisor;
            }
            code_strip(values, here, bounds, codes + (start + i) / 2);
        }
    }
}
