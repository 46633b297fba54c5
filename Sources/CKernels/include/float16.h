// Products of matrices whose operands are rounded to float16, on CPUs that multiply float16 (AVX512-FP16), twice as many
// at a time as float32. They sum in float16, too: groups of 16 steps along the depth, then those of a block of 96, which go
// on in float32. Rounding those sums is most of the error, and short chains keep it small: it is that of sqrt(16/2 + 6/2)
// roundings for each product, about half of what rounding one operand to bfloat16 takes.
//
// Float16 has three bits more than bfloat16 but a narrow range. Operands are therefore scaled by powers of two: 32 columns
// of a block of the right operand so that their largest element is from 1 to below 2, a row of the left one, piece by
// piece, so that it is from 128 to below 256; only where the largest is 2^127 or more may they end up larger. Sums over a
// block's steps stay below 49152. What is 2^-14 of the largest element of a right block, or 2^-21 of that of a row, keeps
// all its bits.
#ifndef MARTLET_FLOAT16_H
#define MARTLET_FLOAT16_H

#include "strips.h"

enum {
    // Columns of a strip.
    MARTLET_FLOAT16_STRIP = 96,
    // Steps along the depth of a block, which are summed in float16; and those that are summed in one chain.
    MARTLET_FLOAT16_STEPS = 96,
    MARTLET_FLOAT16_GROUP = 16,
    // Columns under one scale: whoever cuts columns cuts on a multiple of so many, so that no cut changes a bit.
    MARTLET_FLOAT16_COLUMNS = 32,
    // Elements before those of a block: three float32 factors that undo its scales, and what keeps vectors aligned.
    MARTLET_FLOAT16_HEAD = 32,
    // Elements along the depth of a piece of rows, so that those in registers lie in the first-level cache; and between such
    // rows, a distance that spreads them over the cache.
    MARTLET_FLOAT16_PIECE = 6 * MARTLET_FLOAT16_STEPS,
    MARTLET_FLOAT16_ROW = MARTLET_FLOAT16_PIECE + 16,
};

// Rows of a left operand in a piece of the depth. An element lies twice in a word, because words are spread over a vector
// faster than halves of them.
struct martlet_float16_rows {
    uint32_t elements[MARTLET_STRIP_ROWS * MARTLET_FLOAT16_ROW];
    // What undoes the scale of a row.
    float inverse[MARTLET_STRIP_ROWS];
};

// Elements of a strip: block after block of [steps, 96], the last one with the steps that are left.
static inline int64_t martlet_float16_strip_size(int64_t depth) {
    int64_t blocks = (depth + MARTLET_FLOAT16_STEPS - 1) / MARTLET_FLOAT16_STEPS;
    return depth * MARTLET_FLOAT16_STRIP + blocks * MARTLET_FLOAT16_HEAD;
}

// --- float16_product.c -------------------------------------------------------------------------------------------

// The same as martlet_strip_product over strips of float16, which `right` points at. A left operand that is rounded to
// bfloat16 first is not among its forms. What the sum of an element is does not depend on how rows and columns are cut.
DECLARE_FLOAT16_KERNEL(float16_product, (const struct martlet_strip_product *product));

// --- float16_rows.c ----------------------------------------------------------------------------------------------

// Some rows of a product's left operand from an element of the depth on.
DECLARE_FLOAT16_KERNEL(float16_rows, (const struct martlet_strip_product *product, int64_t row, int64_t rows, int64_t from,
                                      int64_t depth, struct martlet_float16_rows *left));

// --- pack_float16.c ----------------------------------------------------------------------------------------------

// Strips of [depth, columns] elements, with zeros beyond the last column; `strip_step` is the distance between strips. The
// depth begins with a whole block of a strip.
DECLARE_FLOAT16_KERNEL(pack_float16, (int64_t columns, int64_t depth, const float *source, int64_t stride,
                                      uint16_t *strips, int64_t strip_step));
// The same of elements that lie transposed, [columns, depth].
DECLARE_FLOAT16_KERNEL(pack_float16_transposed, (int64_t columns, int64_t depth, const float *source, int64_t stride,
                                                 uint16_t *strips, int64_t strip_step));

#endif
