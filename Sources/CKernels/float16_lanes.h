// Vectors of float16 and their arithmetic, for the bodies of kernels.
#ifndef MARTLET_FLOAT16_LANES_H
#define MARTLET_FLOAT16_LANES_H

#include "float16.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Elements of a vector.
enum { WIDTH = MARTLET_FLOAT16_COLUMNS };

typedef _Float16 halves __attribute__((ext_vector_type(WIDTH)));
typedef _Float16 halves_anywhere __attribute__((ext_vector_type(WIDTH), aligned(2), may_alias));

MARTLET_INLINE void spread(uint32_t pair, halves *all) {
    typedef uint32_t words __attribute__((ext_vector_type(WIDTH / 2)));
    words copies = pair;
    memcpy(all, &copies, sizeof copies);
}

// sums += left · right: where there is no such instruction, each product and sum in float32 before it is rounded.
MARTLET_INLINE void add_product(const halves *left, const halves *right, halves *sums) {
    typedef float floats __attribute__((ext_vector_type(WIDTH)));
    floats product = __builtin_convertvector(*left, floats) * __builtin_convertvector(*right, floats);
    *sums = __builtin_convertvector(__builtin_convertvector(*sums, floats) + product, halves);
}

MARTLET_INLINE void multiply_halves(const halves *left, const halves *right, halves *product) {
    typedef float floats __attribute__((ext_vector_type(WIDTH)));
    floats whole = __builtin_convertvector(*left, floats) * __builtin_convertvector(*right, floats);
    *product = __builtin_convertvector(whole, halves);
}

MARTLET_INLINE void add_sum(const halves *more, halves *sums) {
    typedef float floats __attribute__((ext_vector_type(WIDTH)));
    *sums = __builtin_convertvector(__builtin_convertvector(*sums, floats) + __builtin_convertvector(*more, floats), halves);
}

#if defined(__x86_64__)
MARTLET_TARGET_AVX512_FP16 MARTLET_INLINE void fuse_product(const halves *left, const halves *right, halves *sums) {
    *sums = (halves)_mm512_fmadd_ph((__m512h)*left, (__m512h)*right, (__m512h)*sums);
}
MARTLET_TARGET_AVX512_FP16 MARTLET_INLINE void multiply_at_once(const halves *left, const halves *right, halves *product) {
    *product = (halves)_mm512_mul_ph((__m512h)*left, (__m512h)*right);
}
MARTLET_TARGET_AVX512_FP16 MARTLET_INLINE void fuse_sum(const halves *more, halves *sums) {
    *sums = (halves)_mm512_add_ph((__m512h)*more, (__m512h)*sums);
}
#define ADD_PRODUCT(level) ((level) == MARTLET_ISA_AVX512_FP16 ? fuse_product : add_product)
#define MULTIPLY(level) ((level) == MARTLET_ISA_AVX512_FP16 ? multiply_at_once : multiply_halves)
#define ADD(level) ((level) == MARTLET_ISA_AVX512_FP16 ? fuse_sum : add_sum)
#else
#define ADD_PRODUCT(level) add_product
#define MULTIPLY(level) multiply_halves
#define ADD(level) add_sum
#endif

#endif
