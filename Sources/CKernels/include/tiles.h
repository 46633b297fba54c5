// Products in bfloat16 with float32 sums on tile registers (AMX) or vectors (AVX512-BF16), and the layouts that they read.
//
// A tile is 1 KB: 16 rows of 32 bfloat16 of a left operand; or, of a right operand, 16 pairs of rows, in which the two
// rows of a pair alternate: row p has elements (2p, 0), (2p + 1, 0), (2p, 1), (2p + 1, 1) … (2p + 1, 15). The summed
// dimension ("depth") is cut into blocks of 32, the others into blocks of 16. An operand is packed block by block of
// its 16 rows (left) or 16 columns (right), each with its tiles along the depth one after another. What the last
// blocks have beyond the matrix is zero.
//
// A left operand of bfloat16 numbers in rows that are whole tiles wide need not be packed: a tile can be read from rows
// that lie apart. Left tiles also serve as right ones of a sum over their rows, if what meets them is spread:
//
//     result[m, n] = sum over r of g[r, m] x[r, n]
//
// A left tile of x, read as a right one, has x[r, 2n] and x[r, 2n + 1] alternating in row r. With a left tile whose row m
// is g[0, m], 0, g[1, m], 0 … the product is result[m, 2n]; with 0, g[0, m], 0, g[1, m] … it is result[m, 2n + 1].
#ifndef MARTLET_TILES_H
#define MARTLET_TILES_H

#include <stddef.h>

#include "variants.h"

enum {
    // Rows of a left tile, columns of a right one.
    MARTLET_TILE_SIDE = 16,
    // Elements of a tile along the summed dimension.
    MARTLET_TILE_DEPTH = 32,
    // Elements of a tile.
    MARTLET_TILE_ELEMENTS = 512,
};

// --- pack_tiles.c ------------------------------------------------------------------------------------------------

// Packs a matrix whose rows lie along the depth: source [sides, depth] with row stride, into blocks of 16 rows that
// begin `block_step` elements apart. transpose = 0 makes left tiles (rows of the left operand), 1 right tiles (the
// right operand is the transpose of the source).
DECLARE_ROUNDING_KERNEL(pack_rows_f32, (int64_t sides, int64_t depth, const float *source, int64_t stride, int transpose,
                                        uint16_t *tiles, int64_t block_step));
DECLARE_KERNEL(pack_rows_bf16, (int64_t sides, int64_t depth, const uint16_t *source, int64_t stride, int transpose,
                                uint16_t *tiles, int64_t block_step));
// The same for a matrix whose columns lie along the depth: source [depth, sides]. transpose = 0 makes right tiles (the
// source is the right operand), 1 left tiles (the left operand is the transpose of the source).
DECLARE_ROUNDING_KERNEL(pack_columns_f32, (int64_t sides, int64_t depth, const float *source, int64_t stride,
                                           int transpose, uint16_t *tiles, int64_t block_step));
DECLARE_KERNEL(pack_columns_bf16, (int64_t sides, int64_t depth, const uint16_t *source, int64_t stride, int transpose,
                                   uint16_t *tiles, int64_t block_step));

// Packs the transpose of source [depth, sides] as a left operand that is spread: per 16 columns of the source a block
// with zeros behind the elements, and one with zeros before them. A tile has 16 rows of the source.
DECLARE_KERNEL(pack_spread, (int64_t sides, int64_t depth, const float *source, int64_t stride, uint16_t *tiles,
                             int64_t block_step));

// --- tile_product_amx.c, tile_product_vectors.c, tile_product_emulated.c ------------------------------------------

// Where the tiles of an operand begin, and the elements between blocks of 16 rows or columns, between tiles along the
// depth, and between the rows of a tile.
struct martlet_tile_operand {
    const uint16_t *tiles;
    int64_t block_step, depth_step, row_step;
};

// An operand whose tiles have been packed.
static inline struct martlet_tile_operand martlet_packed_tiles(const uint16_t *tiles, int64_t block_step) {
    return (struct martlet_tile_operand){tiles, block_step, MARTLET_TILE_ELEMENTS, MARTLET_TILE_DEPTH};
}

// Two operands that meet along `depth` blocks of 32.
struct martlet_tile_operands {
    struct martlet_tile_operand left, right;
    int64_t depth;
};

// Whether rows so many bytes apart share so few places in the caches that they drive each other out.
static inline int martlet_rows_collide(int64_t bytes) { return bytes % 2048 == 0; }

// result[rows, columns] = left · right over both pairs of operands (the second may have depth 0), or added to what the
// result holds. An element's sum runs along the depth in one order, whatever rows and columns are computed with it.
//
// A deep product goes over the result several times. Its sums are kept in `partial` meanwhile, [rows, columns], or in the result
// if that is null: where rows of the result collide, the former is faster.
struct martlet_tile_product {
    struct martlet_tile_operands operands[2];
    int64_t rows, columns;
    float *result, *partial;
    int64_t stride;
    int accumulate;
};

// On the tile registers of this CPU; needs MARTLET_TILES_READY.
void martlet_tile_product_amx(const struct martlet_tile_product *product);
// On the vectors of a CPU with AVX512-BF16.
void martlet_tile_product_vectors(const struct martlet_tile_product *product);
// The same as on tile registers in plain C, instruction by instruction, for tests.
void martlet_tile_product_emulated(const struct martlet_tile_product *product);

// --- tile_support.c ----------------------------------------------------------------------------------------------

// Whether tile registers can be used, or what is missing.
enum {
    MARTLET_TILES_READY = 0,
    // Not an x86-64 CPU, or one without AMX-TILE and AMX-BF16.
    MARTLET_TILES_NO_CPU = 1,
    // The operating system does not save tile registers.
    MARTLET_TILES_NO_SYSTEM = 2,
    // The operating system refused this process.
    MARTLET_TILES_NO_PERMISSION = 3,
    // The first product was an illegal instruction.
    MARTLET_TILES_TRAPPED = 4,
    // The first product was wrong.
    MARTLET_TILES_WRONG = 5,
};

// Asks the system for tile registers and tries them on a product; later calls return the first answer.
int martlet_tiles_state(void);
// The same question to one product of the given form, each time anew: for tests.
int martlet_tiles_trial(void (*product)(const struct martlet_tile_product *));
// Whether this CPU's vectors multiply bfloat16 faster than float32: AMD's from Zen 4 on do it twice as fast, Intel's half as fast.
int martlet_multiplies_bfloat16(void);

#endif
