#define _GNU_SOURCE
#include "tiles.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#if defined(__x86_64__)

enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };

static int cpu_has_tiles(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    unsigned amx_bf16 = d >> 22 & 1, amx_tile = d >> 24 & 1;
    return amx_bf16 && amx_tile && martlet_best_isa() >= MARTLET_ISA_AVX512;
}

// Whether the system saves tile configuration and data (bits 17 and 18 of XCR0).
static int system_has_tiles(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) return 0;
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low >> 17 & 3) == 3;
}

static int permission_granted(void) { return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0; }

int martlet_multiplies_bfloat16(void) { return martlet_best_isa() >= MARTLET_ISA_AVX512_BF16 && __builtin_cpu_is("amd"); }

#else

static int cpu_has_tiles(void) { return 0; }
static int system_has_tiles(void) { return 0; }
static int permission_granted(void) { return 0; }

int martlet_multiplies_bfloat16(void) { return 0; }

#endif

// --- Trial -------------------------------------------------------------------------------------------------------

// Sizes with tails everywhere, and a second pair of operands.
enum { ROWS = 39, COLUMNS = 53, DEPTH = 70, MORE = 5, BLOCKS = 4 * 3 };

// Whole numbers from -8 to 8: their products and sums are exact, whatever the order. Adding is checked apart from that.
static float number(int64_t i, int64_t j) { return (float)((i * 7 + j * 11 + i * j) % 17 - 8); }

struct trial {
    float left[ROWS][DEPTH + MORE], right[DEPTH + MORE][COLUMNS], result[ROWS][COLUMNS];
    uint16_t tiles[4][BLOCKS * MARTLET_TILE_ELEMENTS];
};

static struct martlet_tile_product prepare(struct trial *t) {
    int64_t step = 3 * MARTLET_TILE_ELEMENTS;
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < DEPTH + MORE; k++) t->left[i][k] = number(i, k);
    for (int k = 0; k < DEPTH + MORE; k++)
        for (int j = 0; j < COLUMNS; j++) t->right[k][j] = number(j + 3, k);
    martlet_pack_rows_f32(ROWS, DEPTH, t->left[0], DEPTH + MORE, 0, t->tiles[0], step);
    martlet_pack_columns_f32(COLUMNS, DEPTH, t->right[0], COLUMNS, 0, t->tiles[1], step);
    martlet_pack_rows_f32(ROWS, MORE, t->left[0] + DEPTH, DEPTH + MORE, 0, t->tiles[2], step);
    martlet_pack_columns_f32(COLUMNS, MORE, t->right[DEPTH], COLUMNS, 0, t->tiles[3], step);
    return (struct martlet_tile_product){
        .operands = {{martlet_packed_tiles(t->tiles[0], step), martlet_packed_tiles(t->tiles[1], step), 3},
                     {martlet_packed_tiles(t->tiles[2], step), martlet_packed_tiles(t->tiles[3], step), 1}},
        .rows = ROWS, .columns = COLUMNS, .result = t->result[0], .stride = COLUMNS,
    };
}

static int is_right(const struct trial *t, int times) {
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) {
            float sum = 0;
            for (int k = 0; k < DEPTH + MORE; k++) sum += t->left[i][k] * t->right[k][j];
            if (t->result[i][j] != (float)times * sum) return 0;
        }
    return 1;
}

static _Thread_local sigjmp_buf escape;

static void on_illegal_instruction(int signal) {
    (void)signal;
    siglongjmp(escape, 1);
}

int martlet_tiles_trial(void (*product)(const struct martlet_tile_product *)) {
    struct trial trial;
    struct martlet_tile_product twice = prepare(&trial);
    struct sigaction action = {.sa_handler = on_illegal_instruction}, before;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGILL, &action, &before) != 0) return MARTLET_TILES_TRAPPED;
    // A process may start with blocked signals, and a blocked one that the CPU raises is deadly.
    sigset_t illegal, mask;
    sigemptyset(&illegal);
    sigaddset(&illegal, SIGILL);
    pthread_sigmask(SIG_UNBLOCK, &illegal, &mask);
    volatile int state = MARTLET_TILES_TRAPPED;
    if (sigsetjmp(escape, 1) == 0) {
        product(&twice);
        state = is_right(&trial, 1) ? MARTLET_TILES_READY : MARTLET_TILES_WRONG;
        twice.accumulate = 1;
        product(&twice);
        if (!is_right(&trial, 2)) state = MARTLET_TILES_WRONG;
    }
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    sigaction(SIGILL, &before, NULL);
    return state;
}

static int state;

static void find_state(void) {
    state = !cpu_has_tiles()          ? MARTLET_TILES_NO_CPU
            : !system_has_tiles()     ? MARTLET_TILES_NO_SYSTEM
            : !permission_granted()   ? MARTLET_TILES_NO_PERMISSION
                                      : martlet_tiles_trial(martlet_tile_product_amx);
}

int martlet_tiles_state(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_state);
    return state;
}
