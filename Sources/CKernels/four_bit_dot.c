#include "bfloat16.h"
#include "four_bit_scales.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// One row: `blocks` blocks of `bytes` bytes, a multiple of 16, the first of which `at` stands at.
typedef float dot_row(const struct martlet_four_bit *matrix, struct position at, const uint8_t *codes,
                      int64_t blocks, int64_t bytes, const float *even, const float *odd, int round);

// What the sixteen codes of a block stand for.
MARTLET_INLINE void block_entries(const struct martlet_four_bit *matrix, struct position *at, int round,
                                  float *entries) {
    float scale = block_scale(matrix, at);
    move_on(matrix, at);
    for (int k = 0; k < 16; k++) entries[k] = matrix->table[k] * scale;
    if (round)
        for (int k = 0; k < 16; k++) entries[k] = widened(bfloat16_bits(entries[k]));
}

MARTLET_INLINE void dot_all_rows(const struct martlet_four_bit *matrix, int64_t count, int64_t first, int64_t rows,
                                 int64_t columns, const float *even, const float *odd, int round, int accumulate,
                                 float *result, int64_t result_stride, dot_row *dot) {
    int64_t blocks = columns / matrix->block_size, half = columns / 2;
    const uint8_t *codes = matrix->codes + first * half;
    struct position at = position_of(matrix, first * columns);
    for (int64_t r = 0; r < rows; r++, codes += half) {
        for (int64_t i = 0; i < count; i++) {
            float *target = result + i * result_stride + r;
            float sum = dot(matrix, at, codes, blocks, matrix->block_size / 2, even + i * half, odd + i * half, round);
            *target = accumulate ? *target + sum : sum;
        }
        skip_blocks(matrix, &at, blocks);
    }
}

#define DOT_ALL_ROWS(dot) \
    dot_all_rows(matrix, count, first, rows, columns, even, odd, round, accumulate, result, result_stride, dot)

MARTLET_INLINE float dot_row_portable(const struct martlet_four_bit *matrix, struct position at,
                                      const uint8_t *codes, int64_t blocks, int64_t bytes, const float *even,
                                      const float *odd, int round) {
    float entries[16], high = 0, low = 0;
    for (; blocks > 0; blocks--, codes += bytes, even += bytes, odd += bytes) {
        block_entries(matrix, &at, round, entries);
        for (int64_t b = 0; b < bytes; b++) {
            high += entries[codes[b] >> 4] * even[b];
            low += entries[codes[b] & 15] * odd[b];
        }
    }
    return high + low;
}

void martlet_dot_rows_four_bit_portable DOT_ROWS_FOUR_BIT_PARAMETERS { DOT_ALL_ROWS(dot_row_portable); }

#if defined(__x86_64__)

// A look-up in a register of sixteen needs only the low four bits of an index: low nibbles are not masked.
MARTLET_TARGET_AVX512 MARTLET_INLINE float dot_row_avx512(const struct martlet_four_bit *matrix,
                                                          struct position at, const uint8_t *codes,
                                                          int64_t blocks, int64_t bytes, const float *even,
                                                          const float *odd, int round) {
    __m512 high = _mm512_setzero_ps(), low = _mm512_setzero_ps();
    for (; blocks > 0; blocks--, codes += bytes, even += bytes, odd += bytes) {
        float entries[16];
        block_entries(matrix, &at, round, entries);
        __m512 table = _mm512_loadu_ps(entries);
        for (int64_t b = 0; b < bytes; b += 16) {
            __m512i index = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(codes + b)));
            __m512 first = _mm512_permutexvar_ps(_mm512_srli_epi32(index, 4), table);
            high = _mm512_fmadd_ps(first, _mm512_loadu_ps(even + b), high);
            low = _mm512_fmadd_ps(_mm512_permutexvar_ps(index, table), _mm512_loadu_ps(odd + b), low);
        }
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(high, low));
}

MARTLET_TARGET_AVX512 void martlet_dot_rows_four_bit_avx512 DOT_ROWS_FOUR_BIT_PARAMETERS {
    DOT_ALL_ROWS(dot_row_avx512);
}

// A look-up in a register of eight sees three bits of an index; the fourth chooses between the halves of the table.
MARTLET_TARGET_AVX2 MARTLET_INLINE __m256 look_up(__m256i index, __m256 low, __m256 high) {
    __m256 is_high = _mm256_castsi256_ps(_mm256_slli_epi32(index, 28));
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, index), _mm256_permutevar8x32_ps(high, index), is_high);
}

MARTLET_TARGET_AVX2 MARTLET_INLINE float dot_row_avx2(const struct martlet_four_bit *matrix, struct position at,
                                                      const uint8_t *codes, int64_t blocks, int64_t bytes,
                                                      const float *even, const float *odd, int round) {
    __m256 high = _mm256_setzero_ps(), low = _mm256_setzero_ps();
    for (; blocks > 0; blocks--, codes += bytes, even += bytes, odd += bytes) {
        float entries[16];
        block_entries(matrix, &at, round, entries);
        __m256 lower = _mm256_loadu_ps(entries), upper = _mm256_loadu_ps(entries + 8);
        for (int64_t b = 0; b < bytes; b += 8) {
            __m256i index = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(codes + b)));
            __m256 first = look_up(_mm256_srli_epi32(index, 4), lower, upper);
            high = _mm256_fmadd_ps(first, _mm256_loadu_ps(even + b), high);
            low = _mm256_fmadd_ps(look_up(index, lower, upper), _mm256_loadu_ps(odd + b), low);
        }
    }
    __m256 sum = _mm256_add_ps(high, low);
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_shuffle_ps(half, half, 1)));
}

MARTLET_TARGET_AVX2 void martlet_dot_rows_four_bit_avx2 DOT_ROWS_FOUR_BIT_PARAMETERS { DOT_ALL_ROWS(dot_row_avx2); }

#else

void martlet_dot_rows_four_bit_avx2 DOT_ROWS_FOUR_BIT_PARAMETERS { DOT_ALL_ROWS(dot_row_portable); }
void martlet_dot_rows_four_bit_avx512 DOT_ROWS_FOUR_BIT_PARAMETERS { DOT_ALL_ROWS(dot_row_portable); }

#endif

DISPATCH(dot_rows_four_bit, DOT_ROWS_FOUR_BIT_PARAMETERS,
         (matrix, count, first, rows, columns, even, odd, round, accumulate, result, result_stride))
