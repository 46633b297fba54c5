// Attention by blocks of queries and keys, softmax on the way (Milakov & Gimelshein, 2018; Dao et al., 2022): scores
// exist for one block of either at a time.
//
// Scores lie transposed, a row for each key and a lane for each query, so that every step of the softmax is the same
// for sixteen queries at once. Keys and values are read as rows, one number for all lanes; queries and the gradients of
// outputs are transposed once for each block of queries.
#ifndef MARTLET_ATTENTION_H
#define MARTLET_ATTENTION_H

#include "block_product.h"
#include "float16_block.h"
#include "tiles.h"
#include "variants.h"

enum {
    // Queries, and keys, that are worked on at a time.
    MARTLET_ATTENTION_BLOCK = 64,
    // Keys in a part of the cache that a single query works on at a time.
    MARTLET_ATTENTION_CHUNK = 256,
    // Parts of operands from which hardly anything is lost to rounding, one after another along the depth: with x' for
    // x rounded to bfloat16, keys are (k', k', k - k') and queries (q', q - q', q'). What is missing from their product
    // is that of the two differences, and their own rounding.
    MARTLET_ATTENTION_PARTS = 3,
};

// The distance at which rows of a head's keys or values are best copied: vectors in an odd number, so that a column of
// the rows does not fall on a few places of the cache, as it may where they come from.
int64_t martlet_attention_spread(int64_t size);

// --- attention_forward.c -----------------------------------------------------------------------------------------

// One attention. A stride is the distance between tokens, in elements.
struct martlet_attention {
    int64_t head_size, value_size;
    // A score s becomes scale * s, then, unless cap is 0, cap * tanh(scale * s / cap).
    float scale, cap;
    int64_t query_stride, output_stride;
    // What multiplies operands in bfloat16; or in float16 all but the scores, whose rounding an exponential would enlarge, if
    // sizes are multiples of 32; both null: products in float32.
    void (*tiles)(const struct martlet_tile_product *);
    void (*halves)(const struct martlet_float16_block *);
};

// Keys or values of one sequence and head.
struct martlet_attention_operand {
    // For products in float32: rows. For those in float16: rows of words, every MARTLET_ATTENTION_BLOCK of them under a
    // scale, and what undoes that. Of keys the forward pass needs the first and the backward pass both, of values both the second.
    // Of keys without `tiles` the scores are products of rows, too.
    const float *rows;
    const uint32_t *words;
    int64_t stride;
    const float *inverses;
    // For tiles: the matrix [tokens, size] and its transpose as left operands, and the distance between their blocks.
    // Of keys the forward pass needs the first and the backward pass both; of values the forward pass the second, the
    // backward pass the first.
    const uint16_t *tiles, *transposed;
    int64_t step, transposed_step;
    // Parts of `tiles` along the depth: one, or MARTLET_ATTENTION_PARTS.
    int64_t parts;
};

// At most MARTLET_ATTENTION_BLOCK queries that follow one another, and the keys that they meet: query i sees the keys
// from first[i] to before last[i] (neither falls with i) as far as they are in [first_key, last_key). Keys are counted
// from the first of the sequence; first_key is a multiple of MARTLET_ATTENTION_BLOCK.
struct martlet_attention_block {
    int64_t queries, first_key, last_key;
    const int32_t *first, *last;
};

// Packs rows of keys in parts, as left operands. scratch: rows * size floats.
DECLARE_ROUNDING_KERNEL(attention_pack_keys,
               (int64_t rows, int64_t size, const float *keys, int64_t stride, float *scratch, uint16_t *tiles));

// Floats of scratch that a block needs, on a boundary of 64 bytes: forward for `heads` query heads, backward for one.
int64_t martlet_attention_forward_scratch(const struct martlet_attention *a, int64_t heads);
int64_t martlet_attention_backward_scratch(const struct martlet_attention *a);

// `heads` query heads that share a key/value head. q, output: the first query's row at the first of the heads, whose
// columns follow one another. sinks: one more score for each head, or null. lse: log-sum-exp of the first query and
// head; heads lie lse_stride apart.
DECLARE_ROUNDING_KERNEL(attention_forward,
               (const struct martlet_attention *a, const struct martlet_attention_block *block, int64_t heads,
                const float *q, const struct martlet_attention_operand *k, const struct martlet_attention_operand *v,
                const float *sinks, float *scratch, float *output, float *lse, int64_t lse_stride));

// --- attention_backward.c ----------------------------------------------------------------------------------------

// The gradients that a block and one head contribute. delta: the sum over d_output * output, for each query. d_query is
// set, or added to if `accumulate` is not 0. d_key, d_value: rows from first_key on, of sizes rounded up to 16; added
// to.
DECLARE_ROUNDING_KERNEL(attention_backward,
               (const struct martlet_attention *a, const struct martlet_attention_block *block, const float *q,
                const struct martlet_attention_operand *k, const struct martlet_attention_operand *v,
                const float *d_output, const float *lse, const float *delta, float *scratch, float *d_query,
                int accumulate, float *d_key, float *d_value));

// --- attention_chunk.c -------------------------------------------------------------------------------------------

// One query against at most MARTLET_ATTENTION_CHUNK keys, all of which it sees: for each of the `heads` query heads
// that share them the largest score, the sum of exp(score - largest), and value_size sums of values, parts_stride
// apart.
int64_t martlet_attention_chunk_scratch(const struct martlet_attention *a, int64_t heads);
DECLARE_KERNEL(attention_chunk,
               (const struct martlet_attention *a, int64_t heads, int64_t keys, const float *q, const float *k,
                int64_t key_stride, const float *v, int64_t value_stride, float *scratch, float *parts,
                int64_t parts_stride));
// Joins what `chunks` chunks, chunk_stride apart, found for one query and head. sink: one more score, -INFINITY for
// none.
DECLARE_KERNEL(attention_join,
               (int64_t value_size, int64_t chunks, const float *parts, int64_t chunk_stride, float sink, float *output,
                float *lse));

#endif
