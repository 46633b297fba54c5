// dot.h: products of a few activations with rows of a weight, which is read where it lies.
//
// result[i * result_stride + r] = sum over c of x[i * stride + c] * element(r, c), i < count, r < rows, c < columns;
// added to the result if `accumulate` is not 0.
//
// w            row 0 of the weight, any alignment: blocks of a format as expand.h describes them
// w_stride     bytes from row to row
// round        whether elements of the weight are rounded to bfloat16 (nearest even)
//
// Elements are those that expanding gives. A number of the result is the same whichever rows it is computed with.
// Of 32-element formats `columns` is a multiple of 32, of 256-element formats of 256.
#ifndef MARTLET_DOT_H
#define MARTLET_DOT_H

#include <stdint.h>

#include "variants.h"

#define DOT_ROWS_PARAMETERS                                                                                           \
    (int64_t count, int64_t rows, int64_t columns, const float *x, int64_t stride, const void *w,                     \
     int64_t w_stride, int round, int accumulate, float *result, int64_t result_stride)

DECLARE_KERNEL(dot_rows_f32, DOT_ROWS_PARAMETERS);
DECLARE_KERNEL(dot_rows_f16, DOT_ROWS_PARAMETERS);
DECLARE_KERNEL(dot_rows_bf16, DOT_ROWS_PARAMETERS);
DECLARE_KERNEL(dot_rows_q8_0, DOT_ROWS_PARAMETERS);
DECLARE_KERNEL(dot_rows_q4_0, DOT_ROWS_PARAMETERS);
DECLARE_KERNEL(dot_rows_q4_1, DOT_ROWS_PARAMETERS);
DECLARE_KERNEL(dot_rows_q5_0, DOT_ROWS_PARAMETERS);
DECLARE_KERNEL(dot_rows_q5_1, DOT_ROWS_PARAMETERS);
DECLARE_KERNEL(dot_rows_q4_K, DOT_ROWS_PARAMETERS);
DECLARE_KERNEL(dot_rows_q5_K, DOT_ROWS_PARAMETERS);
DECLARE_KERNEL(dot_rows_q6_K, DOT_ROWS_PARAMETERS);
DECLARE_KERNEL(dot_rows_mxfp4, DOT_ROWS_PARAMETERS);

#endif
