// Inner loops of mixtures of experts. Legend as in kernels.h.
#ifndef MARTLET_EXPERTS_H
#define MARTLET_EXPERTS_H

#include "variants.h"

// What a score of an expert is made of.
enum {
    // Softmax over all experts.
    MARTLET_ROUTE_SOFTMAX = 0,
    // Softmax over the chosen experts.
    MARTLET_ROUTE_SOFTMAX_CHOSEN = 1,
    // Sigmoid of every expert by itself.
    MARTLET_ROUTE_SIGMOID = 2,
};

// How tokens choose experts.
struct martlet_routing {
    // Experts in all, and chosen by each token.
    int64_t experts, chosen;
    // Experts are in `groups` equal groups, of which the `kept_groups` with the largest sum of their two best scores may
    // be chosen from. 1 and 1 is no limit.
    int64_t groups, kept_groups;
    int32_t scoring;
    // Whether weights are divided by (their sum + 1e-20).
    int32_t normalize;
    // Factor of the weights.
    float scaling;
    // Added to scores for the choice, not for the weights: [experts] or null.
    const float *bias;
};

// Chooses experts for `rows` tokens from logits [rows, experts]: indices and weights [rows, chosen], the best first; of
// equal scores the lower index first.
DECLARE_KERNEL(route, (int64_t rows, const struct martlet_routing *routing, const float *logits, int32_t *indices,
                       float *weights));
// d_logits [rows, experts] from d_weights [rows, chosen]; the choice itself has no derivative.
DECLARE_KERNEL(route_backward, (int64_t rows, const struct martlet_routing *routing, const float *logits,
                                const int32_t *indices, const float *d_weights, float *d_logits));

// sums[e] += softmax of the row's logits, over all rows in order.
DECLARE_KERNEL(router_shares, (int64_t rows, int64_t experts, const float *logits, float *sums));
// The gradient of scale * sum over e of factors[e] * sums[e]: d_logits += scale * p * (factors - sum of factors * p).
DECLARE_KERNEL(router_shares_backward, (int64_t rows, int64_t experts, float scale, const float *factors,
                                        const float *logits, float *d_logits));

// y[r, c] = x[r * row_stride + c * column_stride]
DECLARE_KERNEL(strided_copy, (int64_t rows, int64_t columns, const float *x, int64_t row_stride, int64_t column_stride,
                              float *y));
// y[r * row_stride + c * column_stride] = x[r, c], or added to what is there.
DECLARE_KERNEL(strided_put, (int64_t rows, int64_t columns, const float *x, int adding, float *y, int64_t row_stride,
                             int64_t column_stride));

#endif
