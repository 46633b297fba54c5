// What the operating system allows this process, and sums over bytes.
#ifndef MARTLET_SYSTEM_H
#define MARTLET_SYSTEM_H

#include <stdint.h>

// A sum that notices damage of every kind that disks and crashes do; it is no protection against people.
uint64_t martlet_checksum(const uint8_t *bytes, int64_t count);

// Number of processors in the affinity mask of this process.
int martlet_allowed_processors(void);

// A number of the calling thread: threads are numbered from 0 as they ask for the first time.
int64_t martlet_thread_number(void);

// Tells the processor that this thread spins, so that it leaves the core's units to the other one and saves power.
static inline void martlet_spin_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

#endif
