#include "bfloat16.h"
#include "fetch.h"
#include "four_bit_scales.h"
#include "tiles.h"

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

// What the sixteen codes stand for under one scale, rounded to bfloat16 (nearest even) if asked.
MARTLET_TARGET_AVX512 MARTLET_INLINE __m512 entries_avx512(__m512 table, float scale, int round) {
    __m512 entries = _mm512_mul_ps(table, _mm512_set1_ps(scale));
    if (!round) return entries;
    __m512i bits = _mm512_castps_si512(entries);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    bits = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    return _mm512_castsi512_ps(_mm512_and_si512(bits, _mm512_set1_epi32((int)0xffff0000)));
}

// Rows that share the loads of the vector, scales that are decoded at a time, bytes that are fetched ahead of use.
enum { ROWS = 4, SCALES = 4096, AHEAD = 8192 };

// The scales of the next `count` blocks; those of a group share its scale.
MARTLET_TARGET_AVX512 MARTLET_INLINE void fill_scales_avx512(const struct martlet_four_bit *matrix,
                                                             struct position at, int64_t count, float *scales) {
    if (matrix->scales) memcpy(scales, matrix->scales + 4 * at.block, (size_t)count * sizeof *scales);
    for (int64_t k = 0, some; k < count && !matrix->scales; k += some) {
        some = count - k < at.blocks_left ? count - k : at.blocks_left;
        float group = matrix->group_scales[at.group], offset = matrix->offset;
        const uint8_t *codes = matrix->scale_codes + at.block;
        // One number after another: gathers are slow on many CPUs.
        _Pragma("clang loop vectorize(disable)") for (int64_t i = 0; i < some; i++)
            scales[k + i] = matrix->scale_table[codes[i]] * group + offset;
        skip_blocks(matrix, &at, some);
    }
}

// The sums of four rows, halves added to halves.
MARTLET_TARGET_AVX512 MARTLET_INLINE __m128 sums_of_rows(const __m512 *rows) {
#define HALVES(a, b, low, high) _mm512_add_ps(_mm512_shuffle_f32x4(a, b, low), _mm512_shuffle_f32x4(a, b, high))
    __m512 first = HALVES(rows[0], rows[1], 0x44, 0xee), last = HALVES(rows[2], rows[3], 0x44, 0xee);
    __m512 sums = HALVES(first, last, 0x88, 0xdd);
#undef HALVES
    sums = _mm512_add_ps(sums, _mm512_shuffle_ps(sums, sums, 0x4e));
    sums = _mm512_add_ps(sums, _mm512_shuffle_ps(sums, sums, 0xb1));
    return _mm512_castps512_ps128(_mm512_maskz_compress_ps(0x1111, sums));
}

// A block of `rows` rows over a part of the vector, which is loaded once for all. A look-up in a register of sixteen
// needs only the low four bits of an index: low nibbles are not masked.
MARTLET_TARGET_AVX512 MARTLET_INLINE void dot_block_avx512(int rows, const __m512 *entries, const uint8_t *codes,
                                                           int64_t stride, int64_t bytes, const float *even,
                                                           const float *odd, __m512 *high, __m512 *low) {
    for (int64_t b = 0; b < bytes; b += 16) {
        __m512 x = _mm512_loadu_ps(even + b), y = _mm512_loadu_ps(odd + b);
        for (int r = 0; r < rows; r++) {
            __m512i index = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(codes + r * stride + b)));
            __m512 first = _mm512_permutexvar_ps(_mm512_srli_epi32(index, 4), entries[r]);
            high[r] = _mm512_fmadd_ps(first, x, high[r]);
            low[r] = _mm512_fmadd_ps(_mm512_permutexvar_ps(index, entries[r]), y, low[r]);
        }
    }
}

// `rows` rows, a constant of at most ROWS, which lie one after another. `bytes` is half the block size, and like `round` a
// constant where it can be.
typedef __m128 dot_group(int rows, __m512 table, const float *scales, const uint8_t *codes, int64_t blocks, int64_t bytes,
                         const float *even, const float *odd, int round);

