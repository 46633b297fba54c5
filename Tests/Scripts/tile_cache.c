// From where tile registers are filled: the blocked product over a model of the first-level cache.
//
//     K=Sources/CKernels; clang -std=gnu17 -O2 -I $K -I $K/include -o /tmp/tile_cache Tests/Scripts/tile_cache.c && /tmp/tile_cache
//
// Runs the kernel's own loops (tile_product_body.h) with registers that compute nothing: every load and store goes through
// 48 KB in 12 ways that forget what was used longest ago, as the CPUs with AMX have them, but for their exact rule. Prints, for shapes
// of SmolLM2 and of a model with 2,048 hidden, lines of 64 bytes that come from the second-level cache for each four
// products of tiles. Those take 64 cycles, for which 32 lines are what one operand needs that is read once.
#include "tile_emulation.h"
#include "tiles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 64, SETS = 64, WAYS = 12 };

static struct {
    uint64_t line[SETS][WAYS], used[SETS][WAYS], clock, misses, products;
} cache;

static void touch(uint64_t address) {
    uint64_t line = address / LINE + 1;
    int set = line % SETS, oldest = 0;
    cache.clock++;
    for (int way = 0; way < WAYS; way++) {
        if (cache.line[set][way] == line) {
            cache.used[set][way] = cache.clock;
            return;
        }
        if (cache.used[set][way] < cache.used[set][oldest]) oldest = way;
    }
    cache.line[set][oldest] = line;
    cache.used[set][oldest] = cache.clock;
    cache.misses++;
}

static void touch_tile(const void *base, int64_t stride) {
    for (int row = 0; row < 16; row++)
        for (int end = 0; end < 2; end++) touch((uint64_t)base + (uint64_t)(row * stride + end * (LINE - 1)));
}

#define FUNCTION(name) name##_counted
#define TILE_TARGET
#define TILE_REGISTERS int tiles
#define TILE_REGISTERS_PASSED tiles
#define WITH_TILE_REGISTERS int tiles = 0;
#define tile_loadconfig(configuration) (void)(configuration)
#define tile_release() (void)tiles
#define tile_zero(t) (void)0
#define tile_loadd(t, base, stride) touch_tile(base, stride)
#define tile_stored(t, base, stride) touch_tile(base, stride)
#define tile_dpbf16ps(sum, left, right) cache.products++

#include "tile_product_body.h"

// Rows of activations, packed or (from a matrix of bfloat16) where they lie, over a panel of columns.
static void run(const char *what, int64_t rows, int64_t columns, int64_t depth, int packed, int64_t stride) {
    int64_t blocks = (depth + 31) / 32, step = blocks * MARTLET_TILE_ELEMENTS, row = blocks * 32 + 32;
    uint16_t *left = aligned_alloc(4096, (size_t)(rows * row * 2 + 4096) / 4096 * 4096);
    uint16_t *right = aligned_alloc(4096, (size_t)(columns * blocks * 64 + 4096) / 4096 * 4096);
    float *result = aligned_alloc(4096, (size_t)(rows * stride * 4 + 4096) / 4096 * 4096);
    memset(result, 0, (size_t)(rows * stride * 4));
    struct martlet_tile_product product = {
        .rows = rows, .columns = columns, .result = result, .stride = stride,
        .operands[0] = {
            .left = packed ? martlet_packed_tiles(left, step) : (struct martlet_tile_operand){left, 16 * row, 32, row},
            .right = martlet_packed_tiles(right, step), .depth = blocks,
        },
    };
    memset(&cache, 0, sizeof cache);
    martlet_tile_product_counted(&product);
    printf("%-44s %5.1f lines\n", what, 4.0 * (double)cache.misses / (double)cache.products);
    free(left), free(right), free(result);
}

int main(void) {
    run("256 x 576 -> 288, packed", 256, 288, 576, 1, 576);
    run("256 x 576 -> 256 of 1536, packed", 256, 256, 576, 1, 1536);
    run("256 x 1536 -> 288 of 576, packed", 256, 288, 1536, 1, 576);
    run("256 x 2048 -> 256 of 2048, packed", 256, 256, 2048, 1, 2048);
    run("256 x 960 -> 288, rows where they lie", 256, 288, 960, 0, 576);
    run("256 x 3072 -> 288, rows where they lie", 256, 288, 3072, 0, 576);
    return 0;
}
