// What the operating system allows this process, what it takes back, and sums over bytes.
#ifndef MARTLET_SYSTEM_H
#define MARTLET_SYSTEM_H

#include <stdint.h>

// A sum that notices damage of every kind that disks and crashes do; it is no protection against people.
struct martlet_checksum {
    uint64_t lanes[8];
    int64_t count;
};
void martlet_checksum_begin(struct martlet_checksum *sum);
// Adds what follows. All but the last call bring multiples of 64 bytes.
void martlet_checksum_add(struct martlet_checksum *sum, const uint8_t *bytes, int64_t count);
uint64_t martlet_checksum_end(const struct martlet_checksum *sum);

// Number of processors in the affinity mask of this process.
int martlet_allowed_processors(void);

// Threads that have a number at a time.
enum { MARTLET_THREAD_NUMBERS = 1024 };

// A number of the calling thread, which no other one has as long as it lives: the lowest that is free when it asks for the
// first time; MARTLET_THREAD_NUMBERS if none is.
int64_t martlet_thread_number(void);

// --- lost_pages.c ------------------------------------------------------------------------------------------------

// Remembers where a file is mapped. Returns what martlet_forget_file() takes, or -1 if there are too many.
int martlet_watch_file(const void *start, int64_t bytes, const char *path);
void martlet_forget_file(int slot);
// From now on a page of such a file that cannot be read, because somebody has made it shorter, ends the process with a sentence
// on standard error and this status. A program calls it; a library leaves signals alone.
void martlet_answer_lost_pages(int status);

// -----------------------------------------------------------------------------------------------------------------

// Tells the processor that this thread spins, so that it leaves the core's units to the other one and saves power.
static inline void martlet_spin_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

#endif
