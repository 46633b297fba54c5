// The blocked product over tile registers; included once for each kind of them (amx_tiles.h).
//
// Registers 0…3 hold 2 × 2 tiles of the result, 4 and 5 two of the left operand (one below the other), 6 and 7 two of
// the right one. The depth is cut into pieces, so that the left tiles of 32 rows stay in the first-level cache while
// they meet one pair of columns after another; the result is kept in float32 between pieces, which changes no bit.
//
// What the next 32 rows need of the left operand, and the next block of the result, are asked for while a block is computed, one
// tile with each step along the depth: the processor does not look that far ahead, and both come from beyond the second-level
// cache, which holds the right operand.

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

// The part of two operands that a block of the result needs for one piece.
struct FUNCTION(span) {
    struct martlet_tile_operand left, right;
    int64_t depth;
    // What is asked for meanwhile, or null.
    const struct FUNCTION(ahead) * ahead;
};

// Adds the products of a span to the result in registers.
TILE_TARGET MARTLET_INLINE void FUNCTION(accumulate)(TILE_REGISTERS, const struct FUNCTION(span) * span, int tall,
                                                     int wide) {
    const uint16_t *left = span->left.tiles, *right = span->right.tiles;
    int64_t left_bytes = span->left.row_step * (int64_t)sizeof *left;
    int64_t right_bytes = span->right.row_step * (int64_t)sizeof *right;
    for (int64_t k = 0; k < span->depth; k++, left += span->left.depth_step, right += span->right.depth_step) {
        tile_loadd(6, right, right_bytes);
        tile_loadd(4, left, left_bytes);
        tile_dpbf16ps(0, 4, 6);
        if (tall) {
            tile_loadd(5, left + span->left.block_step, left_bytes);
            tile_dpbf16ps(2, 5, 6);
        }
        if (wide) {
            tile_loadd(7, right + span->right.block_step, right_bytes);
            tile_dpbf16ps(1, 4, 7);
            if (tall) tile_dpbf16ps(3, 5, 7);
        }
        if (span->ahead) FUNCTION(fetch)(span->ahead, k, span->depth);
    }
    (void)TILE_REGISTERS_PASSED;
}

// One block of the result, 16 or 32 rows and columns, over the spans of a piece.
TILE_TARGET MARTLET_INLINE void FUNCTION(block)(TILE_REGISTERS, const struct FUNCTION(span) * spans, int tall, int wide,
                                                float *result, int64_t stride, int accumulate) {
    int64_t bytes = stride * (int64_t)sizeof(float);
    float *below = result + 16 * stride;
    if (accumulate) {
        tile_loadd(0, result, bytes);
        if (wide) tile_loadd(1, result + 16, bytes);
        if (tall) tile_loadd(2, below, bytes);
        if (tall && wide) tile_loadd(3, below + 16, bytes);
    } else {
        tile_zero(0);
        if (wide) tile_zero(1);
        if (tall) tile_zero(2);
        if (tall && wide) tile_zero(3);
    }
    FUNCTION(accumulate)(TILE_REGISTERS_PASSED, &spans[0], tall, wide);
    FUNCTION(accumulate)(TILE_REGISTERS_PASSED, &spans[1], tall, wide);
    tile_stored(0, result, bytes);
    if (wide) tile_stored(1, result + 16, bytes);
    if (tall) tile_stored(2, below, bytes);
    if (tall && wide) tile_stored(3, below + 16, bytes);
}

// A block at the edge of the result by way of a buffer: `rows` × `columns` of it exist.
TILE_TARGET MARTLET_INLINE void FUNCTION(edge)(TILE_REGISTERS, const struct FUNCTION(span) * spans, int tall, int wide,
                                               float *result, int64_t stride, int accumulate, int64_t rows,
                                               int64_t columns) {
    float buffer[32][32];
    size_t bytes = (size_t)columns * sizeof(float);
    if (accumulate)
        for (int64_t r = 0; r < rows; r++) memcpy(buffer[r], result + r * stride, bytes);
    FUNCTION(block)(TILE_REGISTERS_PASSED, spans, tall, wide, buffer[0], 32, accumulate);
    for (int64_t r = 0; r < rows; r++) memcpy(result + r * stride, buffer[r], bytes);
}

