#define _GNU_SOURCE
#include "system.h"

#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

int martlet_allowed_processors(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

int64_t martlet_thread_number(void) {
    static _Atomic int64_t threads;
    static _Thread_local int64_t number = -1;
    if (number < 0) number = atomic_fetch_add(&threads, 1);
    return number;
}
