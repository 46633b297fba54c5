#include "copies.h"
#include "float16.h"
#include "float16_scales.h"

enum {
    STRIP = MARTLET_FLOAT16_STRIP,
    STEPS = MARTLET_FLOAT16_STEPS,
    HEAD = MARTLET_FLOAT16_HEAD,
    // Columns under one scale, and vectors of them.
    COLUMNS = MARTLET_FLOAT16_COLUMNS,
    VECTORS = COLUMNS / LANES,
};

// The columns of a block that are under one scale, from floats.
MARTLET_INLINE void write_columns(int64_t steps, const float *values, uint16_t *target, float *inverse) {
    lane_bits most = 0;
    for (int64_t d = 0; d < steps; d++)
        UNROLLED for (int j = 0; j < VECTORS; j++)
            most_of((const lane_bits *)(values + d * STRIP + j * LANES), &most);
    struct scale scale = scale_to(0, largest_of(&most));
    *inverse = scale.inverse;
    for (int64_t d = 0; d < steps; d++)
        UNROLLED for (int j = 0; j < VECTORS; j++) {
            lanes here;
            load_lanes(values + d * STRIP + j * LANES, &here);
            write_halves(&here, scale.factor, target + d * STRIP + j * LANES);
        }
}

MARTLET_INLINE void write_block(int64_t steps, const float *values, uint16_t *block) {
    float inverses[STRIP / COLUMNS];
    for (int64_t group = 0; group < STRIP / COLUMNS; group++)
        write_columns(steps, values + group * COLUMNS, block + HEAD + group * COLUMNS, &inverses[group]);
    memcpy(block, inverses, sizeof inverses);
}

MARTLET_INLINE void pack_strips_with(int is_transposed, int64_t columns, int64_t depth, const float *source, int64_t stride,
                                     uint16_t *strips, int64_t strip_step) {
    __attribute__((aligned(64))) float values[STEPS * STRIP];
    for (int64_t column = 0; column < columns; column += STRIP, strips += strip_step) {
        int64_t width = columns - column < STRIP ? columns - column : STRIP;
        if (width < STRIP) memset(values, 0, sizeof values);
        uint16_t *block = strips;
        for (int64_t d = 0; d < depth; d += STEPS) {
            int64_t steps = depth - d < STEPS ? depth - d : STEPS;
            if (is_transposed)
                transpose(source + column * stride + d, stride, width, steps, values, STRIP);
            else
                copy_rows(source + d * stride + column, stride, steps, width, values, STRIP);
            write_block(steps, values, block);
            block += HEAD + steps * STRIP;
        }
    }
}

FLOAT16_KERNEL(pack_float16,
               (int64_t columns, int64_t depth, const float *source, int64_t stride, uint16_t *strips, int64_t strip_step),
               (columns, depth, source, stride, strips, strip_step)) {
    pack_strips_with(0, columns, depth, source, stride, strips, strip_step);
}

FLOAT16_KERNEL(pack_float16_transposed,
               (int64_t columns, int64_t depth, const float *source, int64_t stride, uint16_t *strips, int64_t strip_step),
               (columns, depth, source, stride, strips, strip_step)) {
    pack_strips_with(1, columns, depth, source, stride, strips, strip_step);
}
