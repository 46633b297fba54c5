// Asking for memory before its turn. The processor guesses rows that follow each other, but not parts of them.
#ifndef MARTLET_FETCH_H
#define MARTLET_FETCH_H

#include "variants.h"

// Bytes that memory hands over at once.
enum { LINE_BYTES = 64 };

// Bytes that follow one another, to be read, or to be written; write is constant wherever it is called.
MARTLET_INLINE void fetch(const void *start, int64_t bytes, int write) {
    for (int64_t at = 0; at < bytes; at += LINE_BYTES) {
        if (write)
            __builtin_prefetch((const char *)start + at, 1, 3);
        else
            __builtin_prefetch((const char *)start + at, 0, 3);
    }
}

// The same as far as the second-level cache: rows that lie a power of two apart drive each other out of the first.
MARTLET_INLINE void fetch_second_level(const void *start, int64_t bytes) {
    for (int64_t at = 0; at < bytes; at += LINE_BYTES) __builtin_prefetch((const char *)start + at, 0, 2);
}

// Parts of rows of floats.
MARTLET_INLINE void fetch_rows(const float *rows, int64_t stride, int64_t count, int64_t size, int write) {
    for (int64_t r = 0; r < count; r++, rows += stride) fetch(rows, size * (int64_t)sizeof *rows, write);
}

#endif
