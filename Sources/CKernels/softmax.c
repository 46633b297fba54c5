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

// x[c] <- exp(x[c] - shift); returns the sum. What has been computed is added up while it is in cache.
MARTLET_INLINE float exponentials(float *x, int64_t count, float shift) {
    enum { PIECE = 1024 };
    float total = 0;
    for (int64_t from = 0; from < count; from += PIECE) {
        int64_t here = count - from < PIECE ? count - from : PIECE;
        SIDE_BY_SIDE for (int64_t c = 0; c < here; c++) x[from + c] = exponential(x[from + c] - shift);
        total += row_sum(x + from, here);
    }
    return total;
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

KERNEL(cross_entropy,
       (int64_t rows, int64_t columns, const int32_t *targets, float *logits, float *loss, float *totals),
       (rows, columns, targets, logits, loss, totals)) {
    for (int64_t r = 0; r < rows; r++, logits += columns) {
        float shift = row_maximum(logits, columns), picked = logits[targets[r]];
        float total = totals ? exponentials(logits, columns, shift) : sum_of_exponentials(logits, columns, shift);
        loss[r] = shift + logf(total) - picked;
        if (!totals) continue;
        logits[targets[r]] -= total;
        totals[r] = total;
    }
}

// exp(x[c] - shift), times a factor, rounded; returns the sum without factors and rounding. Floats exist a piece at a time.
MARTLET_INLINE float rounded_exponentials(int level, const float *x, const float *factors, int64_t count, float shift,
                                          uint16_t *rounded) {
    enum { PIECE = 1024 };
    float total = 0, piece[PIECE];
    for (int64_t from = 0; from < count; from += PIECE) {
        int64_t here = count - from < PIECE ? count - from : PIECE;
        SIDE_BY_SIDE for (int64_t c = 0; c < here; c++) piece[c] = exponential(x[from + c] - shift);
        total += row_sum(piece, here);
        if (factors)
            for (int64_t c = 0; c < here; c++) piece[c] *= factors[from + c];
        round_row(level, here, piece, rounded + from);
    }
    return total;
}

ROUNDING_KERNEL(cross_entropy_bf16,
                (int64_t rows, int64_t columns, const int32_t *targets, const float *logits, const float *factors,
                 float *loss, float *totals, uint16_t *gradient, int64_t stride),
                (rows, columns, targets, logits, factors, loss, totals, gradient, stride)) {
    for (int64_t r = 0; r < rows; r++, logits += columns, gradient += stride) {
        const float *row_factors = factors ? factors + r * columns : NULL;
        int32_t target = targets[r];
        float shift = row_maximum(logits, columns), picked = logits[target];
        totals[r] = rounded_exponentials(level, logits, row_factors, columns, shift, gradient);
        loss[r] = shift + logf(totals[r]) - picked;
        float own = exponential(picked - shift) - totals[r];
        gradient[target] = (uint16_t)bfloat16_bits_at(level, row_factors ? own * row_factors[target] : own);
    }
}
