// The scales of a matrix in 4 bits, one block after another.
#ifndef MARTLET_FOUR_BIT_SCALES_H
#define MARTLET_FOUR_BIT_SCALES_H

#include "four_bit.h"

#include <string.h>

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

MARTLET_INLINE void skip_blocks(const struct martlet_four_bit *matrix, struct position *at, int64_t count) {
    at->block += count;
    at->end += count * matrix->block_size;
    if (matrix->scales) return;
    for (at->blocks_left -= count; at->blocks_left <= 0; at->blocks_left += matrix->group_size) at->group++;
}

#endif
