// Rows of numbers as whole numbers of 16 bits under one scale: half of float32, with an error of at most 2^-16 of the row's
// largest number.
#ifndef MARTLET_FIXED_POINT_H
#define MARTLET_FIXED_POINT_H

#include "variants.h"

// x = words * scales[row], as nearly as 16 bits allow; a row whose largest number is below 1e-30 is
// taken for zeros, and one with a number that is not finite for NaNs.
DECLARE_KERNEL(to_fixed_point, (int64_t rows, int64_t columns, const float *x, int16_t *words, float *scales));
DECLARE_KERNEL(from_fixed_point, (int64_t rows, int64_t columns, const int16_t *words, const float *scales, float *x));

#endif
