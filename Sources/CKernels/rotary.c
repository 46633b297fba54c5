#include "kernels.h"

KERNEL(rotate,
       (int64_t rows, int64_t heads, int64_t head_size, int64_t half, int interleaved, float direction, const float *x,
        const float *cosine, const float *sine, float *y),
       (rows, heads, head_size, half, interleaved, direction, x, cosine, sine, y)) {
    for (int64_t r = 0; r < rows; r++, cosine += half, sine += half) {
        for (int64_t h = 0; h < heads; h++, x += head_size, y += head_size) {
            if (interleaved) {
                for (int64_t i = 0; i < half; i++) {
                    float a = x[2 * i], b = x[2 * i + 1], s = direction * sine[i];
                    y[2 * i] = a * cosine[i] - b * s;
                    y[2 * i + 1] = b * cosine[i] + a * s;
                }
            } else {
                for (int64_t i = 0; i < half; i++) {
                    float a = x[i], b = x[half + i], s = direction * sine[i];
                    y[i] = a * cosine[i] - b * s;
                    y[half + i] = b * cosine[i] + a * s;
                }
            }
            for (int64_t i = 2 * half; i < head_size; i++) y[i] = x[i];
        }
    }
}
