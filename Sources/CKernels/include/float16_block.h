// Products of blocks in float16 that lie in the nearest caches, on CPUs that multiply it.
#ifndef MARTLET_FLOAT16_BLOCK_H
#define MARTLET_FLOAT16_BLOCK_H

#include "variants.h"

enum {
    // Steps along the depth that are summed in float16, a multiple of those of a chain.
    MARTLET_FLOAT16_BLOCK_STEPS = 64,
};

// result[rows, 32 * vectors] = factor * left[rows, depth] · right[depth, 32 * vectors], or added to what the result holds; the
// depth is above 0. Sums run as float16.h says, over 64 steps, for which elements must leave room.
struct martlet_float16_block {
    int64_t rows, vectors, depth;
    // Each element twice in a word. left_stride is the distance between rows; with left_is_transposed, between elements along
    // the depth.
    const uint32_t *left;
    int64_t left_stride;
    int left_is_transposed;
    const uint16_t *right;
    int64_t right_stride;
    float factor;
    float *result;
    int64_t result_stride;
    int accumulate;
};
DECLARE_FLOAT16_KERNEL(float16_block, (const struct martlet_float16_block *product));
// Rows of floats become a left operand in their place, under one power of two such that the largest is from 1 to below 2;
// *inverse undoes it. columns are a multiple of 16.
DECLARE_FLOAT16_KERNEL(to_float16_words, (int64_t rows, int64_t columns, float *x, int64_t stride, float *inverse));

#endif
