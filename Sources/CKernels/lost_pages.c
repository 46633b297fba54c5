#define _GNU_SOURCE
#include "system.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAPPINGS = 4096 };

// A mapping is there as soon as it has a path; a slot is free if it has none and is not taken.
static struct mapping {
    atomic_int taken;
    _Atomic(char *) path;
    const char *start, *end;
} mappings[MAPPINGS];
static int exit_status;

int martlet_watch_file(const void *start, int64_t bytes, const char *path) {
    char *copy = strdup(path);
    for (int slot = 0; copy && slot < MAPPINGS; slot++) {
        struct mapping *mapping = &mappings[slot];
        if (atomic_exchange(&mapping->taken, 1)) continue;
        mapping->start = start;
        mapping->end = mapping->start + bytes;
        atomic_store(&mapping->path, copy);
        return slot;
    }
    free(copy);
    return -1;
}

void martlet_forget_file(int slot) {
    if (slot < 0) return;
    free(atomic_exchange(&mappings[slot].path, NULL));
    atomic_store(&mappings[slot].taken, 0);
}

static void say(const char *text) {
    if (write(STDERR_FILENO, text, strlen(text)) < 0) return;
}

// Only what is allowed inside a handler. A fault elsewhere happens again, without a handler.
static void answer(int number, siginfo_t *info, __attribute__((unused)) void *context) {
    const char *place = info->si_addr;
    for (int slot = 0; slot < MAPPINGS; slot++) {
        const char *path = atomic_load(&mappings[slot].path);
        if (!path || place < mappings[slot].start || place >= mappings[slot].end) continue;
        say("error: ");
        say(path);
        say(": the file has become shorter, or its disk has failed, while it was in use; bring it back and start again\n");
        _exit(exit_status);
    }
    signal(number, SIG_DFL);
}

void martlet_answer_lost_pages(int status) {
    exit_status = status;
    struct sigaction action = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO};
    sigaction(SIGBUS, &action, NULL);
}
