#include "fixed_point.h"
#include "float16_scales.h"

#include <math.h>

enum { LARGEST_WORD = 32767 };

// Below it a scale could have no reciprocal.
static const float smallest = 1e-30f;

MARTLET_INLINE float largest_magnitude(const float *x, int64_t count) {
    lane_bits most = 0, bits;
    int64_t c = 0;
    for (; c + LANES <= count; c += LANES) {
        memcpy(&bits, x + c, sizeof bits);
        most_of(&bits, &most);
    }
    lanes rest;
    load_some(x + c, count - c, &rest);
    memcpy(&bits, &rest, sizeof bits);
    most_of(&bits, &most);
    return largest_of(&most);
}

KERNEL(to_fixed_point, (int64_t rows, int64_t columns, const float *x, int16_t *words, float *scales),
       (rows, columns, x, words, scales)) {
    const float most = LARGEST_WORD;
    for (int64_t r = 0; r < rows; r++, x += columns, words += columns) {
        float largest = largest_magnitude(x, columns), factor = largest > smallest ? most / largest : 0;
        // A row with a NaN or an infinity has no numbers left.
        scales[r] = largest < INFINITY ? largest / most : NAN;
        for (int64_t c = 0; c < columns; c++) {
            float word = rintf(x[c] * factor);
            // What is not finite must not meet the conversion.
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