MARTLET_TARGET_AVX512 MARTLET_INLINE __m128 dot_group_avx512(int rows, __m512 table, const float *scales,
                                                             const uint8_t *codes, int64_t blocks, int64_t bytes,
                                                             const float *even, const float *odd, int round) {
    __m512 high[ROWS], low[ROWS];
    for (int r = 0; r < ROWS; r++) high[r] = low[r] = _mm512_setzero_ps();
    const uint8_t *ahead = codes + AHEAD;
    int64_t stride = blocks * bytes;
    for (int64_t block = 0; block < blocks; block++, codes += bytes, even += bytes, odd += bytes) {
        __m512 entries[ROWS];
        for (int r = 0; r < rows; r++) entries[r] = entries_avx512(table, scales[r * blocks + block], round);
        fetch_second_level(ahead, rows * bytes);
        ahead += rows * bytes;
        dot_block_avx512(rows, entries, codes, stride, bytes, even, odd, high, low);
    }
    for (int r = 0; r < ROWS; r++) high[r] = _mm512_add_ps(high[r], low[r]);
    return sums_of_rows(high);
}

// Entries in bfloat16, twice: the fifth bit of an index, which belongs to another code, does not matter.
MARTLET_TARGET_AVX512_BF16 MARTLET_INLINE __m512i entries_bf16(__m512 table, float scale) {
    return _mm512_broadcast_i64x4((__m256i)_mm512_cvtneps_pbh(_mm512_mul_ps(table, _mm512_set1_ps(scale))));
}

MARTLET_TARGET_AVX512_BF16 MARTLET_INLINE __m512bh rounded_bf16(const float *x) {
    return _mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + 16), _mm512_loadu_ps(x));
}

// A group whose operands are rounded to bfloat16, both: pairs of them are multiplied at once. `bytes` is a multiple of 32.
MARTLET_TARGET_AVX512_BF16 MARTLET_INLINE __m128 dot_group_bf16(int rows, __m512 table, const float *scales,
                                                                const uint8_t *codes, int64_t blocks, int64_t bytes,
                                                                const float *even, const float *odd, int round) {
    (void)round;
    __m512 high[ROWS], low[ROWS];
    for (int r = 0; r < ROWS; r++) high[r] = low[r] = _mm512_setzero_ps();
    const uint8_t *ahead = codes + AHEAD;
    int64_t stride = blocks * bytes;
    for (int64_t block = 0; block < blocks; block++, ahead += rows * bytes) {
        fetch_second_level(ahead, rows * bytes);
        __m512i entries[ROWS];
        for (int r = 0; r < rows; r++) entries[r] = entries_bf16(table, scales[r * blocks + block]);
        for (int64_t b = 0; b < bytes; b += 32, codes += 32, even += 32, odd += 32) {
            __m512bh x = rounded_bf16(even), y = rounded_bf16(odd);
            for (int r = 0; r < rows; r++) {
                __m512i index = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(codes + r * stride)));
                __m512i first = _mm512_permutexvar_epi16(_mm512_srli_epi16(index, 4), entries[r]);
                high[r] = _mm512_dpbf16_ps(high[r], (__m512bh)first, x);
                low[r] = _mm512_dpbf16_ps(low[r], (__m512bh)_mm512_permutexvar_epi16(index, entries[r]), y);
            }
        }
    }
    for (int r = 0; r < ROWS; r++) high[r] = _mm512_add_ps(high[r], low[r]);
    return sums_of_rows(high);
}

