// Inner loops over float32 rows. Legend: all matrices are row-major; `rows` × `columns` are contiguous unless a row
// stride (in elements) is given. The caller owns all memory; outputs never overlap inputs unless said so.
#ifndef MARTLET_KERNELS_H
#define MARTLET_KERNELS_H

#include "variants.h"

#include <stddef.h>

// --- elementwise.c ---------------------------------------------------------------------------------------------

// out[i] = a[i] + b[i]; out may be a or b.
DECLARE_KERNEL(add, (int64_t count, const float *a, const float *b, float *out));
// out[i] = a[i] * b[i]; out may be a or b.
DECLARE_KERNEL(multiply, (int64_t count, const float *a, const float *b, float *out));
// y[i] += alpha * x[i]
DECLARE_KERNEL(add_scaled, (int64_t count, float alpha, const float *x, float *y));
// y[i] = alpha * x[i]; y may be x.
DECLARE_KERNEL(scale, (int64_t count, float alpha, const float *x, float *y));
// y[r, c] += bias[c]; rows have the given stride.
DECLARE_KERNEL(add_bias, (int64_t rows, int64_t columns, const float *bias, float *y, int64_t stride));
// y += x for rows with the given strides, x not in cache.
DECLARE_KERNEL(add_rows, (int64_t rows, int64_t columns, const float *x, int64_t stride, float *y, int64_t y_stride));
// bfloat16 <-> float32; rounding is to nearest even, NaN stays NaN. AVX512-BF16, here and wherever else rounding kernels use it,
// rounds numbers below 2^-126 to zero.
DECLARE_KERNEL(from_bfloat16, (int64_t count, const uint16_t *x, float *y));
DECLARE_ROUNDING_KERNEL(to_bfloat16, (int64_t count, const float *x, uint16_t *y));
// The same of rows with the given strides, for a result that is not in cache.
DECLARE_ROUNDING_KERNEL(rows_to_bfloat16, (int64_t rows, int64_t columns, const float *x, int64_t stride, uint16_t *y,
                                           int64_t y_stride));
// y[i] = x[i] rounded to bfloat16 and widened again; y may be x.
DECLARE_KERNEL(round_to_bfloat16, (int64_t count, const float *x, float *y));
// y[i] = x[i] - (x[i] rounded to bfloat16), what rounding takes away; y may be x.
DECLARE_KERNEL(low_part, (int64_t count, const float *x, float *y));
// y[r, i] = x[r, columns[i]]; rows have the given strides.
DECLARE_KERNEL(gather_columns, (int64_t rows, int64_t count, const int32_t *columns, const float *x, int64_t stride,
                                float *y, int64_t y_stride));
DECLARE_KERNEL(gather_columns_bf16, (int64_t rows, int64_t count, const int32_t *columns, const uint16_t *x,
                                     int64_t stride, float *y, int64_t y_stride));
// first[i] = pairs[2i], second[i] = pairs[2i + 1], and back.
DECLARE_KERNEL(split_pairs, (int64_t count, const float *pairs, float *first, float *second));
DECLARE_KERNEL(join_pairs, (int64_t count, const float *first, const float *second, float *pairs));
// *result = sum of x[i]^2, accumulated in double in an order that depends on `count` only.
DECLARE_KERNEL(sum_of_squares, (int64_t count, const float *x, double *result));

// *result = sum of the words modulo 2^32: nothing but reading, the yardstick of decoding.
DECLARE_KERNEL(sum_of_words, (int64_t count, const uint32_t *words, uint32_t *result));

// --- activation.c ------------------------------------------------------------------------------------------------

// Gated activations and their derivatives, over float32 or bfloat16 numbers. In the backward forms d_gate and d_up may
// overwrite gate and up. `more` are parameters of the function, each with a comma before it.
#define DECLARE_GATE_KERNELS(DECLARE, function, suffix, number, more)                                                 \
    DECLARE(function##_forward##suffix,                                                                               \
            (int64_t count MARTLET_UNWRAPPED more, const number *gate, const number *up, number *y));                 \
    DECLARE(function##_backward##suffix,                                                                              \
            (int64_t count MARTLET_UNWRAPPED more, const number *gate, const number *up, const number *dy,            \
             number *d_gate, number *d_up))
// y[i] = silu(gate[i]) * up[i], silu(g) = g * sigmoid(g)
DECLARE_GATE_KERNELS(DECLARE_KERNEL, silu_gate, , float, ());
DECLARE_GATE_KERNELS(DECLARE_ROUNDING_KERNEL, silu_gate, _bf16, uint16_t, ());
// y[i] = gelu(gate[i]) * up[i] with GELU's tanh approximation (Hendrycks & Gimpel, 2016).
DECLARE_GATE_KERNELS(DECLARE_KERNEL, gelu_gate, , float, ());
DECLARE_GATE_KERNELS(DECLARE_ROUNDING_KERNEL, gelu_gate, _bf16, uint16_t, ());
// y[i] = g * sigmoid(alpha * g) * (u + 1), g = min(gate[i], limit), u = up[i] cut to [-limit, limit]. Where something is
// cut off its derivative is 0.
DECLARE_GATE_KERNELS(DECLARE_KERNEL, clamped_gate, , float, (, float alpha, float limit));
DECLARE_GATE_KERNELS(DECLARE_ROUNDING_KERNEL, clamped_gate, _bf16, uint16_t, (, float alpha, float limit));
// x[i] <- cap * tanh(x[i] / cap)
DECLARE_KERNEL(soft_cap, (int64_t count, float cap, float *x));

