#include "kernels.h"
#include "exponential.h"
#include "rows.h"

#include <math.h>

KERNEL(index_of_largest, (int64_t count, const float *x, int64_t *result), (count, x, result)) {
    enum { PIECE = 256 };
    float largest = row_maximum(x, count);
    *result = 0;
    for (int64_t from = 0; from < count; from += PIECE) {
        int64_t end = from + PIECE < count ? from + PIECE : count;
        int found = 0;
        for (int64_t i = from; i < end; i++) found |= x[i] == largest;
        if (!found) continue;
        for (*result = from; x[*result] != largest;) ++*result;
        return;
    }
}

KERNEL(row_dots,
       (int64_t rows, int64_t columns, const float *a, int64_t a_stride, const float *b, int64_t b_stride,
        float *result),
       (rows, columns, a, a_stride, b, b_stride, result)) {
    for (int64_t r = 0; r < rows; r++, a += a_stride, b += b_stride) {
        float lanes[16] = {0};
        int64_t c = 0;
        for (; c + 16 <= columns; c += 16)
            for (int j = 0; j < 16; j++) lanes[j] += a[c + j] * b[c + j];
        for (int j = 0; c + j < columns; j++) lanes[j] += a[c + j] * b[c + j];
        result[r] = lanes_total(lanes);
    }
}

KERNEL(row_maxima, (int64_t rows, int64_t columns, const float *x, int64_t stride, float *result),
       (rows, columns, x, stride, result)) {
    for (int64_t r = 0; r < rows; r++) result[r] = row_maximum(x + r * stride, columns);
}

// Exponentials of some logits, times the derivative of their cap, in place; returns their sum without it.
MARTLET_INLINE float exponentials_of_logits(float *x, int64_t count, float cap, float reference) {
    enum { PIECE = 512 };
    if (cap == 0) {
        SIDE_BY_SIDE for (int64_t c = 0; c < count; c++) x[c] = exponential(x[c] - reference);
        return row_sum(x, count);
    }
    float total = 0, tangents[PIECE];
    for (; count > 0; x += PIECE, count -= PIECE) {
        int64_t here = count < PIECE ? count : PIECE;
        for (int64_t c = 0; c < here; c++) tangents[c] = hyperbolic_tangent(x[c] / cap);
        // As picked logits are: rounded before the difference.
        for (int64_t c = 0; c < here; c++) x[c] = cap * tangents[c];
        for (int64_t c = 0; c < here; c++) x[c] = exponential(x[c] - reference);
        total += row_sum(x, here);
        for (int64_t c = 0; c < here; c++) x[c] *= 1.0f - tangents[c] * tangents[c];
    }
    return total;
}

KERNEL(softmax_of_logits, (const struct martlet_logits *logits, float *sums, float *picked), (logits, sums, picked)) {
    float *x = logits->values;
    const float cap = logits->cap;
    for (int64_t r = 0; r < logits->rows; r++, x += logits->stride) {
        int64_t target = logits->targets[r] - logits->first;
        const int is_here = target >= 0 && target < logits->columns;
        if (is_here) picked[r] = cap == 0 ? x[target] : cap * hyperbolic_tangent(x[target] / cap);
        sums[r] = exponentials_of_logits(x, logits->columns, cap, logits->references[r]);
        if (is_here) x[target] = 0;
    }
}

KERNEL(cross_entropy,
       (const struct martlet_logits *logits, int64_t parts, const float *sums, const float *picked, float *totals,
        float *losses, float *own),
       (logits, parts, sums, picked, totals, losses, own)) {
    const int64_t rows = logits->rows;
    const float cap = logits->cap;
    for (int64_t r = 0; r < rows; r++) totals[r] = 0;
    for (int64_t part = 0; part < parts; part++)
        for (int64_t r = 0; r < rows; r++) totals[r] += sums[part * rows + r];
    for (int64_t r = 0; r < rows; r++) {
        float rest = exponential(picked[r] - logits->references[r]) - totals[r];
        own[r] = rest > 0 ? 0 : rest;
        // What is left of the total tells a small loss better than a difference of logarithms.
        losses[r] = own[r] > -0.5f * totals[r] ? -log1pf(own[r] / totals[r])
                                               : logf(totals[r]) + logits->references[r] - picked[r];
        if (cap != 0) own[r] *= 1.0f - picked[r] * picked[r] / (cap * cap);
    }
}
