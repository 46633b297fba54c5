// From where tile registers are filled: the blocked product over a model of the caches.
//
//     K=Sources/CKernels; clang -std=gnu17 -O2 -I $K -I $K/include -o /tmp/tile_cache Tests/Scripts/tile_cache.c && /tmp/tile_cache
//
// Runs the kernel's own loops (tile_product_body.h) with registers that compute nothing: every load, store and request goes
// through 48 KB in 12 ways and 2 MB in 16, which forget what was used longest ago: the caches of the CPUs with AMX, but for
// their exact rule. Prints lines of 64 bytes for each four products of tiles, which take 64 cycles: those that come from the second
// level (32 is one operand that is read once), and those that come from beyond it before they were asked for.
#include "tile_emulation.h"
#include "tiles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 64, ROWS = 2048, MOST_SETS = 2048, MOST_WAYS = 16 };

struct cache {
    int sets, ways;
    uint64_t line[MOST_SETS][MOST_WAYS], used[MOST_SETS][MOST_WAYS], clock, misses;
};
static struct cache first = {.sets = 64, .ways = 12}, second = {.sets = 2048, .ways = 16};
static uint64_t products;

static void clear(struct cache *cache) {
    *cache = (struct cache){.sets = cache->sets, .ways = cache->ways};
}

// Whether the line was there; it is there afterwards.
static int hit(struct cache *cache, uint64_t line) {
    int set = (int)(line % (uint64_t)cache->sets), oldest = 0;
    cache->clock++;
    for (int way = 0; way < cache->ways; way++) {
        if (cache->line[set][way] == line) {
            cache->used[set][way] = cache->clock;
            return 1;
        }
        if (cache->used[set][way] < cache->used[set][oldest]) oldest = way;
    }
    cache->line[set][oldest] = line;
    cache->used[set][oldest] = cache->clock;
    return 0;
}

static void touch(const void *address) {
    uint64_t line = (uint64_t)address / LINE;
    if (hit(&first, line)) return;
    first.misses++;
    second.misses += !hit(&second, line);
}

static void touch_tile(const void *base, int64_t stride) {
    for (int row = 0; row < 16; row++)
        for (int end = 0; end < 2; end++) touch((const char *)base + row * stride + end * (LINE - 1));
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
#define tile_dpbf16ps(sum, left, right) products++
#define tile_fetch(address) hit(&second, (uint64_t)(address) / LINE)

#include "tile_product_body.h"

static void *memory(int64_t bytes) { return aligned_alloc(4096, (size_t)(bytes + 4095) / 4096 * 4096); }

// What a thread does: it packs panels of `width` columns and runs all rows of activations over each, 256 at a time. They are
// packed, or a matrix of bfloat16 that is read where it lies. A second pair of operands adds `more` to the depth. The result has
// `columns`.
static void run(int64_t depth, int64_t more, int64_t width, int64_t columns, int is_packed) {
    int64_t step = depth * 16, more_step = more * 16, row = is_packed ? depth : depth + 32;
    uint16_t *more_left = memory(ROWS * more * 2 + 1), *more_right = memory(width * more * 2 + 1);
    uint16_t *left = memory(ROWS * row * 2), *right = memory(width * depth * 2);
    float *result = memory(ROWS * columns * 4), *partial = memory(256 * width * 4);
    clear(&first), clear(&second);
    products = 0;
    for (int64_t column = 0; column + width <= columns; column += width) {
        for (int64_t at = 0; at < width * depth; at += LINE / 2) touch(right + at);
        for (int64_t at = 0; at < width * more; at += LINE / 2) touch(more_right + at);
        for (int64_t top = 0; top < ROWS; top += 256) {
            struct martlet_tile_product product = {
                .rows = 256, .columns = width, .result = result + top * columns + column, .stride = columns,
                .partial = martlet_rows_collide(columns * (int64_t)sizeof *result) ? partial : NULL,
                .operands[0] = {
                    .left = is_packed ? martlet_packed_tiles(left + top / 16 * step, step)
                                      : (struct martlet_tile_operand){left + top * row, 16 * row, 32, row},
                    .right = martlet_packed_tiles(right, step), .depth = depth / 32,
                },
                .operands[1] = {
                    .left = martlet_packed_tiles(more_left + top / 16 * more_step, more_step),
                    .right = martlet_packed_tiles(more_right, more_step), .depth = more / 32,
                },
            };
            martlet_tile_product_counted(&product);
        }
    }
    double four = (double)products / 4;
    printf("depth %4ld + %3ld, %3ld of %4ld columns, %-20s %5.1f from the second level %5.1f from beyond\n", (long)depth,
           (long)more, (long)width, (long)columns, is_packed ? "packed" : "rows where they lie", (double)first.misses / four,
           (double)second.misses / four);
    free(left), free(right), free(more_left), free(more_right), free(result), free(partial);
}

int main(void) {
    run(576, 0, 288, 576, 1);
    run(576, 96, 288, 576, 1);
    run(576, 96, 256, 1536, 1);
    run(1536, 0, 288, 576, 1);
    run(1536, 224, 288, 576, 1);
    run(2048, 288, 256, 2048, 1);
    run(960, 32, 288, 576, 0);
    run(3072, 0, 288, 576, 0);
    return 0;
}
