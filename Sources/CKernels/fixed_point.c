#include "fixed_point.h"
#include "rows.h"

#include <math.h>

enum { LARGEST_WORD = 32767 };

// Below it a scale could have no reciprocal.
static const float smallest = 1e-30f;

MARTLET_INLINE float largest_size(const float *x, int64_t count) {
    float lanes[16] = {0}, result = 0;
    int64_t c = 0;
    for (; c + 16 <= count; c += 16)
        for (int j = 0; j < 16; j++) lanes[j] = fabsf(x[c + j]) > lanes[j] ? fabsf(x[c + j]) : lanes[j];
    for (; c < count; c++) result = fabsf(x[c]) > result ? fabsf(x[c]) : result;
    for (int j = 0; j < 16; j++) result = lanes[j] > result ? lanes[j] : result;
    return result;
}

KERNEL(to_fixed_point, (int64_t rows, int64_t columns, const float *x, int16_t *words, float *scales),
       (rows, columns, x, words, scales)) {
    const float most = LARGEST_WORD;
    for (int64_t r = 0; r < rows; r++, x += columns, words += columns) {
        float largest = largest_size(x, columns), factor = largest > smallest ? most / largest : 0;
        scales[r] = largest / most;
        for (int64_t c = 0; c < columns; c++) {
            float word = rintf(x[c] * factor);
            // What is not finite must not meet the conversion; infinities stay some, by the scale.
            word = word > -most ? word : -most;
            word = word < most ? word : most;
            words[c] = (int16_t)(int32_t)word;
        }
    }
}

KERNEL(from_fixed_point, (int64_t rows, int64_t columns, const int16_t *words, const float *scales, float *x),
       (rows, columns, words, scales, x)) {
    for (int64_t r = 0; r < rows; r++, x += columns, words += columns)
        for (int64_t c = 0; c < columns; c++) x[c] = (float)words[c] * scales[r];
}
