#include "dispatch.h"

#include <stdatomic.h>

static atomic_int selected = -1;

static int best_isa(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        return 2;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) return 1;
#endif
    return 0;
}

int martlet_isa(void) {
    int level = atomic_load_explicit(&selected, memory_order_relaxed);
    if (level >= 0) return level;
    level = best_isa();
    atomic_store_explicit(&selected, level, memory_order_relaxed);
    return level;
}

void martlet_select_isa(int level) {
    int best = best_isa();
    atomic_store_explicit(&selected, level < 0 || level > best ? best : level, memory_order_relaxed);
}
