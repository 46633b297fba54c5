#include "copies.h"
#include "experts.h"
#include "rows.h"

#include <math.h>

// Score of one expert as the choice sees it. Without bias and groups sigmoid and softmax keep the order of the logits,
// which cannot saturate.
MARTLET_INLINE float choice_score(const struct martlet_routing *routing, const float *logits, int64_t expert) {
    if (!routing->bias && routing->groups <= 1) return logits[expert];
    float score = routing->scoring == MARTLET_ROUTE_SIGMOID ? sigmoid(logits[expert]) : logits[expert];
    return routing->bias ? score + routing->bias[expert] : score;
}

// Marks the groups that may be chosen from: open[g] = 1.
MARTLET_INLINE void open_groups(const struct martlet_routing *routing, const float *logits, float *sums, char *open) {
    int64_t size = routing->experts / routing->groups;
    for (int64_t g = 0; g < routing->groups; g++) {
        float best = -INFINITY, second = -INFINITY;
        for (int64_t e = g * size; e < (g + 1) * size; e++) {
            float score = choice_score(routing, logits, e);
            if (score > best) {
                second = best;
                best = score;
            } else if (score > second) {
                second = score;
            }
        }
        sums[g] = size > 1 ? best + second : best;
        open[g] = 0;
    }
    for (int64_t kept = 0; kept < routing->kept_groups; kept++) {
        int64_t at = -1;
        for (int64_t g = 0; g < routing->groups; g++)
            if (!open[g] && (at < 0 || sums[g] > sums[at])) at = g;
        open[at] = 1;
    }
}

// The best experts in falling order, by insertion.
MARTLET_INLINE void choose(const struct martlet_routing *routing, const float *logits, int32_t *indices) {
    float sums[routing->groups], scores[routing->chosen];
    char open[routing->groups];
    int64_t size = routing->experts / routing->groups, found = 0;
    int limited = routing->kept_groups < routing->groups;
    if (limited) open_groups(routing, logits, sums, open);
    for (int64_t e = 0; e < routing->experts; e++) {
        if (limited && !open[e / size]) continue;
        float score = choice_score(routing, logits, e);
        if (found == routing->chosen && !(score > scores[found - 1])) continue;
        int64_t at = found < routing->chosen ? found++ : found - 1;
        for (; at > 0 && score > scores[at - 1]; at--) {
            scores[at] = scores[at - 1];
            indices[at] = indices[at - 1];
        }
        scores[at] = score;
        indices[at] = (int32_t)e;
    }
}

// Scores of the chosen experts before normalisation.
MARTLET_INLINE void chosen_scores(const struct martlet_routing *routing, const float *logits, const int32_t *indices,
                                  float *scores) {
    int64_t k = routing->chosen;
    if (routing->scoring == MARTLET_ROUTE_SIGMOID) {
        for (int64_t j = 0; j < k; j++) scores[j] = sigmoid(logits[indices[j]]);
        return;
    }
    float shift = row_maximum(logits, routing->experts), total = 0;
    for (int64_t j = 0; j < k; j++) scores[j] = exponential(logits[indices[j]] - shift);
    if (routing->scoring == MARTLET_ROUTE_SOFTMAX_CHOSEN)
        for (int64_t j = 0; j < k; j++) total += scores[j];
    else
        total = sum_of_exponentials(logits, routing->experts, shift);
    for (int64_t j = 0; j < k; j++) scores[j] /= total;
}

KERNEL(route, (int64_t rows, const struct martlet_routing *routing, const float *logits, int32_t *indices, float *weights),
       (rows, routing, logits, indices, weights)) {
    int64_t k = routing->chosen;
    for (int64_t r = 0; r < rows; r++, logits += routing->experts, indices += k, weights += k) {
        choose(routing, logits, indices);
        chosen_scores(routing, logits, indices, weights);
        float sum = 1e-20f;
        for (int64_t j = 0; j < k; j++) sum += weights[j];
        float factor = routing->normalize ? routing->scaling / sum : routing->scaling;
        for (int64_t j = 0; j < k; j++) weights[j] *= factor;
    }
}

