#include "variants.h"

#include <stdatomic.h>

static _Atomic int selected = -1;

int martlet_best_isa(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma")) {
        if (!__builtin_cpu_supports("avx512bf16")) return MARTLET_ISA_AVX512;
        return __builtin_cpu_supports("avx512fp16") ? MARTLET_ISA_AVX512_FP16 : MARTLET_ISA_AVX512_BF16;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return MARTLET_ISA_AVX2;
#endif
    return MARTLET_ISA_PORTABLE;
}

int martlet_isa(void) {
    int level = atomic_load_explicit(&selected, memory_order_relaxed);
    if (level < 0) {
        level = martlet_best_isa();
        atomic_store_explicit(&selected, level, memory_order_relaxed);
    }
    return level;
}

void martlet_select_isa(int level) {
    int best = martlet_best_isa();
    if (level < MARTLET_ISA_PORTABLE) level = MARTLET_ISA_PORTABLE;
    atomic_store_explicit(&selected, level < best ? level : best, memory_order_relaxed);
}
