#include "system.h"

#include <string.h>

// Eight independent lanes, so that the multiplications of one stripe overlap: about the speed of memory.
enum { LANES = sizeof(((struct martlet_checksum *)0)->lanes) / sizeof(uint64_t), STRIPE = 8 * LANES };

static const uint64_t factor = 0x9E3779B97F4A7C15u;  // odd, bits well mixed: 2^64 divided by the golden ratio

static uint64_t mixed(uint64_t lane, uint64_t word) {
    uint64_t product = (lane ^ word) * factor;
    return product << 31 | product >> 33;
}

static void add_stripe(uint64_t *lanes, const uint8_t *bytes) {
    for (int i = 0; i < LANES; i++) {
        uint64_t word;
        memcpy(&word, bytes + 8 * i, sizeof word);
        lanes[i] = mixed(lanes[i], word);
    }
}

void martlet_checksum_begin(struct martlet_checksum *sum) {
    for (int i = 0; i < LANES; i++) sum->lanes[i] = factor * (uint64_t)(i + 1);
    sum->count = 0;
}

void martlet_checksum_add(struct martlet_checksum *sum, const uint8_t *bytes, int64_t count) {
    uint64_t lanes[LANES];
    memcpy(lanes, sum->lanes, sizeof lanes);
    int64_t at = 0;
    for (; at + STRIPE <= count; at += STRIPE) add_stripe(lanes, bytes + at);
    if (at < count) {
        uint8_t last[STRIPE] = {0};
        memcpy(last, bytes + at, (size_t)(count - at));
        add_stripe(lanes, last);
    }
    memcpy(sum->lanes, lanes, sizeof lanes);
    sum->count += count;
}

uint64_t martlet_checksum_end(const struct martlet_checksum *sum) {
    uint64_t result = (uint64_t)sum->count;
    for (int i = 0; i < LANES; i++) result = mixed(result, sum->lanes[i]);
    return result ^ result >> 32;
}
