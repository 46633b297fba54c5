#include "dot.h"

#include "blocks.h"
#include "fetch.h"

// Bytes that are fetched ahead of their use, at least; rows of the weight, and of activations, that meet in registers, at
// most; runs whose scales are decoded before their numbers, which take them from memory into all lanes for nothing.
enum { AHEAD = 8192, TOGETHER = 4, SEGMENT = 32 };

struct operands {
    int64_t columns;
    const float *x;
    int64_t stride;
    const void *w;
    int64_t w_stride;
    int accumulate;
    float *result;
    int64_t result_stride;
};

// Adds the products of `rest` numbers behind the last whole run to the sums.
MARTLET_INLINE void add_rest(const struct block_format *format, int64_t rest, const float *x, const uint8_t *w,
                             int round, lanes *sums) {
    float values[RUN];
    UNROLLED for (int j = 0; j < 2; j++) store_lanes(&sums[j], values + j * LANES);
    _Pragma("clang loop vectorize(disable) unroll(disable)") for (int64_t c = 0; c < rest; c++) {
        float number = format->one(w + c * (format->bytes / RUN));
        values[c] += x[c] * (round ? widened(bfloat16_bits(number)) : number);
    }
    UNROLLED for (int j = 0; j < 2; j++) load_lanes(values + j * LANES, &sums[j]);
}

// A run of the block that `rows` rows have at `block`, with `count` rows of activations; its scales are those at `at`.
MARTLET_INLINE void dot_run(const struct block_format *format, int level, int round, int rows, int count,
                            const struct operands *o, const uint8_t *block, int run,
                            const float (*scales)[2 * SEGMENT], int64_t at, const float *x,
                            lanes (*sums)[TOGETHER][2]) {
    UNROLLED for (int r = 0; r < rows; r++) {
        lanes numbers[2];
        run_numbers(format, level, block + r * o->w_stride, run, scales[r] + 2 * at, round, numbers);
        UNROLLED for (int i = 0; i < count; i++)
            UNROLLED for (int j = 0; j < 2; j++) {
                lanes values;
                load_lanes(x + i * o->stride + j * LANES, &values);
                sums[r][i][j] += values * numbers[j];
            }
    }
}

// `rows` rows of the weight from `first_row` on with `count` rows of activations from `first` on. The other parameters,
// and those two, are constants. A number is the same whichever rows it is computed with.
MARTLET_INLINE void dot_tile(const struct block_format *format, int level, int round, int rows, int count,
                             const struct operands *o, int64_t first_row, int64_t first) {
    lanes sums[TOGETHER][TOGETHER][2];
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int i = 0; i < count; i++)
            UNROLLED for (int j = 0; j < 2; j++) sums[r][i][j] = (lanes)0.0f;
    const float *x = o->x + first * o->stride;
    const uint8_t *w = (const uint8_t *)o->w + first_row * o->w_stride;
    // Bytes are asked for in the order in which they lie, whatever rows share the loop.
    const uint8_t *ahead = w + (rows * o->w_stride > AHEAD ? rows * o->w_stride : AHEAD);
    int64_t runs = format->elements / RUN, most = SEGMENT / runs, blocks = o->columns / format->elements;
    for (int64_t some; blocks > 0; blocks -= some) {
        some = blocks < most ? blocks : most;
        float scales[TOGETHER][2 * SEGMENT];
        if (format->scaling != UNSCALED)
            _Pragma("clang loop vectorize(disable)") for (int64_t b = 0; b < some; b++)
                UNROLLED for (int r = 0; r < rows; r++)
                    format->scales(level, w + r * o->w_stride + b * format->bytes, scales[r] + 2 * runs * b);
        for (int64_t b = 0; b < some; b++, w += format->bytes) {
            fetch_second_level(ahead, rows * format->bytes);
            ahead += rows * format->bytes;
            UNROLLED for (int run = 0; run < runs; run++, x += RUN)
                dot_run(format, level, round, rows, count, o, w, run, scales, b * runs + run, x, sums);
        }
    }
    int64_t rest = format->one ? o->columns % RUN : 0;
    float *result = o->result + first * o->result_stride + first_row;
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int i = 0; i < count; i++) {
            if (rest > 0) add_rest(format, rest, x + i * o->stride, w + r * o->w_stride, round, sums[r][i]);
            lanes both = sums[r][i][0] + sums[r][i][1];
            float *target = result + i * o->result_stride + r, sum = sum_by_halves(&both);
            *target = o->accumulate ? *target + sum : sum;
        }
}

// One row of activations meets four rows of the weight, where there are registers for that: their scales are decoded
// beside one another, and activations are loaded once. Rows that need no decoding are read one after the other, as
// memory likes it. Several rows of activations meet one row, whose numbers are decoded once for all.
MARTLET_INLINE void dot_rows(const struct block_format *format, int level, int round, int64_t count, int64_t rows,
                             const struct operands *o) {
    int64_t group = level >= MARTLET_ISA_AVX512 && format->scaling != UNSCALED ? TOGETHER : 1;
    for (int64_t r = 0, now; r < rows; r += now) {
        now = rows - r < group ? 1 : group;
        int64_t i = 0;
        for (; i + TOGETHER <= count; i += TOGETHER)
            for (int64_t k = r; k < r + now; k++) dot_tile(format, level, round, 1, TOGETHER, o, k, i);
        for (; i + 2 <= count; i += 2)
            for (int64_t k = r; k < r + now; k++) dot_tile(format, level, round, 1, 2, o, k, i);
        if (i < count && now == TOGETHER) dot_tile(format, level, round, TOGETHER, 1, o, r, i);
        if (i < count && now == 1) dot_tile(format, level, round, 1, 1, o, r, i);
    }
}

#define DOT_ROWS(name)                                                                                                \
    KERNEL_BY_LEVEL(dot_rows_##name, DOT_ROWS_PARAMETERS,                                                             \
                    (count, rows, columns, x, stride, w, w_stride, round, accumulate, result, result_stride)) {       \
        const struct operands o = {columns, x, stride, w, w_stride, accumulate, result, result_stride};               \
        if (round)                                                                                                    \
            dot_rows(&name##_format, level, 1, count, rows, &o);                                                      \
        else                                                                                                          \
            dot_rows(&name##_format, level, 0, count, rows, &o);                                                      \
    }

DOT_ROWS(f32)
DOT_ROWS(f16)
DOT_ROWS(bf16)
DOT_ROWS(q8_0)
DOT_ROWS(q4_0)
DOT_ROWS(q4_1)
DOT_ROWS(q5_0)
DOT_ROWS(q5_1)
DOT_ROWS(q4_K)
DOT_ROWS(q5_K)
DOT_ROWS(q6_K)
DOT_ROWS(mxfp4)
