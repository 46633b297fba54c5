#include "kernels.h"

KERNEL(rotate,
       (int64_t rows, int64_t heads, int64_t head_size, int64_t offset, int64_t half, int interleaved, float direction,
        const float *x, const float *cosine, const float *sine, float *y),
       (rows, heads, head_size, offset, half, interleaved, direction, x, cosine, sine, y)) {
    for (int64_t r = 0; r < rows; r++, cosine += half, sine += half) {
        for (int64_t h = 0; h < heads; h++, x += head_size, y += head_size) {
            const float *from = x + offset;
            float *to = y + offset;
            for (int64_t i = 0; i < offset; i++) y[i] = x[i];
            if (interleaved) {
                for (int64_t i = 0; i < half; i++) {
                    float a = from[2 * i], b = from[2 * i + 1], s = direction * sine[i];
                    to[2 * i] = a * cosine[i] - b * s;
                    to[2 * i + 1] = b * cosine[i] + a * s;
                }
            } else {
                for (int64_t i = 0; i < half; i++) {
                    float a = from[i], b = from[half + i], s = direction * sine[i];
                    to[i] = a * cosine[i] - b * s;
                    to[half + i] = b * cosine[i] + a * s;
                }
            }
            for (int64_t i = offset + 2 * half; i < head_size; i++) y[i] = x[i];
        }
    }
}
