// Sums and maxima of rows, sixteen beside one another: an order that vectorises and is the same for every instruction
// set.
#ifndef MARTLET_ROWS_H
#define MARTLET_ROWS_H

#include "exponential.h"
#include "variants.h"

#include <math.h>

MARTLET_INLINE float lanes_total(const float *lanes) {
    float total = 0;
    for (int j = 0; j < 16; j++) total += lanes[j];
    return total;
}

MARTLET_INLINE float row_maximum(const float *x, int64_t count) {
    float lanes[16], result = -INFINITY;
    for (int j = 0; j < 16; j++) lanes[j] = -INFINITY;
    int64_t c = 0;
    // Four at once, of which only the largest waits for the one before.
    for (; c + 64 <= count; c += 64)
        for (int j = 0; j < 16; j++) {
            const float *four = x + c + j;
            float low = four[16] > four[0] ? four[16] : four[0], high = four[48] > four[32] ? four[48] : four[32];
            low = high > low ? high : low;
            lanes[j] = low > lanes[j] ? low : lanes[j];
        }
    for (; c + 16 <= count; c += 16)
        for (int j = 0; j < 16; j++) lanes[j] = x[c + j] > lanes[j] ? x[c + j] : lanes[j];
    for (; c < count; c++) result = x[c] > result ? x[c] : result;
    for (int j = 0; j < 16; j++) result = lanes[j] > result ? lanes[j] : result;
    return result;
}

MARTLET_INLINE float row_sum(const float *x, int64_t count) {
    float lanes[16] = {0};
    int64_t c = 0;
    for (; c + 16 <= count; c += 16)
        for (int j = 0; j < 16; j++) lanes[j] += x[c + j];
    for (int j = 0; c + j < count; j++) lanes[j] += x[c + j];
    return lanes_total(lanes);
}

// Sum of exp(x[c] - shift).
MARTLET_INLINE float sum_of_exponentials(const float *x, int64_t count, float shift) {
    float lanes[16] = {0};
    int64_t c = 0;
    for (; c + 16 <= count; c += 16)
        for (int j = 0; j < 16; j++) lanes[j] += exponential(x[c + j] - shift);
    for (int j = 0; c + j < count; j++) lanes[j] += exponential(x[c + j] - shift);
    return lanes_total(lanes);
}

#endif
