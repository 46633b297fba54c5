#include "attention_blocks.h"

#include <math.h>

enum {
    CHUNK = MARTLET_ATTENTION_CHUNK,
    // Keys that are transposed at a time: they stay in the nearest cache.
    STEP = 64,
};

int64_t martlet_attention_chunk_scratch(const struct martlet_attention *a, int64_t heads) {
    return a->head_size * STEP + (spread(a->value_size) + heads) * CHUNK + heads * padded(a->value_size);
}

// result[head, key] = q[head] · k[key]
MARTLET_INLINE void score_keys(int level, const struct martlet_attention *a, int64_t heads, int64_t keys,
                               const float *q, const float *k, int64_t key_stride, const float *v,
                               int64_t value_stride, float *transposed, float *result) {
    fetch_rows(k, key_stride, keys < STEP ? keys : STEP, a->head_size, 0);
    for (int64_t from = 0, count; from < keys; from += count) {
        count = keys - from < STEP ? keys - from : STEP;
        int64_t next = from + count, more = keys - next < STEP ? keys - next : STEP;
        fetch_rows(k + next * key_stride, key_stride, more, a->head_size, 0);
        fetch_rows(v + from * value_stride, value_stride, count, a->value_size, 0);
        transpose(k + from * key_stride, key_stride, count, a->head_size, transposed, STEP);
        struct martlet_block_product product = {
            .rows = heads, .vectors = padded(count) / LANES, .depth = a->head_size, .left = q,
            .left_stride = a->head_size, .right = transposed, .right_stride = STEP, .result = result + from,
            .result_stride = CHUNK,
        };
        CALL_AT_LEVEL(block_product, &product);
    }
}

// Scores of a row become weights; the largest score and the sum of weights are what the row begins with in `part`.
MARTLET_INLINE void weigh_row(const struct martlet_attention *a, int64_t keys, float *row, float *part) {
    float largest = LOWEST, total = 0;
    lanes most = (lanes)LOWEST, sum = (lanes)0.0f;
    for (int64_t k = 0; k < keys; k += LANES) {
        lanes s;
        load_lanes(row + k, &s);
        s *= (lanes)a->scale;
        if (a->cap != 0) cap_lanes(a->cap, &s);
        store_lanes(&s, row + k);
        // What lies behind the last key counts as the last key.
        if (keys - k < LANES)
            for (int64_t i = keys; i < k + LANES; i++) row[i] = row[keys - 1];
        load_lanes(row + k, &s);
        most = s > most ? s : most;
    }
    for (int i = 0; i < LANES; i++) largest = most[i] > largest ? most[i] : largest;
    for (int64_t k = 0; k < keys; k += LANES) {
        lanes s;
        load_lanes(row + k, &s);
        s -= (lanes)largest;
        exponentials_of_lanes(&s);
        store_lanes(&s, row + k);
        if (keys - k < LANES) load_some(row + k, keys - k, &s);
        sum += s;
    }
    for (int i = 0; i < LANES; i++) total += sum[i];
    part[0] = largest;
    part[1] = total;
}

KERNEL_BY_LEVEL(attention_chunk,
                (const struct martlet_attention *a, int64_t heads, int64_t keys, const float *q, const float *k,
                 int64_t key_stride, const float *v, int64_t value_stride, float *scratch, float *parts,
                 int64_t parts_stride),
                (a, heads, keys, q, k, key_stride, v, value_stride, scratch, parts, parts_stride)) {
    float *transposed = scratch, *scores = scratch + a->head_size * STEP, *rows = scores + heads * CHUNK;
    float *sums = rows + spread(a->value_size) * CHUNK;
    int64_t width = padded(a->value_size);
    score_keys(level, a, heads, keys, q, k, key_stride, v, value_stride, transposed, scores);
    for (int64_t h = 0; h < heads; h++) weigh_row(a, keys, scores + h * CHUNK, parts + h * parts_stride);
    if (width != a->value_size) copy_rows(v, value_stride, keys, a->value_size, rows, spread(a->value_size));
    struct martlet_block_product product = {
        .rows = heads, .vectors = width / LANES, .depth = keys, .left = scores, .left_stride = CHUNK,
        .right = width == a->value_size ? v : rows,
        .right_stride = width == a->value_size ? value_stride : spread(a->value_size),
        .result = sums, .result_stride = width,
    };
    CALL_AT_LEVEL(block_product, &product);
    for (int64_t h = 0; h < heads; h++)
        memcpy(parts + h * parts_stride + 2, sums + h * width, (size_t)a->value_size * sizeof *parts);
}

KERNEL(attention_join,
       (int64_t value_size, int64_t chunks, const float *parts, int64_t chunk_stride, float sink, float *output,
        float *lse),
       (value_size, chunks, parts, chunk_stride, sink, output, lse)) {
    float largest = sink, total = 0;
    for (int64_t c = 0; c < chunks; c++)
        largest = parts[c * chunk_stride] > largest ? parts[c * chunk_stride] : largest;
    if (sink > -INFINITY) total = exponential(sink - largest);
    for (int64_t i = 0; i < value_size; i++) output[i] = 0;
    for (int64_t c = 0; c < chunks; c++) {
        const float *part = parts + c * chunk_stride;
        float factor = exponential(part[0] - largest);
        total += part[1] * factor;
        for (int64_t i = 0; i < value_size; i++) output[i] += part[2 + i] * factor;
    }
    float normaliser = 1.0f / total;
    for (int64_t i = 0; i < value_size; i++) output[i] *= normaliser;
    *lse = largest + logf(total);
}
