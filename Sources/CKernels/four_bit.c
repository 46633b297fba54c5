#include "four_bit_scales.h"

#include <math.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

// --- Expansion ---------------------------------------------------------------------------------------------------

// `bytes` whole bytes, 2 * bytes elements.
typedef void expand_bytes(const uint8_t *codes, int64_t bytes, const float *table, float scale, float *out);

// Elements [first, first + count), block by block; whole bytes go through `expand`.
MARTLET_INLINE void expand_blocks(const struct martlet_four_bit *matrix, int64_t first, int64_t count, float *out,
                                  expand_bytes *expand) {
    int64_t end = first + count;
    if (count <= 0) return;
    struct scale_cursor cursor = scale_cursor_at(matrix, first / matrix->block_size);
    int64_t block_end = (first / matrix->block_size + 1) * matrix->block_size;
    for (int64_t i = first; i < end; block_end += matrix->block_size) {
        int64_t stop = block_end < end ? block_end : end;
        float scale = next_scale(matrix, &cursor);
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