// --- norm.c ------------------------------------------------------------------------------------------------------

// RMSNorm (Zhang & Sennrich, 2019): inverse[r] = 1 / sqrt(mean(x[r]^2) + epsilon), y[r] = x[r] * inverse[r] * weight.
DECLARE_KERNEL(rms_norm_forward, (int64_t rows, int64_t columns, const float *x, const float *weight, float epsilon,
                                  float *y, float *inverse));
// dx = sum + inverse * (w*dy - x_hat * mean(w*dy*x_hat)), x_hat = y * undo [columns]. sum may be dx, or null. d_weight
// [columns] is added to, or null.
DECLARE_KERNEL(rms_norm_backward, (int64_t rows, int64_t columns, const float *y, const float *undo,
                                   const float *weight, const float *inverse, const float *dy, const float *sum,
                                   float *dx, float *d_weight));

// --- rotary.c ----------------------------------------------------------------------------------------------------

// Rotates 2 * half elements of every head, from `offset` on, by the row's angles: (a, b) -> (a cos - b sin, b cos + a sin), where
// b lies `half` after a (interleaved = 0) or right after a (interleaved = 1). cosine, sine: [rows, half].
// direction = 1 rotates, -1 rotates back (the derivative, also where cosine and sine carry a magnitude). Other
// elements are copied.
DECLARE_KERNEL(rotate, (int64_t rows, int64_t heads, int64_t head_size, int64_t offset, int64_t half, int interleaved,
                        float direction, const float *x, const float *cosine, const float *sine, float *y));

// --- softmax.c ---------------------------------------------------------------------------------------------------

// *result = index of the largest number, the first of equal ones; NaN counts as none, and 0 is the answer where there
// is no number.
DECLARE_KERNEL(index_of_largest, (int64_t count, const float *x, int64_t *result));
// result[r] = sum over columns of a[r] * b[r], rows with strides.
DECLARE_KERNEL(row_dots, (int64_t rows, int64_t columns, const float *a, int64_t a_stride, const float *b,
                          int64_t b_stride, float *result));
// The largest number of every row; NaN counts as none.
DECLARE_KERNEL(row_maxima, (int64_t rows, int64_t columns, const float *x, int64_t stride, float *result));

// Logits of some rows at some columns of the vocabulary, while they are in cache.
struct martlet_logits {
    int64_t rows, columns;
    // Where the columns begin.
    int64_t first;
    float *values;
    int64_t stride;
    // A logit z counts as cap * tanh(z / cap), unless cap is 0.
    float cap;
    // For each row what is taken from its logits before the exponential, about their size; and an id of the vocabulary.
    const float *references;
    const int32_t *targets;
};
// Values become exp(logit - reference) times the derivative of the cap; sums[r] = their sum without that derivative. Where the
// target is among the columns, picked[r] = its logit, and its value becomes 0.
DECLARE_KERNEL(softmax_of_logits, (const struct martlet_logits *logits, float *sums, float *picked));
// totals[r] = the sum over the whole vocabulary, from those of `parts` parts of it, [parts, rows], in their order; losses[r] = its
// logarithm + reference - picked; own[r] = what belongs at the target's place, so that a row of
// values is totals[r] times the gradient of the loss. Values and columns are not read.
DECLARE_KERNEL(cross_entropy, (const struct martlet_logits *logits, int64_t parts, const float *sums, const float *picked,
                               float *totals, float *losses, float *own));

// --- low_rank.c --------------------------------------------------------------------------------------------------

// out[rank, columns] = g[rows, rank]^T * x[rows, columns], or added to it, where rank or columns are few; all with row
// strides. There are rows; they are summed in order.
DECLARE_KERNEL(low_rank_gradient, (int64_t rows, int64_t columns, int64_t rank, const float *g, int64_t g_stride,
                                   const float *x, int64_t stride, int accumulate, float *out, int64_t out_stride));

// --- adamw.c -----------------------------------------------------------------------------------------------------

// One AdamW step (Loshchilov & Hutter, 2019) over `count` values, gradient scaled by gradient_scale first:
// m = b1*m + (1-b1)*g; v = b2*v + (1-b2)*g*g; p -= lr*decay*p + lr * (m/correction1) / (sqrt(v/correction2) + epsilon)
struct martlet_adamw {
    float learning_rate, beta1, beta2, epsilon, weight_decay, correction1, correction2, gradient_scale;
};
DECLARE_KERNEL(adamw, (int64_t count, const struct martlet_adamw *settings, const float *gradient, float *parameter,
                       float *m, float *v));

// --- dropout.c ---------------------------------------------------------------------------------------------------

// Columns [first_column, first_column + columns) of rows [first_row, …) of a mask, applied in place:
// x <- x / (1 - rate) or 0, with Philox4x32-10 (Salmon et al., 2011) counting (row, column / 4). The decision of an
// element depends on key, stream, row and column only. x: [rows, columns].
DECLARE_KERNEL(dropout, (int64_t rows, int64_t first_column, int64_t columns, uint64_t key, uint64_t stream,
                         int64_t first_row, float rate, float *x));
// out[i] = uniform in [0, 1) number `first + i` of the stream, 24 bits each.
DECLARE_KERNEL(philox_uniform, (int64_t count, uint64_t key, uint64_t stream, int64_t first, float *out));

#endif
