// The blocked product over tile registers; included once for each kind of them (amx_tiles.h).
//
// Registers 0…3 hold 2 × 2 tiles of the result, 4 and 5 two of the left operand (one below the other), 6 and 7 two of
// the right one. The depth is cut into pieces, so that the left tiles of 32 rows stay in the first-level cache while
// they meet one pair of columns after another; sums are kept in float32 between pieces, which changes no bit.
//
// What the next 32 rows need of the left operand, and the next block of the result, are asked for while a block is computed, one
// tile with each step along the depth: the processor does not look that far ahead, and both come from beyond the second-level
// cache, which holds the right operand.
#include "tile_parts.h"

// Blocks of 32 along the depth in a piece, at most. Before a left tile is met again, the cache sees 18 KB of left tiles, as
// many right ones and 4 KB of the result: less than its 48 KB. See Tests/Scripts/tile_cache.c.
enum { PIECE = 9 };

// Products of so many rows, those of attention, have all they need in cache.
enum { FEW_ROWS = 64 };

// Tiles that are needed soon, and the bytes between their rows.
struct FUNCTION(ahead) {
    const char *tiles[2 * PIECE + 4];
    int64_t row_bytes[2 * PIECE + 4];
    int64_t count;
};

static void FUNCTION(add)(struct FUNCTION(ahead) * ahead, const void *tile, int64_t row_bytes) {
    ahead->tiles[ahead->count] = tile;
    ahead->row_bytes[ahead->count++] = row_bytes;
}

// Asks for the share of one step of `steps`.
MARTLET_INLINE void FUNCTION(fetch)(const struct FUNCTION(ahead) * ahead, int64_t step, int64_t steps) {
    for (int64_t tile = step; tile < ahead->count; tile += steps)
        for (int row = 0; row < 16; row++) tile_fetch(ahead->tiles[tile] + row * ahead->row_bytes[tile]);
}

// What a block of the result needs of both pairs of operands for one piece.
struct FUNCTION(span) {
    struct martlet_tile_operands parts[2];
    // What is asked for meanwhile.
    struct FUNCTION(ahead) ahead;
};

// Adds the products of a part of the span to the result in registers; `asks` is 1 if memory is asked for meanwhile.
TILE_TARGET MARTLET_INLINE void FUNCTION(accumulate)(TILE_REGISTERS, const struct FUNCTION(span) * span, int index,
                                                     int asks, int tall, int wide) {
    const struct martlet_tile_operands *part = &span->parts[index];
    const uint16_t *left = part->left.tiles, *right = part->right.tiles;
    int64_t left_bytes = part->left.row_step * (int64_t)sizeof *left;
    int64_t right_bytes = part->right.row_step * (int64_t)sizeof *right;
    for (int64_t k = 0; k < part->depth; k++, left += part->left.depth_step, right += part->right.depth_step) {
        tile_loadd(6, right, right_bytes);
        tile_loadd(4, left, left_bytes);
        tile_dpbf16ps(0, 4, 6);
        if (tall) {
            tile_loadd(5, left + part->left.block_step, left_bytes);
            tile_dpbf16ps(2, 5, 6);
        }
        if (wide) {
            tile_loadd(7, right + part->right.block_step, right_bytes);
            tile_dpbf16ps(1, 4, 7);
            if (tall) tile_dpbf16ps(3, 5, 7);
        }
        if (asks) FUNCTION(fetch)(&span->ahead, k, part->depth);
    }
    (void)TILE_REGISTERS_PASSED;
}

// One block of the result, 16 or 32 rows and columns, over a piece.
TILE_TARGET MARTLET_INLINE void FUNCTION(block)(TILE_REGISTERS, const struct FUNCTION(span) * span, int tall, int wide,
                                                struct tile_way way) {
    if (way.accumulate) {
        const float *from = way.from.start, *below = from + 16 * way.from.stride;
        int64_t bytes = way.from.stride * (int64_t)sizeof *from;
        tile_loadd(0, from, bytes);
        if (wide) tile_loadd(1, from + 16, bytes);
        if (tall) tile_loadd(2, below, bytes);
        if (tall && wide) tile_loadd(3, below + 16, bytes);
    } else {
        tile_zero(0);
        if (wide) tile_zero(1);
        if (tall) tile_zero(2);
        if (tall && wide) tile_zero(3);
    }
    int longer = span->parts[1].depth > span->parts[0].depth;
    FUNCTION(accumulate)(TILE_REGISTERS_PASSED, span, 0, !longer, tall, wide);
    FUNCTION(accumulate)(TILE_REGISTERS_PASSED, span, 1, longer, tall, wide);
    float *to = way.to.start, *below = to + 16 * way.to.stride;
    int64_t bytes = way.to.stride * (int64_t)sizeof *to;
    tile_stored(0, to, bytes);
    if (wide) tile_stored(1, to + 16, bytes);
    if (tall) tile_stored(2, below, bytes);
    if (tall && wide) tile_stored(3, below + 16, bytes);
}