// With scores s and S = sum s + 1e-20: weight w = scaling s / S, so ds = scaling (dw - sum(dw s) / S) / S, or
// ds = scaling dw without normalisation. Sigmoid: dl = ds s (1 - s). Softmax over a set: dl = s (ds - sum(ds s)), where
// experts of the set that were not chosen have ds = 0.
KERNEL(route_backward,
       (int64_t rows, const struct martlet_routing *routing, const float *logits, const int32_t *indices,
        const float *d_weights, float *d_logits),
       (rows, routing, logits, indices, d_weights, d_logits)) {
    int64_t k = routing->chosen, n = routing->experts;
    float s[k], ds[k];
    for (int64_t r = 0; r < rows; r++, logits += n, d_logits += n, indices += k, d_weights += k) {
        chosen_scores(routing, logits, indices, s);
        float sum = 1e-20f, mean = 0, product = 0;
        for (int64_t j = 0; j < k; j++) sum += s[j];
        for (int64_t j = 0; j < k; j++) mean += d_weights[j] * s[j] / sum;
        for (int64_t j = 0; j < k; j++)
            ds[j] = routing->normalize ? routing->scaling * (d_weights[j] - mean) / sum : routing->scaling * d_weights[j];
        for (int64_t j = 0; j < k; j++) product += ds[j] * s[j];
        for (int64_t e = 0; e < n; e++) d_logits[e] = 0;
        if (routing->scoring == MARTLET_ROUTE_SOFTMAX) {
            float shift = row_maximum(logits, n), total = sum_of_exponentials(logits, n, shift);
            for (int64_t e = 0; e < n; e++) d_logits[e] = -product * exponential(logits[e] - shift) / total;
        } else if (routing->scoring == MARTLET_ROUTE_SOFTMAX_CHOSEN) {
            for (int64_t j = 0; j < k; j++) d_logits[indices[j]] = -product * s[j];
        }
        for (int64_t j = 0; j < k; j++)
            d_logits[indices[j]] += routing->scoring == MARTLET_ROUTE_SIGMOID ? ds[j] * s[j] * (1.0f - s[j]) : ds[j] * s[j];
    }
}

KERNEL(router_shares, (int64_t rows, int64_t experts, const float *logits, float *sums), (rows, experts, logits, sums)) {
    for (int64_t r = 0; r < rows; r++, logits += experts) {
        float shift = row_maximum(logits, experts), total = sum_of_exponentials(logits, experts, shift);
        for (int64_t e = 0; e < experts; e++) sums[e] += exponential(logits[e] - shift) / total;
    }
}

KERNEL(router_shares_backward,
       (int64_t rows, int64_t experts, float scale, const float *factors, const float *logits, float *d_logits),
       (rows, experts, scale, factors, logits, d_logits)) {
    for (int64_t r = 0; r < rows; r++, logits += experts, d_logits += experts) {
        float shift = row_maximum(logits, experts), total = 0, mean = 0;
        for (int64_t e = 0; e < experts; e++) {
            float p = exponential(logits[e] - shift);
            total += p;
            mean += factors[e] * p;
        }
        mean /= total;
        for (int64_t e = 0; e < experts; e++)
            d_logits[e] += scale * exponential(logits[e] - shift) / total * (factors[e] - mean);
    }
}

// A matrix whose columns' elements follow one another, of whole squares of sixteen, is transposed. Else, where a row's
// elements follow one another they are vectors, and where not, since one of the strides is small, columns go outside.
MARTLET_INLINE int is_in_squares(int64_t rows, int64_t columns, int64_t row_stride) {
    return row_stride == 1 && rows % LANES == 0 && columns % LANES == 0;
}

#define FOR_EACH_STRIDED(statement)                                                                                   \
    if (column_stride == 1) {                                                                                         \
        for (int64_t r = 0; r < rows; r++)                                                                            \
            SAME_OR_APART for (int64_t c = 0, at = r * row_stride; c < columns; c++, at++) statement;                 \
    } else {                                                                                                          \
        for (int64_t c = 0; c < columns; c++)                                                                         \
            for (int64_t r = 0, at = c * column_stride; r < rows; r++, at += row_stride) statement;                   \
    }

KERNEL(strided_copy,
       (int64_t rows, int64_t columns, const float *x, int64_t row_stride, int64_t column_stride, float *y),
       (rows, columns, x, row_stride, column_stride, y)) {
    if (is_in_squares(rows, columns, row_stride)) return transpose_back(x, column_stride, rows, columns, 0, y, columns);
    FOR_EACH_STRIDED(y[r * columns + c] = x[at])
}

KERNEL(strided_put,
       (int64_t rows, int64_t columns, const float *x, int adding, float *y, int64_t row_stride, int64_t column_stride),
       (rows, columns, x, adding, y, row_stride, column_stride)) {
    if (is_in_squares(rows, columns, row_stride))
        return transpose_back(x, columns, columns, rows, adding, y, column_stride);
    if (adding)
        FOR_EACH_STRIDED(y[at] += x[r * columns + c])
    else
        FOR_EACH_STRIDED(y[at] = x[r * columns + c])
}
