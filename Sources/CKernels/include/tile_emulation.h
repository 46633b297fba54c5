// Tile registers in memory, and the instructions on them as the architecture defines them (Intel's Software Developer's
// Manual, volume 2): tests run the blocked product on them where the CPU has no AMX.
#ifndef MARTLET_TILE_EMULATION_H
#define MARTLET_TILE_EMULATION_H

#include <stdint.h>

#include "variants.h"

// What LDTILECFG reads: 64 bytes, palette 1.
struct tile_configuration {
    uint8_t palette, start_row, reserved[14];
    // Bytes of a row and number of rows, per tile.
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

// The eight tile registers of one thread.
struct tile_file {
    struct tile_configuration configuration;
    uint8_t tiles[8][16][64];
};

void martlet_emulated_loadconfig(struct tile_file *file, const struct tile_configuration *configuration);
void martlet_emulated_zero(struct tile_file *file, int tile);
void martlet_emulated_loadd(struct tile_file *file, int tile, const void *base, int64_t stride);
void martlet_emulated_stored(const struct tile_file *file, int tile, void *base, int64_t stride);
DECLARE_KERNEL(emulated_dpbf16ps, (struct tile_file *file, int sum, int left, int right));

#endif
