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

// x[c] <- exp(factor * x[c] - shift); returns the sum over sixteen lanes.
MARTLET_INLINE float exponentials(float *x, int64_t count, float factor, float shift) {
    float lanes[16] = {0}, total = 0;
    int64_t c = 0;
    for (; c + 16 <= count; c += 16)
        for (int j = 0; j < 16; j++) {
            float e = exponential(factor * x[c + j] - shift);
            x[c + j] = e;
            lanes[j] += e;
        }
    for (int j = 0; c + j < count; j++) {
        float e = exponential(factor * x[c + j] - shift);
        x[c + j] = e;
        lanes[j] += e;
    }
    for (int j = 0; j < 16; j++) total += lanes[j];
    return total;
}

KERNEL(row_dots,
       (int64_t rows, int64_t columns, const float *a, int64_t a_stride, const float *b, int64_t b_stride,
        float *result),
       (rows, columns, a, a_stride, b, b_stride, result)) {
    for (int64_t r = 0; r < rows; r++, a += a_stride, b += b_stride) {
        float lanes[16] = {0}, total = 0;
        int64_t c = 0;
        for (; c + 16 <= columns; c += 16)
            for (int j = 0; j < 16; j++) lanes[j] += a[c + j] * b[c + j];
        for (int j = 0; c + j < columns; j++) lanes[j] += a[c + j] * b[c + j];
        for (int j = 0; j < 16; j++) total += lanes[j];
        result[r] = total;
    }
}

KERNEL(cross_entropy,
       (int64_t rows, int64_t columns, const int32_t *targets, int gradient, float *logits, float *loss),
       (rows, columns, targets, gradient, logits, loss)) {
    for (int64_t r = 0; r < rows; r++, logits += columns) {
        float shift = row_maximum(logits, columns), picked = logits[targets[r]];
        float total = exponentials(logits, columns, 1.0f, shift);
        loss[r] = shift + logf(total) - picked;
        if (!gradient) continue;
        float normaliser = 1.0f / total;
        for (int64_t c = 0; c < columns; c++) logits[c] *= normaliser;
        logits[targets[r]] -= 1.0f;
    }
}
