#define _GNU_SOURCE
#include "openblas.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROW_MAJOR = 101, NO_TRANSPOSE = 111, TRANSPOSE = 112 };

typedef void (*sgemm_function)(int, int, int, int, int, int, float, const float *, int, const float *, int, float,
                               float *, int);

static sgemm_function sgemm;
static const char *version = "", *core = "";
static char error_text[512];
static int state = -1;

static void choose_core(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        setenv("OPENBLAS_CORETYPE", "SkylakeX", 0);
    else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        setenv("OPENBLAS_CORETYPE", "Haswell", 0);
#endif
}

static int fail(const char *words) {
    snprintf(error_text, sizeof error_text, "%s", words ? words : "unknown loader error");
    return state = 1;
}

int martlet_blas_open(void) {
    if (state >= 0) return state;
    choose_core();
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    const char *names[] = {"libopenblas.so.0", "libopenblas.so"};
    void *library = NULL;
    for (int i = 0; i < 2 && !library; i++) library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!library) return fail(dlerror());
    sgemm = (sgemm_function)dlsym(library, "cblas_sgemm");
    if (!sgemm) return fail("the library has no cblas_sgemm");
    void (*set_threads)(int) = (void (*)(int))dlsym(library, "openblas_set_num_threads");
    const char *(*get_core)(void) = (const char *(*)(void))dlsym(library, "openblas_get_corename");
    const char *(*get_config)(void) = (const char *(*)(void))dlsym(library, "openblas_get_config");
    if (set_threads) set_threads(1);
    if (get_core) core = get_core();
    if (get_config) version = get_config();
    return state = 0;
}

const char *martlet_blas_error(void) { return error_text; }
const char *martlet_blas_version(void) { return version; }
const char *martlet_blas_core(void) { return core; }

void martlet_sgemm(int transpose_a, int transpose_b, long m, long n, long k, float alpha, const float *a, long lda,
                   const float *b, long ldb, float beta, float *c, long ldc) {
    sgemm(ROW_MAJOR, transpose_a ? TRANSPOSE : NO_TRANSPOSE, transpose_b ? TRANSPOSE : NO_TRANSPOSE, (int)m, (int)n,
          (int)k, alpha, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
}