// `rows` rows, whose scales fit.
MARTLET_TARGET_AVX512 MARTLET_INLINE void dot_some(dot_group *group, const struct martlet_four_bit *matrix, int64_t count,
                                                   int64_t first, int64_t rows, int64_t columns, const float *even,
                                                   const float *odd, int round, int64_t bytes, int accumulate,
                                                   float *result, int64_t result_stride) {
    int64_t half = columns / 2, blocks = half / bytes;
    __m512 table = _mm512_loadu_ps(matrix->table);
    float scales[SCALES];
    fill_scales_avx512(matrix, position_of(matrix, first * columns), rows * blocks, scales);
    for (int64_t r = 0, now; r < rows; r += now) {
        now = rows - r < ROWS ? 1 : ROWS;
        const uint8_t *codes = matrix->codes + (first + r) * half;
        __mmask8 mask = now == ROWS ? 15 : 1;
        for (int64_t i = 0; i < count; i++) {
            const float *x = even + i * half, *y = odd + i * half, *own = scales + r * blocks;
            float *target = result + i * result_stride + r;
            __m128 sums = now == ROWS ? group(ROWS, table, own, codes, blocks, bytes, x, y, round)
                                      : group(1, table, own, codes, blocks, bytes, x, y, round);
            if (accumulate) sums = _mm_add_ps(_mm_maskz_loadu_ps(mask, target), sums);
            _mm_mask_storeu_ps(target, mask, sums);
        }
    }
}

// Rows whose scales fit, a multiple of ROWS; 0 if not even those of so many do.
MARTLET_INLINE int64_t rows_at_a_time(const struct martlet_four_bit *matrix, int64_t columns) {
    return SCALES / (columns / matrix->block_size) / ROWS * ROWS;
}

#define DOT_SOME(group, round, bytes) \
    dot_some(group, matrix, count, first + r, rows - r < some ? rows - r : some, columns, even, odd, round, bytes, \
             accumulate, result + r, result_stride)

MARTLET_TARGET_AVX512 void martlet_dot_rows_four_bit_avx512 DOT_ROWS_FOUR_BIT_PARAMETERS {
    int64_t bytes = matrix->block_size / 2, some = rows_at_a_time(matrix, columns);
    if (some == 0)
        return martlet_dot_rows_four_bit_avx2(matrix, count, first, rows, columns, even, odd, round, accumulate, result,
                                              result_stride);
    for (int64_t r = 0; r < rows; r += some)
        if (bytes == 32 && !round)
            DOT_SOME(dot_group_avx512, 0, 32);
        else if (bytes == 32)
            DOT_SOME(dot_group_avx512, 1, 32);
        else
            DOT_SOME(dot_group_avx512, round, bytes);
}

MARTLET_TARGET_AVX512_BF16 void martlet_dot_rows_four_bit_avx512_bf16 DOT_ROWS_FOUR_BIT_PARAMETERS {
    int64_t bytes = matrix->block_size / 2, some = rows_at_a_time(matrix, columns);
    if (!round || bytes % 32 > 0 || some == 0)
        return martlet_dot_rows_four_bit_avx512(matrix, count, first, rows, columns, even, odd, round, accumulate, result,
                                                result_stride);
    for (int64_t r = 0; r < rows; r += some)
        if (bytes == 32)
            DOT_SOME(dot_group_bf16, 1, 32);
        else
            DOT_SOME(dot_group_bf16, 1, bytes);
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
void martlet_dot_rows_four_bit_avx512_bf16 DOT_ROWS_FOUR_BIT_PARAMETERS { DOT_ALL_ROWS(dot_row_portable); }

#endif

#define ARGUMENTS (matrix, count, first, rows, columns, even, odd, round, accumulate, result, result_stride)

// The best of them: not every CPU that multiplies bfloat16 is faster at that.
static void martlet_dot_rows_four_bit_best DOT_ROWS_FOUR_BIT_PARAMETERS {
    if (martlet_multiplies_bfloat16())
        martlet_dot_rows_four_bit_avx512_bf16 ARGUMENTS;
    else
        martlet_dot_rows_four_bit_avx512 ARGUMENTS;
}

DISPATCH_UP_TO(best, dot_rows_four_bit, DOT_ROWS_FOUR_BIT_PARAMETERS, ARGUMENTS)
