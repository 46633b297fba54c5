// four_bit.h: matrices in 4 bits as bitsandbytes lays them out (NF4, FP4; Dettmers et al., 2023).
//
// The elements of a matrix are one row-major run, cut into blocks of `block_size` (an even number; the last block may
// be short). Two elements share a byte, the first in its high nibble. Element = table[nibble] * scale of its block.
#ifndef MARTLET_FOUR_BIT_H
#define MARTLET_FOUR_BIT_H

#include <stdint.h>

#include "variants.h"

// Where scales come from. Single: float32 numbers, any alignment. Double quantisation: a code per block,
// scale = scale_table[code] * group_scales[block / group_size] + offset, rounded after the product and after the sum.
struct martlet_four_bit {
    const uint8_t *codes;
    const float *table;  // [16]
    int64_t block_size;
    const uint8_t *scales;       // float32 bytes; null with double quantisation
    const uint8_t *scale_codes;  // one per block
    const float *scale_table;    // [256]
    const float *group_scales;
    int64_t group_size;
    float offset;
};

// Elements [first, first + count) as float32. All variants give the same bits.
DECLARE_KERNEL(expand_four_bit, (const struct martlet_four_bit *matrix, int64_t first, int64_t count, float *out));
// The same numbers rounded to bfloat16 (nearest even).
DECLARE_KERNEL(expand_four_bit_bf16, (const struct martlet_four_bit *matrix, int64_t first, int64_t count,
                                      uint16_t *out));

// Dot products of `count` activations with `rows` rows of a matrix with `columns` columns, from row `first` on:
// result[i * result_stride + r] = sum over c of x[i, c] * element(first + r, c), or added to it if `accumulate` is not 0.
// `even` and `odd` [count, columns / 2] are the elements of x with even and odd columns; with `round` the elements of the
// matrix are rounded to bfloat16, and those of x, too, where that is faster. columns % block_size == 0 and
// block_size % 32 == 0.
#define DOT_ROWS_FOUR_BIT_PARAMETERS                                                                                  \
    (const struct martlet_four_bit *matrix, int64_t count, int64_t first, int64_t rows, int64_t columns,              \
     const float *even, const float *odd, int round, int accumulate, float *result, int64_t result_stride)
DECLARE_ROUNDING_KERNEL(dot_rows_four_bit, DOT_ROWS_FOUR_BIT_PARAMETERS);

// The other way, as bitsandbytes does it on a CPU: absolute maxima of blocks and the nearest table entries.
// x          [count], beginning with a block; only the last block may be short
// bounds     [15], midpoints between neighbouring entries of a rising table; an element on a bound takes the lower entry
// codes      [(count + 1) / 2]; the unused half of the last byte is the code of zero
// maxima     [blocks]; NaN where the block has an element that is not finite
DECLARE_KERNEL(quantize_four_bit, (const float *x, int64_t count, int64_t block_size, const float *bounds,
                                   uint8_t *codes, float *maxima));

#endif
