#include "float16.h"
#include "float16_scales.h"

// Sixteen elements of the left operand, or some and zeros; the form is a constant wherever it is called.
MARTLET_INLINE void read_lanes(enum martlet_left_form form, const void *left, int64_t at, int64_t count, lanes *values) {
    if (form == MARTLET_LEFT_FLOAT32) {
        if (count == LANES) return load_lanes((const float *)left + at, values);
        return load_some((const float *)left + at, count, values);
    }
    lane_words words = 0;
    memcpy(&words, (const uint16_t *)left + at, (size_t)count * sizeof(uint16_t));
    lane_bits bits = __builtin_convertvector(words, lane_bits) << 16;
    memcpy(values, &bits, sizeof bits);
}

MARTLET_INLINE void copy_row(enum martlet_left_form form, const void *left, int64_t at, int64_t depth, uint32_t *elements,
                             float *inverse) {
    int64_t whole = depth / LANES * LANES;
    lanes rest, values;
    read_lanes(form, left, at + whole, depth - whole, &rest);
    lane_bits most = 0, bits;
    memcpy(&bits, &rest, sizeof bits);
    most_of(&bits, &most);
    for (int64_t d = 0; d < whole; d += LANES) {
        read_lanes(form, left, at + d, LANES, &values);
        memcpy(&bits, &values, sizeof bits);
        most_of(&bits, &most);
    }
    struct scale scale = scale_to(7, largest_of(&most));
    *inverse = scale.inverse;
    for (int64_t d = 0; d < whole; d += LANES) {
        read_lanes(form, left, at + d, LANES, &values);
        write_words(&values, scale.factor, elements + d);
    }
    if (whole < depth) write_words(&rest, scale.factor, elements + whole);
}

FLOAT16_KERNEL(float16_rows,
               (const struct martlet_strip_product *p, int64_t row, int64_t rows, int64_t from, int64_t depth,
                struct martlet_float16_rows *left),
               (p, row, rows, from, depth, left)) {
    for (int64_t r = 0; r < rows; r++) {
        int64_t at = (row + r) * p->left_stride + from;
        uint32_t *elements = left->elements + r * MARTLET_FLOAT16_ROW;
        if (p->left_form == MARTLET_LEFT_FLOAT32)
            copy_row(MARTLET_LEFT_FLOAT32, p->left, at, depth, elements, &left->inverse[r]);
        else
            copy_row(MARTLET_LEFT_BFLOAT16, p->left, at, depth, elements, &left->inverse[r]);
    }
}
