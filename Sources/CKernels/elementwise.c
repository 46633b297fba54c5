#include "bfloat16.h"
#include "fetch.h"
#include "kernels.h"

KERNEL(add, (int64_t count, const float *a, const float *b, float *out), (count, a, b, out)) {
    SAME_OR_APART
    for (int64_t i = 0; i < count; i++) out[i] = a[i] + b[i];
}

KERNEL(multiply, (int64_t count, const float *a, const float *b, float *out), (count, a, b, out)) {
    SAME_OR_APART
    for (int64_t i = 0; i < count; i++) out[i] = a[i] * b[i];
}

KERNEL(add_scaled, (int64_t count, float alpha, const float *x, float *y), (count, alpha, x, y)) {
    for (int64_t i = 0; i < count; i++) y[i] += alpha * x[i];
}

KERNEL(scale, (int64_t count, float alpha, const float *x, float *y), (count, alpha, x, y)) {
    SAME_OR_APART
    for (int64_t i = 0; i < count; i++) y[i] = alpha * x[i];
}

KERNEL(add_bias, (int64_t rows, int64_t columns, const float *bias, float *y, int64_t stride),
       (rows, columns, bias, y, stride)) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++) y[r * stride + c] += bias[c];
}

KERNEL(from_bfloat16, (int64_t count, const uint16_t *x, float *y), (count, x, y)) {
    for (int64_t i = 0; i < count; i++) y[i] = widened(x[i]);
}

// So many rows before its turn a part of a row is asked for that is not in cache.
enum { AHEAD = 4 };

ROUNDING_KERNEL(to_bfloat16, (int64_t count, const float *x, uint16_t *y), (count, x, y)) {
    round_row(level, count, x, y);
}

ROUNDING_KERNEL(rows_to_bfloat16,
       (int64_t rows, int64_t columns, const float *x, int64_t stride, uint16_t *y, int64_t y_stride),
       (rows, columns, x, stride, y, y_stride)) {
    for (int64_t r = 0; r < rows; r++, x += stride, y += y_stride) {
        if (r + AHEAD < rows) fetch(y + AHEAD * y_stride, 2 * columns, 1);
        round_row(level, columns, x, y);
    }
}

KERNEL(add_rows, (int64_t rows, int64_t columns, const float *x, int64_t stride, float *y, int64_t y_stride),
       (rows, columns, x, stride, y, y_stride)) {
    for (int64_t r = 0; r < rows; r++, x += stride, y += y_stride) {
        if (r + AHEAD < rows) fetch(x + AHEAD * stride, 4 * columns, 0);
        SAME_OR_APART
        for (int64_t c = 0; c < columns; c++) y[c] += x[c];
    }
}

KERNEL(round_to_bfloat16, (int64_t count, const float *x, float *y), (count, x, y)) {
    SAME_OR_APART
    for (int64_t i = 0; i < count; i++) y[i] = widened(bfloat16_bits(x[i]));
}

KERNEL(low_part, (int64_t count, const float *x, float *y), (count, x, y)) {
    SAME_OR_APART
    for (int64_t i = 0; i < count; i++) y[i] = x[i] - widened(bfloat16_bits(x[i]));
}

KERNEL(gather_columns,
       (int64_t rows, int64_t count, const int32_t *columns, const float *x, int64_t stride, float *y, int64_t y_stride),
       (rows, count, columns, x, stride, y, y_stride)) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < count; i++) y[r * y_stride + i] = x[r * stride + columns[i]];
}

KERNEL(gather_columns_bf16,
       (int64_t rows, int64_t count, const int32_t *columns, const uint16_t *x, int64_t stride, float *y,
        int64_t y_stride),
       (rows, count, columns, x, stride, y, y_stride)) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < count; i++) y[r * y_stride + i] = widened(x[r * stride + columns[i]]);
}

KERNEL(split_pairs, (int64_t count, const float *pairs, float *first, float *second), (count, pairs, first, second)) {
    for (int64_t i = 0; i < count; i++) {
        first[i] = pairs[2 * i];
        second[i] = pairs[2 * i + 1];
    }
}

KERNEL(join_pairs, (int64_t count, const float *first, const float *second, float *pairs), (count, first, second, pairs)) {
    for (int64_t i = 0; i < count; i++) {
        pairs[2 * i] = first[i];
        pairs[2 * i + 1] = second[i];
    }
}

KERNEL(sum_of_squares, (int64_t count, const float *x, double *result), (count, x, result)) {
    double lanes[16] = {0}, total = 0;
    int64_t i = 0;
    for (; i + 16 <= count; i += 16)
        for (int j = 0; j < 16; j++) lanes[j] += (double)x[i + j] * x[i + j];
    for (int j = 0; i + j < count; j++) lanes[j] += (double)x[i + j] * x[i + j];
    for (int j = 0; j < 16; j++) total += lanes[j];
    *result = total;
}

KERNEL(sum_of_words, (int64_t count, const uint32_t *words, uint32_t *result), (count, words, result)) {
    uint32_t sum = 0;
    for (int64_t i = 0; i < count; i++) sum += words[i];
    *result = sum;
}
