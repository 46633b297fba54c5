#include "copies.h"
#include "float16.h"
#include "float16_scales.h"

enum { STRIP = MARTLET_FLOAT16_STRIP, STEPS = MARTLET_FLOAT16_STEPS, HEAD = MARTLET_FLOAT16_HEAD };

typedef _Float16 float16_lanes __attribute__((ext_vector_type(16), aligned(2), may_alias));

// A block of a strip from its elements as floats, a multiple of sixteen.
MARTLET_INLINE void write_block(const float *values, int64_t count, uint16_t *block) {
    lane_bits most = 0;
    for (int64_t i = 0; i < count; i += LANES) most_of((const lane_bits *)(values + i), &most);
    struct scale scale = scale_to(0, largest_of(&most));
    memcpy(block, &scale.inverse, sizeof scale.inverse);
    for (int64_t i = 0; i < count; i += LANES) {
        lanes here;
        load_lanes(values + i, &here);
        *(float16_lanes *)(block + HEAD + i) = __builtin_convertvector(here * scale.factor, float16_lanes);
    }
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
            write_block(values, steps * STRIP, block);
            block += HEAD + steps * STRIP;
        }
    }
}

FLOAT16_KERNEL(pack_float16,
               (int64_t columns, int64_t depth, const float *source, int64_t stride, uint16_t *strips, int64_t strip_step),
               (columns, depth, source, stride, strips, strip_step)) {
    (void)level;
    pack_strips_with(0, columns, depth, source, stride, strips, strip_step);
}

FLOAT16_KERNEL(pack_float16_transposed,
               (int64_t columns, int64_t depth, const float *source, int64_t stride, uint16_t *strips, int64_t strip_step),
               (columns, depth, source, stride, strips, strip_step)) {
    (void)level;
    pack_strips_with(1, columns, depth, source, stride, strips, strip_step);
}
