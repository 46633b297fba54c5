#include "copies.h"
#include "strips.h"

KERNEL(pack_strips,
       (int64_t columns, int64_t depth, const float *source, int64_t stride, float *strips, int64_t strip_step),
       (columns, depth, source, stride, strips, strip_step)) {
    for (int64_t column = 0; column < columns; column += MARTLET_STRIP, strips += strip_step) {
        int64_t width = columns - column < MARTLET_STRIP ? columns - column : MARTLET_STRIP;
        if (width < MARTLET_STRIP) memset(strips, 0, (size_t)(depth * MARTLET_STRIP) * sizeof *strips);
        copy_rows(source + column, stride, depth, width, strips, MARTLET_STRIP);
    }
}

KERNEL(pack_strips_transposed,
       (int64_t columns, int64_t depth, const float *source, int64_t stride, float *strips, int64_t strip_step),
       (columns, depth, source, stride, strips, strip_step)) {
    for (int64_t column = 0; column < columns; column += MARTLET_STRIP, strips += strip_step) {
        int64_t width = columns - column < MARTLET_STRIP ? columns - column : MARTLET_STRIP;
        if (width < MARTLET_STRIP) memset(strips, 0, (size_t)(depth * MARTLET_STRIP) * sizeof *strips);
        transpose(source + column * stride, stride, width, depth, strips, MARTLET_STRIP);
    }
}
