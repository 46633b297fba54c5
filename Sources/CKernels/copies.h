// Copying and transposing matrices of floats, sixteen at a time.
#ifndef MARTLET_COPIES_H
#define MARTLET_COPIES_H

#include "lanes.h"

MARTLET_INLINE int64_t padded(int64_t size) { return (size + LANES - 1) / LANES * LANES; }

// to[column, row] = from[row, column] of 16 × 16 elements.
MARTLET_INLINE void transpose_square(const float *from, int64_t stride, float *to, int64_t to_stride) {
    lanes square[LANES];
    UNROLLED for (int i = 0; i < LANES; i++) load_lanes(from + i * stride, &square[i]);
    TRANSPOSE_LANES(lanes, square)
    UNROLLED for (int i = 0; i < LANES; i++) store_lanes(&square[i], to + i * to_stride);
}

MARTLET_INLINE void copy_corner(const float *from, int64_t stride, int64_t rows, int64_t columns, float *to,
                                int64_t to_stride) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++) to[r * to_stride + c] = from[r * stride + c];
}

// to[column, row] = from[row, column]. Rows beyond the last are zeros up to a multiple of sixteen.
MARTLET_INLINE void transpose(const float *from, int64_t stride, int64_t rows, int64_t columns, float *to,
                              int64_t to_stride) {
    for (int64_t r = 0; r < rows; r += LANES)
        for (int64_t c = 0; c < columns; c += LANES) {
            int64_t height = rows - r < LANES ? rows - r : LANES, width = columns - c < LANES ? columns - c : LANES;
            const float *source = from + r * stride + c;
            float *target = to + c * to_stride + r;
            if (height == LANES && width == LANES) {
                transpose_square(source, stride, target, to_stride);
            } else {
                float corner[LANES * LANES] = {0}, turned[LANES * LANES];
                copy_corner(source, stride, height, width, corner, LANES);
                transpose_square(corner, LANES, turned, LANES);
                copy_corner(turned, LANES, width, LANES, target, to_stride);
            }
        }
}

// to[row, column] = from[column, row], or added to what is there. `from` has lanes up to a multiple of sixteen rows.
MARTLET_INLINE void transpose_back(const float *from, int64_t stride, int64_t rows, int64_t columns, int accumulate,
                                   float *to, int64_t to_stride) {
    for (int64_t r = 0; r < rows; r += LANES)
        for (int64_t c = 0; c < columns; c += LANES) {
            int64_t height = rows - r < LANES ? rows - r : LANES, width = columns - c < LANES ? columns - c : LANES;
            const float *source = from + c * stride + r;
            float *target = to + r * to_stride + c, corner[LANES * LANES] = {0}, turned[LANES * LANES];
            if (height == LANES && width == LANES && !accumulate) {
                transpose_square(source, stride, target, to_stride);
            } else if (width == LANES) {
                transpose_square(source, stride, turned, LANES);
            } else {
                copy_corner(source, stride, width, LANES, corner, LANES);
                transpose_square(corner, LANES, turned, LANES);
            }
            if (height == LANES && width == LANES && !accumulate) continue;
            for (int64_t i = 0; i < height; i++)
                for (int64_t j = 0; j < width; j++)
                    target[i * to_stride + j] = turned[i * LANES + j] + (accumulate ? target[i * to_stride + j] : 0.0f);
        }
}

// Copies rows, with zeros up to a multiple of sixteen behind them.
MARTLET_INLINE void copy_rows(const float *from, int64_t stride, int64_t rows, int64_t columns, float *to,
                              int64_t to_stride) {
    for (int64_t r = 0; r < rows; r++, from += stride, to += to_stride) {
        int64_t c = 0;
        for (; c + LANES <= columns; c += LANES) {
            lanes values;
            load_lanes(from + c, &values);
            store_lanes(&values, to + c);
        }
        if (c < columns) {
            lanes values;
            load_some(from + c, columns - c, &values);
            store_lanes(&values, to + c);
        }
    }
}

#endif
