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

// The other way, as bitsandbytes does it on a CPU: absolute maxima of blocks and the nearest table entries.
// x          [count], beginning with a block; only the last block may be short
// bounds     [15], midpoints between neighbouring entries of a rising table; an element on a bound takes the lower entry
// codes      [(count + 1) / 2]; the unused half of the last byte is the code of zero
// maxima     [blocks]; NaN where the block has an element that is not finite
DECLARE_KERNEL(quantize_four_bit, (const float *x, int64_t count, int64_t block_size, const float *bounds,
                                   uint8_t *codes, float *maxima));

#endif
