// The scales of one block after another. A division takes as long as expanding half a block: there is one per run.
#ifndef MARTLET_FOUR_BIT_SCALES_H
#define MARTLET_FOUR_BIT_SCALES_H

#include "four_bit.h"

#include <string.h>

// bitsandbytes rounds the product of a nested scale before it adds the offset.
#pragma STDC FP_CONTRACT OFF

struct scale_cursor {
    int64_t block, group, left_in_group;
};

MARTLET_INLINE struct scale_cursor scale_cursor_at(const struct martlet_four_bit *matrix, int64_t block) {
    struct scale_cursor cursor = {block, 0, 0};
    if (matrix->scales) return cursor;
    cursor.group = block / matrix->group_size;
    cursor.left_in_group = matrix->group_size - block % matrix->group_size;
    return cursor;
}

MARTLET_INLINE float next_scale(const struct martlet_four_bit *matrix, struct scale_cursor *cursor) {
    int64_t block = cursor->block++;
    if (matrix->scales) {
        float scale;
        memcpy(&scale, matrix->scales + 4 * block, sizeof scale);
        return scale;
    }
    float product = matrix->scale_table[matrix->scale_codes[block]] * matrix->group_scales[cursor->group];
    if (--cursor->left_in_group == 0) {
        cursor->group++;
        cursor->left_in_group = matrix->group_size;
    }
    return product + matrix->offset;
}

MARTLET_INLINE void skip_scales(const struct martlet_four_bit *matrix, struct scale_cursor *cursor, int64_t blocks) {
    cursor->block += blocks;
    if (matrix->scales) return;
    for (cursor->left_in_group -= blocks; cursor->left_in_group <= 0; cursor->left_in_group += matrix->group_size)
        cursor->group++;
}

#endif
