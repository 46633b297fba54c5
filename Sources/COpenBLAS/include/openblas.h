// Opens the installed OpenBLAS at run time, with the kernels that fit this CPU, and hands out its sgemm.
#ifndef MARTLET_OPENBLAS_H
#define MARTLET_OPENBLAS_H

#include <stddef.h>

// Loads libopenblas once, single-threaded. Before that it names the core type that fits the CPU in OPENBLAS_CORETYPE, since
// old releases take new CPUs for a Prescott; a value that the user set is left alone. Returns 0 on success; otherwise
// the loader's words are in martlet_blas_error(). Must be called before other threads exist.
int martlet_blas_open(void);
const char *martlet_blas_error(void);

// What OpenBLAS says of itself ("OpenBLAS 0.3.21 …"), and the core whose kernels it uses ("SkylakeX").
const char *martlet_blas_version(void);
const char *martlet_blas_core(void);

// C[m, n] = alpha * op(A) * op(B) + beta * C, row-major float32; op transposes where the flag is not 0.
// lda, ldb, ldc: elements between rows as stored. Runs on the calling thread only. Needs martlet_blas_open() == 0.
void martlet_sgemm(int transpose_a, int transpose_b, long m, long n, long k, float alpha, const float *a, long lda,
                   const float *b, long ldb, float beta, float *c, long ldc);

#endif
