#include "kernels.h"
#include "bfloat16.h"
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

// Where gradients of logits go: to floats, or rounded to bfloat16.
struct gradients {
    float *floats;
    uint16_t *rounded;
};

// exp(x[c] - shift), times a factor; returns the sum without factors and rounding. What has been computed is in cache when it is
// added up and rounded.
MARTLET_INLINE float write_exponentials(int level, const float *x, const float *factors, int64_t count, float shift,
                                        struct gradients to) {
    enum { PIECE = 1024 };
    float total = 0, buffer[PIECE];
    for (int64_t from = 0; from < count; from += PIECE) {
        int64_t here = count - from < PIECE ? count - from : PIECE;
        float *piece = to.rounded ? buffer : to.floats + from;
        SAME_OR_APART SIDE_BY_SIDE
        for (int64_t c = 0; c < here; c++) piece[c] = exponential(x[from + c] - shift);
        total += row_sum(piece, here);
        if (factors)
            for (int64_t c = 0; c < here; c++) piece[c] *= factors[from + c];
        if (to.rounded) round_row(level, here, piece, to.rounded + from);
    }
    return total;
}

MARTLET_INLINE void cross_entropy_row(int level, int64_t columns, int32_t target, const float *logits,
                                      const float *factors, float *loss, float *total, struct gradients to) {
    float shift = row_maximum(logits, columns), picked = logits[target];
    *total = write_exponentials(level, logits, factors, columns, shift, to);
    *loss = shift + logf(*total) - picked;
    float own = exponential(picked - shift) - *total;
    if (factors) own *= factors[target];
    if (to.rounded)
        to.rounded[target] = (uint16_t)bfloat16_bits_at(level, own);
    else
        to.floats[target] = own;
}

MARTLET_INLINE void cross_entropy_rows(int level, int64_t rows, int64_t columns, const int32_t *targets,
                                       const float *logits, const float *factors, float *loss, float *totals,
                                       struct gradients to, int64_t stride) {
    for (int64_t r = 0; r < rows; r++, logits += columns) {
        cross_entropy_row(level, columns, targets[r], logits, factors, &loss[r], &totals[r], to);
        if (factors) factors += columns;
        if (to.rounded)
            to.rounded += stride;
        else
            to.floats += stride;
    }
}

KERNEL(cross_entropy,
       (int64_t rows, int64_t columns, const int32_t *targets, const float *logits, float *loss),
       (rows, columns, targets, logits, loss)) {
    for (int64_t r = 0; r < rows; r++, logits += columns) {
        float shift = row_maximum(logits, columns);
        loss[r] = shift + logf(sum_of_exponentials(logits, columns, shift)) - logits[targets[r]];
    }
}

KERNEL_BY_LEVEL(cross_entropy_f32,
                (int64_t rows, int64_t columns, const int32_t *targets, const float *logits, const float *factors,
                 float *loss, float *totals, float *gradient, int64_t stride),
                (rows, columns, targets, logits, factors, loss, totals, gradient, stride)) {
    cross_entropy_rows(level, rows, columns, targets, logits, factors, loss, totals,
                       (struct gradients){.floats = gradient}, stride);
}

ROUNDING_KERNEL(cross_entropy_bf16,
                (int64_t rows, int64_t columns, const int32_t *targets, const float *logits, const float *factors,
                 float *loss, float *totals, uint16_t *gradient, int64_t stride),
                (rows, columns, targets, logits, factors, loss, totals, gradient, stride)) {
    cross_entropy_rows(level, rows, columns, targets, logits, factors, loss, totals,
                       (struct gradients){.rounded = gradient}, stride);
}
