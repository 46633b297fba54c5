#define _GNU_SOURCE
#include "system.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

int martlet_allowed_processors(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

static pthread_mutex_t numbers_mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned char taken[MARTLET_THREAD_NUMBERS];
static pthread_key_t number_key;
static _Thread_local int64_t number = -1;

// When a thread ends; the key holds its number and one.
static void give_back(void *value) {
    pthread_mutex_lock(&numbers_mutex);
    taken[(intptr_t)value - 1] = 0;
    pthread_mutex_unlock(&numbers_mutex);
    number = -1;
}

static void make_key(void) { pthread_key_create(&number_key, give_back); }

int64_t martlet_thread_number(void) {
    if (number >= 0) return number;
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_key);
    pthread_mutex_lock(&numbers_mutex);
    for (number = 0; number < MARTLET_THREAD_NUMBERS && taken[number]; number++) {}
    if (number < MARTLET_THREAD_NUMBERS) taken[number] = 1;
    pthread_mutex_unlock(&numbers_mutex);
    if (number < MARTLET_THREAD_NUMBERS) pthread_setspecific(number_key, (void *)(intptr_t)(number + 1));
    return number;
}
