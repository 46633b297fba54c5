#include "system.h"

#include <string.h>

// Eight independent lanes, so that the multiplications of one stripe overlap: about the speed of memory.
enum { LANES = 8, STRIPE = 8 * LANES };

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

uint64_t martlet_checksum(const uint8_t *bytes, int64_t count) {
    uint64_t lanes[LANES];
    for (int i = 0; i < LANES; i++) lanes[i] = factor * (uint64_t)(i + 1);
    int64_t at = 0;
    for (; at + STRIPE <= count; at += STRIPE) add_stripe(lanes, bytes + at);
    if (at < count) {
        uint8_t last[STRIPE] = {0};
        memcpy(last, bytes + at, (size_t)(count - at));
        add_stripe(lanes, last);
    }
    uint64_t sum = (uint64_t)count;
    for (int i = 0; i < LANES; i++) sum = mixed(sum, lanes[i]);
    return sum ^ sum >> 32;
}
