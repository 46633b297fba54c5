// The tile registers that tile_product_body.h works on: those of the CPU, or those of tile_emulation.h. A file defines
// TILES_EMULATED as 0 or 1 and includes this; numbers of tiles are literals, as the instructions want them.
#include "tile_emulation.h"

// Asks for a row of a tile, as far as the second-level cache.
#define tile_fetch(address) __builtin_prefetch(address, 0, 2)

#if TILES_EMULATED

#define TILE_TARGET
#define TILE_REGISTERS struct tile_file *tiles
#define TILE_REGISTERS_PASSED tiles
#define WITH_TILE_REGISTERS struct tile_file registers, *tiles = &registers;
#define tile_loadconfig(configuration) martlet_emulated_loadconfig(tiles, configuration)
#define tile_release() (void)0
#define tile_zero(t) martlet_emulated_zero(tiles, t)
#define tile_loadd(t, base, stride) martlet_emulated_loadd(tiles, t, base, stride)
#define tile_stored(t, base, stride) martlet_emulated_stored(tiles, t, base, stride)
#define tile_dpbf16ps(sum, left, right) martlet_emulated_dpbf16ps(tiles, sum, left, right)

#else

#include <immintrin.h>

#define TILE_TARGET __attribute__((target("avx512f,avx512bw,amx-tile,amx-bf16")))
#define TILE_REGISTERS int tiles
#define TILE_REGISTERS_PASSED tiles
#define WITH_TILE_REGISTERS int tiles = 0;
#define tile_loadconfig(configuration) _tile_loadconfig(configuration)
#define tile_release() _tile_release()
#define tile_zero(t) _tile_zero(t)
#define tile_loadd(t, base, stride) _tile_loadd(t, base, stride)
#define tile_stored(t, base, stride) _tile_stored(t, base, stride)
#define tile_dpbf16ps(sum, left, right) _tile_dpbf16ps(sum, left, right)

#endif