// Chooses the form of a block by its rows and columns, at most 32 each.
TILE_TARGET static void FUNCTION(any_block)(TILE_REGISTERS, const struct FUNCTION(span) * spans, float *result,
                                            int64_t stride, int accumulate, int64_t rows, int64_t columns) {
    if (rows == 32 && columns == 32)
        FUNCTION(block)(TILE_REGISTERS_PASSED, spans, 1, 1, result, stride, accumulate);
    else if (rows > 16 && columns > 16)
        FUNCTION(edge)(TILE_REGISTERS_PASSED, spans, 1, 1, result, stride, accumulate, rows, columns);
    else if (rows > 16)
        FUNCTION(edge)(TILE_REGISTERS_PASSED, spans, 1, 0, result, stride, accumulate, rows, columns);
    else if (columns > 16)
        FUNCTION(edge)(TILE_REGISTERS_PASSED, spans, 0, 1, result, stride, accumulate, rows, columns);
    else
        FUNCTION(edge)(TILE_REGISTERS_PASSED, spans, 0, 0, result, stride, accumulate, rows, columns);
}

// An operand from a block of rows or columns and a block of the depth on.
static struct martlet_tile_operand FUNCTION(from)(struct martlet_tile_operand operand, int64_t block, int64_t depth) {
    operand.tiles += block * operand.block_step + depth * operand.depth_step;
    return operand;
}

// Blocks [first, first + depth) of the depth of operands, from the given blocks of rows and columns on.
static struct FUNCTION(span) FUNCTION(part)(const struct martlet_tile_operands *operands, int64_t first, int64_t depth,
                                            int64_t row_block, int64_t column_block) {
    return (struct FUNCTION(span)){
        .left = FUNCTION(from)(operands->left, row_block, first),
        .right = FUNCTION(from)(operands->right, column_block, first), .depth = depth,
    };
}

// The left operand from where it is needed after 32 rows of a piece: at the next rows, at the next piece, or at rows that a
// later product may begin with.
static struct martlet_tile_operand FUNCTION(next_left)(const struct martlet_tile_product *product, int64_t row,
                                                       int64_t first, int64_t depth) {
    struct martlet_tile_operand left = product->operands[0].left;
    if (row + 32 < product->rows) return FUNCTION(from)(left, row / 16 + 2, first);
    if (first + depth < product->operands[0].depth) return FUNCTION(from)(left, 0, first + depth);
    return FUNCTION(from)(left, row / 16 + 2, 0);
}

// What is to be asked for during a block of the result: its share of the left tiles that come next, and the block of the
// result that comes next, if it is new.
static void FUNCTION(look_ahead)(const struct martlet_tile_product *product, struct martlet_tile_operand next_left,
                                 int64_t depth, int64_t row, int64_t column, int is_new, struct FUNCTION(ahead) * ahead) {
    int64_t tiles = 2 * depth, end = column + 32 < product->columns ? column + 32 : product->columns;
    int64_t bytes = next_left.row_step * (int64_t)sizeof *next_left.tiles;
    ahead->count = 0;
    if (product->rows <= FEW_ROWS) return;
    for (int64_t tile = tiles * column / product->columns; tile < tiles * end / product->columns; tile++)
        FUNCTION(add)(ahead, FUNCTION(from)(next_left, tile / depth, tile % depth).tiles, bytes);
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
    int64_t depth = product->operands[0].depth;
    int64_t pieces = depth > PIECE ? (depth + PIECE - 1) / PIECE : 1, size = (depth + pieces - 1) / pieces;
    for (int64_t piece = 0; piece < pieces; piece++) {
        int64_t first = piece * size, here = depth - first < size ? depth - first : size;
        // The second operands are short; they go with the last piece.
        int64_t rest = piece == pieces - 1 ? product->operands[1].depth : 0;
        for (int64_t row = 0; row < product->rows; row += 32) {
            struct martlet_tile_operand next = FUNCTION(next_left)(product, row, first, size);
            for (int64_t column = 0; column < product->columns; column += 32) {
                struct FUNCTION(span) spans[2] = {
                    FUNCTION(part)(&product->operands[0], first, here, row / 16, column / 16),
                    FUNCTION(part)(&product->operands[1], 0, rest, row / 16, column / 16),
                };
                struct FUNCTION(ahead) ahead;
                FUNCTION(look_ahead)(product, next, here, row, column, piece == 0 && !product->accumulate, &ahead);
                spans[0].ahead = &ahead;
                int64_t rows = product->rows - row < 32 ? product->rows - row : 32;
                int64_t columns = product->columns - column < 32 ? product->columns - column : 32;
                FUNCTION(any_block)(TILE_REGISTERS_PASSED, spans, product->result + row * product->stride + column,
                                    product->stride, product->accumulate || piece > 0, rows, columns);
            }
        }
    }
    tile_release();
}
