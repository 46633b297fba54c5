// Sixteen floats that go through the same steps: one register of AVX-512, two of AVX2, four of the baseline.
#ifndef MARTLET_LANES_H
#define MARTLET_LANES_H

#include "variants.h"

#include <string.h>

typedef float lanes __attribute__((ext_vector_type(16)));
typedef int32_t lane_integers __attribute__((ext_vector_type(16)));
typedef uint32_t lane_bits __attribute__((ext_vector_type(16)));
// The same at any address of floats.
typedef float lanes_anywhere __attribute__((ext_vector_type(16), aligned(4), may_alias));

// Four times sixteen, for kernels of AVX-512, which has the registers for it.
typedef float four_lanes __attribute__((ext_vector_type(64)));
typedef uint32_t four_lane_bits __attribute__((ext_vector_type(64)));
typedef float four_lanes_anywhere __attribute__((ext_vector_type(64), aligned(4), may_alias));

enum { LANES = 16 };

// A loop whose turns take long, each in one chain: four of them go side by side.
#define SIDE_BY_SIDE _Pragma("clang loop interleave_count(4)")

// A loop over registers: it must not be left standing.
#define UNROLLED _Pragma("clang loop unroll(full)")

// Helpers take pointers: how vectors are passed depends on the instruction set, and bodies are compiled for several.
MARTLET_INLINE void load_lanes(const float *from, lanes *to) { *to = *(const lanes_anywhere *)from; }
MARTLET_INLINE void store_lanes(const lanes *from, float *to) { *(lanes_anywhere *)to = *from; }

MARTLET_INLINE void load_four(const float *from, four_lanes *to) { *to = *(const four_lanes_anywhere *)from; }
MARTLET_INLINE void store_four(const four_lanes *from, float *to) { *(four_lanes_anywhere *)to = *from; }

// Some of sixteen floats, 0 behind them.
MARTLET_INLINE void load_some(const float *from, int64_t count, lanes *to) {
    float values[LANES] = {0};
    memcpy(values, from, (size_t)count * sizeof *from);
    load_lanes(values, to);
}

typedef float half_lanes __attribute__((ext_vector_type(8)));
typedef float quarter_lanes __attribute__((ext_vector_type(4)));

// Halves are added to halves: a fixed order that costs a few shuffles.
MARTLET_INLINE float sum_by_halves(const lanes *values) {
    half_lanes half = values->lo + values->hi;
    quarter_lanes quarter = half.lo + half.hi;
    quarter.lo += quarter.hi;
    return quarter.x + quarter.y;
}

// Transposes 16 × 16 elements of 32 bits: four rounds, which swap blocks of 8, 4, 2 and 1.
#define TRANSPOSE_LANES(type, r)                                                                                      \
    UNROLLED for (int i = 0; i < 8; i++) {                                                                            \
        type a = r[i], b = r[i + 8];                                                                                  \
        r[i] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);                 \
        r[i + 8] = __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);       \
    }                                                                                                                 \
    UNROLLED for (int i = 0; i < 16; i++) {                                                                           \
        if (i & 4) continue;                                                                                          \
        type a = r[i], b = r[i + 4];                                                                                  \
        r[i] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27);               \
        r[i + 4] = __builtin_shufflevector(a, b, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);         \
    }                                                                                                                 \
    UNROLLED for (int i = 0; i < 16; i++) {                                                                           \
        if (i & 2) continue;                                                                                          \
        type a = r[i], b = r[i + 2];                                                                                  \
        r[i] = __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);               \
        r[i + 2] = __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);         \
    }                                                                                                                 \
    UNROLLED for (int i = 0; i < 16; i += 2) {                                                                        \
        type a = r[i], b = r[i + 1];                                                                                  \
        r[i] = __builtin_shufflevector(a, b, 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30);              \
        r[i + 1] = __builtin_shufflevector(a, b, 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31);          \
    }

#endif