// A block at the edge of the result by way of a buffer: `rows` × `columns` of it exist.
TILE_TARGET MARTLET_INLINE void FUNCTION(edge)(TILE_REGISTERS, const struct FUNCTION(span) * span, int tall, int wide,
                                               struct tile_way way, int64_t rows, int64_t columns) {
    float buffer[32][32];
    struct tile_sums sums = {buffer[0], 32};
    size_t bytes = (size_t)columns * sizeof(float);
    if (way.accumulate)
        for (int64_t r = 0; r < rows; r++) memcpy(buffer[r], way.from.start + r * way.from.stride, bytes);
    FUNCTION(block)(TILE_REGISTERS_PASSED, span, tall, wide, (struct tile_way){sums, sums, way.accumulate});
    for (int64_t r = 0; r < rows; r++) memcpy(way.to.start + r * way.to.stride, buffer[r], bytes);
}

// Chooses the form of a block by its rows and columns, at most 32 each.
TILE_TARGET static void FUNCTION(any_block)(TILE_REGISTERS, const struct FUNCTION(span) * span, struct tile_way way,
                                            int64_t rows, int64_t columns) {
    if (rows == 32 && columns == 32)
        FUNCTION(block)(TILE_REGISTERS_PASSED, span, 1, 1, way);
    else if (rows > 16 && columns > 16)
        FUNCTION(edge)(TILE_REGISTERS_PASSED, span, 1, 1, way, rows, columns);
    else if (rows > 16)
        FUNCTION(edge)(TILE_REGISTERS_PASSED, span, 1, 0, way, rows, columns);
    else if (columns > 16)
        FUNCTION(edge)(TILE_REGISTERS_PASSED, span, 0, 1, way, rows, columns);
    else
        FUNCTION(edge)(TILE_REGISTERS_PASSED, span, 0, 0, way, rows, columns);
}

// A tile of the left operands of a piece: of its `depth` blocks, those of the first 16 rows, then those of the next.
static void FUNCTION(add_left)(struct FUNCTION(ahead) * ahead, const struct martlet_tile_operands *parts, int64_t tile,
                               int64_t depth) {
    int64_t block = tile / depth, k = tile % depth;
    int second = k >= parts[0].depth;
    struct martlet_tile_operand left = parts[second].left;
    if (second) k -= parts[0].depth;
    FUNCTION(add)(ahead, left.tiles + block * left.block_step + k * left.depth_step, left.row_step * (int64_t)sizeof *left.tiles);
}

// The left operands that come after 32 rows of a piece: the next rows', the next piece's, or those of rows that a later product may
// begin with.
static void FUNCTION(next_left)(const struct martlet_tile_product *product, int64_t row, int64_t first, int64_t size,
                                struct martlet_tile_operands parts[2]) {
    int64_t depth = product->operands[0].depth + product->operands[1].depth, rows = row / 16 + 2;
    if (row + 32 < product->rows) return part_of(product, first, first + size, rows, 0, parts);
    if (first + size < depth) return part_of(product, first + size, first + 2 * size, 0, 0, parts);
    part_of(product, 0, size, rows, 0, parts);
}

// What is to be asked for during a block of the result: its share of the left tiles that come next, and the block of the
// result that comes next, if it is not in cache.
static void FUNCTION(look_ahead)(const struct martlet_tile_product *product, const struct martlet_tile_operands *next,
                                 int64_t row, int64_t column, int is_new, struct FUNCTION(ahead) * ahead) {
    int64_t depth = next[0].depth + next[1].depth, tiles = 2 * depth;
    int64_t end = column + 32 < product->columns ? column + 32 : product->columns;
    ahead->count = 0;
    if (product->rows <= FEW_ROWS) return;
    for (int64_t tile = tiles * column / product->columns; tile < tiles * end / product->columns; tile++)
        FUNCTION(add_left)(ahead, next, tile, depth);
    if (!is_new) return;
    const float *result = end < product->columns ? product->result + row * product->stride + end
                                                 : product->result + (row + 32) * product->stride;
    for (int tile = 0; tile < 4; tile++)
        FUNCTION(add)(ahead, result + tile / 2 * 16 * product->stride + tile % 2 * 16,
                      product->stride * (int64_t)sizeof *result);
}

TILE_TARGET void FUNCTION(martlet_tile_product)(const struct martlet_tile_product *product) {
    WITH_TILE_REGISTERS
    struct tile_configuration configuration = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        configuration.row_bytes[i] = 64;
        configuration.rows[i] = 16;
    }
    tile_loadconfig(&configuration);
    int64_t depth = product->operands[0].depth + product->operands[1].depth, size = piece_depth(product, PIECE);
    for (int64_t first = 0; first < depth || first == 0; first += size) {
        struct tile_way way = piece_way(product, first, size);
        int is_new = product->partial ? first + size >= depth : first == 0 && !product->accumulate;
        for (int64_t row = 0; row < product->rows; row += 32) {
            struct martlet_tile_operands next[2];
            FUNCTION(next_left)(product, row, first, size, next);
            for (int64_t column = 0; column < product->columns; column += 32) {
                struct FUNCTION(span) span;
                part_of(product, first, first + size, row / 16, column / 16, span.parts);
                FUNCTION(look_ahead)(product, next, row, column, is_new, &span.ahead);
                int64_t rows = product->rows - row < 32 ? product->rows - row : 32;
                int64_t columns = product->columns - column < 32 ? product->columns - column : 32;
                FUNCTION(any_block)(TILE_REGISTERS_PASSED, &span, way_at(way, row, column), rows, columns);
            }
        }
    }
    tile_release();
}
