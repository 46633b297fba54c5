#include "kernels.h"

KERNEL(dot_rows, (int64_t count, int64_t columns, const float *x, int64_t stride, const float *w, float *result),
       (count, columns, x, stride, w, result)) {
    for (int64_t i = 0; i < count; i++, x += stride) {
        float lanes[32] = {0}, total = 0;
        int64_t c = 0;
        for (; c + 32 <= columns; c += 32)
            for (int j = 0; j < 32; j++) lanes[j] += x[c + j] * w[c + j];
        for (int j = 0; c + j < columns; j++) lanes[j] += x[c + j] * w[c + j];
        for (int j = 0; j < 32; j++) total += lanes[j];
        result[i] = total;
    }
}
