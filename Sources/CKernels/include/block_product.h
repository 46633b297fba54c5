// Products of float32 matrices that lie in the nearest caches.
#ifndef MARTLET_BLOCK_PRODUCT_H
#define MARTLET_BLOCK_PRODUCT_H

#include "variants.h"

// --- block_product.c ---------------------------------------------------------------------------------------------

// result[rows, 16 * vectors] = left[rows, depth] · right[depth, 16 * vectors], or added to what the result holds; the
// depth is above 0. Everything lies in the nearest caches; an element's sum runs along the depth in order. left_stride
// is the distance between rows; with left_is_transposed, between elements along the depth.
struct martlet_block_product {
    int64_t rows, vectors, depth;
    const float *left;
    int64_t left_stride;
    int left_is_transposed;
    const float *right;
    int64_t right_stride;
    float *result;
    int64_t result_stride;
    int accumulate;
};
DECLARE_KERNEL(block_product, (const struct martlet_block_product *product));

// --- panel_product.c ---------------------------------------------------------------------------------------------

// Rows, however many, with a panel of a weight that lies in the second-level cache, since it has just been expanded. A
// library's product copies the whole panel before it begins, which costs as much as the product itself where few rows
// meet it; here only pieces that fit the first-level cache are copied.
struct martlet_panel_product {
    // Of the result, and the number of products in each of its elements.
    int64_t rows, columns, depth;
    // [rows, depth], or its transpose [depth, rows rounded up to 16].
    const float *x;
    int64_t x_stride;
    const float *weight;
    int64_t weight_stride;
    float *result;
    int64_t result_stride;
    // Whether the product is added to the result.
    int accumulate;
};
// result[rows, columns] = x[rows, depth] · weight[depth, columns]
DECLARE_KERNEL(panel_product, (const struct martlet_panel_product *product));
// result[rows, columns] = xᵀ[depth, rows]ᵀ · weight[columns, depth]ᵀ
DECLARE_KERNEL(panel_product_transposed, (const struct martlet_panel_product *product));
// result[rows, columns] = x[rows, depth] · weight[columns, depth]ᵀ, for few rows or few columns: vectors lie along the
// depth.
DECLARE_KERNEL(panel_product_few, (const struct martlet_panel_product *product));
// result[columns, rows] = xᵀ, with zeros beyond the last row of x up to a multiple of sixteen.
DECLARE_KERNEL(transpose, (int64_t rows, int64_t columns, const float *x, int64_t stride, float *result,
                           int64_t result_stride));

#endif
