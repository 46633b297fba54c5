#include "kernels.h"
#include "rows.h"

#include <math.h>

KERNEL(rms_norm_forward,
       (int64_t rows, int64_t columns, const float *x, const float *weight, float epsilon, float *y, float *inverse),
       (rows, columns, x, weight, epsilon, y, inverse)) {
    for (int64_t r = 0; r < rows; r++, x += columns, y += columns) {
        float lanes[16] = {0};
        int64_t c = 0;
        for (; c + 16 <= columns; c += 16)
            for (int j = 0; j < 16; j++) lanes[j] += x[c + j] * x[c + j];
        for (int j = 0; c + j < columns; j++) lanes[j] += x[c + j] * x[c + j];
        float factor = 1.0f / sqrtf(lanes_total(lanes) / (float)columns + epsilon);
        inverse[r] = factor;
        for (c = 0; c < columns; c++) y[c] = x[c] * factor * weight[c];
    }
}

KERNEL(rms_norm_backward,
       (int64_t rows, int64_t columns, const float *y, const float *undo, const float *weight, const float *inverse,
        const float *dy, const float *sum, float *dx, float *d_weight),
       (rows, columns, y, undo, weight, inverse, dy, sum, dx, d_weight)) {
    for (int64_t r = 0; r < rows; r++, y += columns, dy += columns, dx += columns) {
        float factor = inverse[r], lanes[16] = {0};
        int64_t c = 0;
        for (; c + 16 <= columns; c += 16)
            for (int j = 0; j < 16; j++) lanes[j] += weight[c + j] * dy[c + j] * (y[c + j] * undo[c + j]);
        for (int j = 0; c + j < columns; j++) lanes[j] += weight[c + j] * dy[c + j] * (y[c + j] * undo[c + j]);
        float mean = lanes_total(lanes) / (float)columns;
        if (sum) {
            SAME_OR_APART
            for (c = 0; c < columns; c++) dx[c] = sum[c] + (weight[c] * dy[c] - y[c] * undo[c] * mean) * factor;
            sum += columns;
        } else {
            for (c = 0; c < columns; c++) dx[c] = (weight[c] * dy[c] - y[c] * undo[c] * mean) * factor;
        }
        if (d_weight)
            for (c = 0; c < columns; c++) d_weight[c] += dy[c] * (y[c] * undo[c]);
    }
}
