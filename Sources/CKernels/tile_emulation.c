#include "tile_emulation.h"

#include <string.h>

typedef float lanes __attribute__((vector_size(64)));
typedef uint32_t bits __attribute__((vector_size(64)));

void martlet_emulated_loadconfig(struct tile_file *file, const struct tile_configuration *configuration) {
    if (configuration->palette != 1 || configuration->start_row != 0) __builtin_trap();
    for (int i = 0; i < 16; i++) {
        int rows = configuration->rows[i], bytes = configuration->row_bytes[i];
        if (rows > 16 || bytes > 64 || (rows == 0) != (bytes == 0) || (i >= 8 && rows > 0)) __builtin_trap();
    }
    memset(file, 0, sizeof *file);
    file->configuration = *configuration;
}

void martlet_emulated_zero(struct tile_file *file, int tile) { memset(file->tiles[tile], 0, sizeof file->tiles[tile]); }

void martlet_emulated_loadd(struct tile_file *file, int tile, const void *base, int64_t stride) {
    martlet_emulated_zero(file, tile);
    for (int r = 0; r < file->configuration.rows[tile]; r++)
        memcpy(file->tiles[tile][r], (const char *)base + r * stride, file->configuration.row_bytes[tile]);
}

void martlet_emulated_stored(const struct tile_file *file, int tile, void *base, int64_t stride) {
    for (int r = 0; r < file->configuration.rows[tile]; r++)
        memcpy((char *)base + r * stride, file->tiles[tile][r], file->configuration.row_bytes[tile]);
}

// Denormal numbers are zeros of their sign, in operands and in results.
MARTLET_INLINE void flush(lanes *values) {
    bits raw;
    memcpy(&raw, values, sizeof raw);
    bits is_tiny = (bits)((raw & 0x7F800000u) == 0);
    raw &= ~is_tiny | 0x80000000u;
    memcpy(values, &raw, sizeof raw);
}

MARTLET_INLINE void multiply_add(const lanes *a, const lanes *b, lanes *sum) {
    *sum = __builtin_elementwise_fma(*a, *b, *sum);
    flush(sum);
}

// The first and the second of sixteen pairs of bfloat16, or of one pair sixteen times.
MARTLET_INLINE void widen_pairs(const bits *pairs, lanes *first, lanes *second) {
    bits low = *pairs << 16, high = *pairs & 0xFFFF0000u;
    memcpy(first, &low, sizeof low);
    memcpy(second, &high, sizeof high);
    flush(first);
    flush(second);
}

// Per element of the result two sums run along the depth, of the first and of the second products of the pairs, each
// step one fused multiply-add; then they are added to one another and to the element.
KERNEL(emulated_dpbf16ps, (struct tile_file *file, int sum, int left, int right), (file, sum, left, right)) {
    const struct tile_configuration *c = &file->configuration;
    int pairs = c->row_bytes[left] / 4, columns = c->row_bytes[sum] / 4;
    if (c->rows[sum] != c->rows[left] || c->row_bytes[sum] != c->row_bytes[right] || pairs != c->rows[right])
        __builtin_trap();
    for (int m = 0; m < c->rows[sum]; m++) {
        lanes first = {0}, second = {0}, old;
        for (int k = 0; k < pairs; k++) {
            lanes a0, a1, b0, b1;
            uint32_t pair;
            memcpy(&pair, &file->tiles[left][m][4 * k], sizeof pair);
            bits left_pairs = pair - (bits){0}, right_pairs;
            memcpy(&right_pairs, file->tiles[right][k], sizeof right_pairs);
            widen_pairs(&left_pairs, &a0, &a1);
            widen_pairs(&right_pairs, &b0, &b1);
            multiply_add(&a0, &b0, &first);
            multiply_add(&a1, &b1, &second);
        }
        first += second;
        flush(&first);
        memcpy(&old, file->tiles[sum][m], sizeof old);
        flush(&old);
        old += first;
        flush(&old);
        memset(file->tiles[sum][m], 0, sizeof file->tiles[sum][m]);
        memcpy(file->tiles[sum][m], &old, (size_t)columns * 4);
    }
}
