#include "copies.h"
#include "strips.h"

// How many columns of a strip exist, of those that are left; the others become zeros.
MARTLET_INLINE int64_t begin_strip(int64_t left, int64_t depth, float *strip) {
    if (left >= MARTLET_STRIP) return MARTLET_STRIP;
    memset(strip, 0, (size_t)(depth * MARTLET_STRIP) * sizeof *strip);
    return left;
}

KERNEL(pack_strips,
       (int64_t columns, int64_t depth, const float *source, int64_t stride, float *strips, int64_t strip_step),
       (columns, depth, source, stride, strips, strip_step)) {
    for (int64_t column = 0; column < columns; column += MARTLET_STRIP, strips += strip_step) {
        int64_t width = begin_strip(columns - column, depth, strips);
        copy_rows(source + column, stride, depth, width, strips, MARTLET_STRIP);
    }
}

KERNEL(pack_strips_transposed,
       (int64_t columns, int64_t depth, const float *source, int64_t stride, float *strips, int64_t strip_step),
       (columns, depth, source, stride, strips, strip_step)) {
    for (int64_t column = 0; column < columns; column += MARTLET_STRIP, strips += strip_step) {
        int64_t width = begin_strip(columns - column, depth, strips);
        transpose(source + column * stride, stride, width, depth, strips, MARTLET_STRIP);
    }
}
