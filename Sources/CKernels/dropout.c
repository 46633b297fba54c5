#include "kernels.h"

// Philox4x32-10: four 32-bit numbers from a 128-bit counter and a 64-bit key.
MARTLET_INLINE void philox(uint64_t key, uint64_t stream, uint64_t counter, uint32_t out[4]) {
    uint32_t c0 = (uint32_t)counter, c1 = (uint32_t)(counter >> 32), c2 = (uint32_t)stream,
             c3 = (uint32_t)(stream >> 32), k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(b >> 32) ^ c1 ^ k0, n2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

// A row's counters start at row * 2^32: rows of up to 2^34 columns never overlap.
KERNEL(dropout,
       (int64_t rows, int64_t first_column, int64_t columns, uint64_t key, uint64_t stream, int64_t first_row, float rate,
        float *x),
       (rows, first_column, columns, key, stream, first_row, rate, x)) {
    const float keep = 1.0f / (1.0f - rate);
    const uint32_t threshold = (uint32_t)((double)rate * 4294967296.0);
    const int64_t end = first_column + columns;
    for (int64_t r = 0; r < rows; r++, x += columns) {
        uint64_t base = (uint64_t)(first_row + r) << 32;
        for (int64_t block = first_column / 4; block * 4 < end; block++) {
            uint32_t random[4];
            philox(key, stream, base + (uint64_t)block, random);
            for (int64_t j = 0; j < 4; j++) {
                int64_t c = block * 4 + j;
                if (c < first_column || c >= end) continue;
                x[c - first_column] = random[j] < threshold ? 0.0f : x[c - first_column] * keep;
            }
        }
    }
}

KERNEL(philox_uniform, (int64_t count, uint64_t key, uint64_t stream, int64_t first, float *out),
       (count, key, stream, first, out)) {
    for (int64_t i = 0; i < count; i++) {
        uint32_t random[4];
        philox(key, stream, (uint64_t)(first + i) / 4, random);
        out[i] = (float)(random[(first + i) % 4] >> 8) * (1.0f / 16777216.0f);
    }
}
