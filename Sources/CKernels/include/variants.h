// variants.h: one portable C body, compiled for several instruction sets, chosen at run time.
//
//   KERNEL(name, (params), (args)) { body }
//
// defines martlet_<name>, which calls the _portable, _avx2 or _avx512 copy of the body by martlet_isa().
// KERNEL_DECLARE(name, (params)) declares the four functions for a header.
#ifndef MARTLET_VARIANTS_H
#define MARTLET_VARIANTS_H

#include "dispatch.h"

#define KERNEL_DECLARE(name, params) \
    void martlet_##name params; \
    void martlet_##name##_portable params; \
    void martlet_##name##_avx2 params; \
    void martlet_##name##_avx512 params

#if defined(__x86_64__)
#define KERNEL_AVX2 __attribute__((target("avx2,fma,f16c")))
#define KERNEL_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")))
#else
#define KERNEL_AVX2
#define KERNEL_AVX512
#endif

#define KERNEL(name, params, args) \
    static inline __attribute__((always_inline)) void name##_body params; \
    void martlet_##name##_portable params { name##_body args; } \
    KERNEL_AVX2 void martlet_##name##_avx2 params { name##_body args; } \
    KERNEL_AVX512 void martlet_##name##_avx512 params { name##_body args; } \
    void martlet_##name params { \
        switch (martlet_isa()) { \
        case 2: martlet_##name##_avx512 args; return; \
        case 1: martlet_##name##_avx2 args; return; \
        default: martlet_##name##_portable args; return; \
        } \
    } \
    static inline __attribute__((always_inline)) void name##_body params

#endif
