// Products of float32 matrices whose right operand is packed in strips.
#ifndef MARTLET_STRIPS_H
#define MARTLET_STRIPS_H

#include "variants.h"

enum {
    // Columns of a strip: [depth, 48] elements that follow one another, with zeros beyond the last column.
    MARTLET_STRIP = 48,
    // Rows of the left operand that the kernel takes at a time.
    MARTLET_STRIP_ROWS = 8,
};

enum martlet_left_form { MARTLET_LEFT_FLOAT32, MARTLET_LEFT_ROUNDED, MARTLET_LEFT_BFLOAT16 };

// --- strip_product.c ---------------------------------------------------------------------------------------------

// result[rows, columns] = left[rows, depth] · right[depth, columns], or added to what the result holds. The depth is
// above 0. An element is the sum of sums over pieces of the depth, each in order: it does not depend on how rows and
// columns are cut.
struct martlet_strip_product {
    int64_t rows, columns, depth;
    // Floats, floats that are rounded to bfloat16 first, or bfloat16 numbers.
    const void *left;
    enum martlet_left_form left_form;
    int64_t left_stride;
    // Strip after strip, each of `depth` rows: of floats, or of float16 as float16.h says.
    const void *right;
    float *result;
    int64_t result_stride;
    int accumulate;
};
DECLARE_KERNEL(strip_product, (const struct martlet_strip_product *product));

// --- pack_strips.c -----------------------------------------------------------------------------------------------

// Strips of [depth, columns] elements; `strip_step` is the distance between strips.
DECLARE_KERNEL(pack_strips, (int64_t columns, int64_t depth, const float *source, int64_t stride, float *strips,
                             int64_t strip_step));
// The same of elements that lie transposed, [columns, depth].
DECLARE_KERNEL(pack_strips_transposed, (int64_t columns, int64_t depth, const float *source, int64_t stride,
                                        float *strips, int64_t strip_step));

#endif
