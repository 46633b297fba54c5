// expand.h: blocks of a stored weight format to float32, exactly.
//
// blocks       the first byte of block_count consecutive blocks, any alignment, little-endian
// out          [block_count × elements per block] floats, not overlapping blocks
//
// All variants give the same bits, those of a product and a sum that are rounded one after the other.
#ifndef MARTLET_EXPAND_H
#define MARTLET_EXPAND_H

#include <stdint.h>

#include "variants.h"

#define EXPAND_PARAMETERS (const uint8_t *blocks, int64_t block_count, float *out)

DECLARE_KERNEL(expand_f16, EXPAND_PARAMETERS);   // 1 element, 2 bytes: IEEE binary16
DECLARE_KERNEL(expand_bf16, EXPAND_PARAMETERS);  // 1 element, 2 bytes: the upper half of a float32
DECLARE_KERNEL(expand_q8_0, EXPAND_PARAMETERS);  // 32 elements, 34 bytes
DECLARE_KERNEL(expand_q4_0, EXPAND_PARAMETERS);  // 32 elements, 18 bytes
DECLARE_KERNEL(expand_q4_1, EXPAND_PARAMETERS);  // 32 elements, 20 bytes
DECLARE_KERNEL(expand_q5_0, EXPAND_PARAMETERS);  // 32 elements, 22 bytes
DECLARE_KERNEL(expand_q5_1, EXPAND_PARAMETERS);  // 32 elements, 24 bytes
DECLARE_KERNEL(expand_q4_K, EXPAND_PARAMETERS);  // 256 elements, 144 bytes
DECLARE_KERNEL(expand_q5_K, EXPAND_PARAMETERS);  // 256 elements, 176 bytes
DECLARE_KERNEL(expand_q6_K, EXPAND_PARAMETERS);  // 256 elements, 210 bytes
DECLARE_KERNEL(expand_mxfp4, EXPAND_PARAMETERS);  // 32 elements, 17 bytes

// The same 4-bit floats with scales of their own and neighbours in one byte, as safetensors files have them:
// codes        [block_count × 16] bytes, element 2j in the low and 2j + 1 in the high nibble of byte j
// scales       [block_count] bytes
#define EXPAND_MICROSCALED_PARAMETERS (const uint8_t *codes, const uint8_t *scales, int64_t block_count, float *out)
DECLARE_KERNEL(expand_microscaled, EXPAND_MICROSCALED_PARAMETERS);

#endif
