// How a product over tiles is cut: both pairs of its operands are one depth, which goes in pieces; sums between them lie together.
#ifndef MARTLET_TILE_PARTS_H
#define MARTLET_TILE_PARTS_H

#include "tiles.h"

// Blocks of a piece of so deep a product: pieces are as large as each other, and at most `most`.
static inline int64_t piece_depth(const struct martlet_tile_product *product, int64_t most) {
    int64_t depth = product->operands[0].depth + product->operands[1].depth;
    int64_t pieces = depth > most ? (depth + most - 1) / most : 1;
    return (depth + pieces - 1) / pieces;
}

static inline int64_t within(int64_t block, int64_t depth) { return block < 0 ? 0 : block > depth ? depth : block; }

// What a pair of operands has of the blocks from `first` to `end`, which are counted from its beginning, from the given blocks
// of rows and columns on.
static inline struct martlet_tile_operands part_of_pair(struct martlet_tile_operands pair, int64_t first, int64_t end,
                                                        int64_t row_block, int64_t column_block) {
    first = within(first, pair.depth);
    end = within(end, pair.depth);
    pair.left.tiles += row_block * pair.left.block_step + first * pair.left.depth_step;
    pair.right.tiles += column_block * pair.right.block_step + first * pair.right.depth_step;
    pair.depth = end - first;
    return pair;
}

// The same of both pairs, the second of which follows the first.
static inline void part_of(const struct martlet_tile_product *product, int64_t first, int64_t end, int64_t row_block,
                           int64_t column_block, struct martlet_tile_operands parts[2]) {
    int64_t before = product->operands[0].depth;
    parts[0] = part_of_pair(product->operands[0], first, end, row_block, column_block);
    parts[1] = part_of_pair(product->operands[1], first - before, end - before, row_block, column_block);
}

// Sums of a product, and the elements between their rows.
struct tile_sums {
    float *start;
    int64_t stride;
};

// Where the sums over the blocks before `block` lie: those of a part of the depth apart from those before and after all of it.
static inline struct tile_sums sums_at(const struct martlet_tile_product *product, int64_t block) {
    int64_t depth = product->operands[0].depth + product->operands[1].depth;
    if (block > 0 && block < depth && product->partial) return (struct tile_sums){product->partial, product->columns};
    return (struct tile_sums){product->result, product->stride};
}

// What a piece of the depth starts from, if it adds to anything, and where it leaves its sums.
struct tile_way {
    struct tile_sums from, to;
    int accumulate;
};

static inline struct tile_way piece_way(const struct martlet_tile_product *product, int64_t first, int64_t size) {
    return (struct tile_way){sums_at(product, first), sums_at(product, first + size), product->accumulate || first > 0};
}

// The same for what begins at a row and a column.
static inline struct tile_way way_at(struct tile_way way, int64_t row, int64_t column) {
    way.from.start += row * way.from.stride + column;
    way.to.start += row * way.to.stride + column;
    return way;
}

#endif
