#include "lanes.h"
#include "tile_parts.h"

#if defined(__x86_64__)

#include <immintrin.h>

enum {
    // Rows of a result that are kept in registers, half of a left tile, and vectors of each, as many right tiles.
    ROWS = 8,
    VECTORS = 2,
    WIDTH = VECTORS * LANES,
    // Blocks along the depth of a piece, so that two right tiles of each, 18 KB, stay in the first-level cache while the rows go by.
    PIECE = 9,
};

// One pair of rows after another: unrolled, the compiler reads more ahead than there are registers for.
#define ONE_AFTER_ANOTHER _Pragma("clang loop unroll(disable)")

// `vectors` is a constant wherever it is called.
MARTLET_TARGET_AVX512_BF16 MARTLET_INLINE void add_products(const struct martlet_tile_operands *operands, int vectors,
                                                            __m512 sums[ROWS][VECTORS]) {
    const uint16_t *left = operands->left.tiles, *right = operands->right.tiles;
    int64_t row_step = operands->left.row_step, pair_step = operands->right.row_step;
    for (int64_t k = 0; k < operands->depth; k++, left += operands->left.depth_step, right += operands->right.depth_step)
        ONE_AFTER_ANOTHER for (int pair = 0; pair < MARTLET_TILE_DEPTH / 2; pair++) {
            __m512bh columns[VECTORS];
            UNROLLED for (int j = 0; j < vectors; j++)
                columns[j] = (__m512bh)_mm512_loadu_si512(right + j * operands->right.block_step + pair * pair_step);
            UNROLLED for (int i = 0; i < ROWS; i++) {
                int32_t numbers;
                memcpy(&numbers, left + i * row_step + 2 * pair, sizeof numbers);
                __m512bh row = (__m512bh)_mm512_set1_epi32(numbers);
                UNROLLED for (int j = 0; j < vectors; j++) sums[i][j] = _mm512_dpbf16_ps(sums[i][j], row, columns[j]);
            }
        }
}

// Eight rows of a result over both operands' part of a piece; `vectors` is a constant wherever it is called.
MARTLET_TARGET_AVX512_BF16 MARTLET_INLINE void multiply_rows(const struct martlet_tile_operands *operands, int vectors,
                                                             struct tile_way way) {
    __m512 sums[ROWS][VECTORS];
    UNROLLED for (int i = 0; i < ROWS; i++)
        UNROLLED for (int j = 0; j < vectors; j++)
            sums[i][j] = way.accumulate ? _mm512_loadu_ps(way.from.start + i * way.from.stride + j * LANES) : _mm512_setzero_ps();
    add_products(&operands[0], vectors, sums);
    add_products(&operands[1], vectors, sums);
    UNROLLED for (int i = 0; i < ROWS; i++)
        UNROLLED for (int j = 0; j < vectors; j++) _mm512_storeu_ps(way.to.start + i * way.to.stride + j * LANES, sums[i][j]);
}

// Rows at the edge of the result by way of a buffer: `rows` × `columns` of it exist.
MARTLET_TARGET_AVX512_BF16 static void multiply_edge(const struct martlet_tile_operands *operands, struct tile_way way,
                                                     int64_t rows, int64_t columns) {
    float buffer[ROWS][WIDTH];
    struct tile_sums inside = {buffer[0], WIDTH};
    struct tile_way there = {inside, inside, way.accumulate};
    size_t bytes = (size_t)columns * sizeof(float);
    if (way.accumulate)
        for (int64_t r = 0; r < rows; r++) memcpy(buffer[r], way.from.start + r * way.from.stride, bytes);
    if (columns > LANES)
        multiply_rows(operands, VECTORS, there);
    else
        multiply_rows(operands, 1, there);
    for (int64_t r = 0; r < rows; r++) memcpy(way.to.start + r * way.to.stride, buffer[r], bytes);
}

// All rows of at most WIDTH columns.
MARTLET_TARGET_AVX512_BF16 static void multiply_columns(const struct martlet_tile_product *product, int64_t column,
                                                        const struct martlet_tile_operands *piece, struct tile_way way) {
    int64_t columns = product->columns - column < WIDTH ? product->columns - column : WIDTH;
    for (int64_t row = 0; row < product->rows; row += ROWS) {
        struct martlet_tile_operands operands[2] = {piece[0], piece[1]};
        for (int i = 0; i < 2; i++) {
            struct martlet_tile_operand *left = &operands[i].left;
            left->tiles += row / MARTLET_TILE_SIDE * left->block_step + row % MARTLET_TILE_SIDE * left->row_step;
        }
        int64_t rows = product->rows - row < ROWS ? product->rows - row : ROWS;
        if (rows == ROWS && columns == WIDTH)
            multiply_rows(operands, VECTORS, way_at(way, row, column));
        else
            multiply_edge(operands, way_at(way, row, column), rows, columns);
    }
}

MARTLET_TARGET_AVX512_BF16 void martlet_tile_product_vectors(const struct martlet_tile_product *product) {
    int64_t depth = product->operands[0].depth + product->operands[1].depth, size = piece_depth(product, PIECE);
    for (int64_t first = 0; first < depth || first == 0; first += size) {
        struct tile_way way = piece_way(product, first, size);
        for (int64_t column = 0; column < product->columns; column += WIDTH) {
            struct martlet_tile_operands piece[2];
            part_of(product, first, first + size, 0, column / MARTLET_TILE_SIDE, piece);
            multiply_columns(product, column, piece, way);
        }
    }
}

#else

void martlet_tile_product_vectors(const struct martlet_tile_product *product) { martlet_tile_product_emulated(product); }

#endif
