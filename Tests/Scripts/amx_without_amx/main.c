// Runs the machine code of the AMX kernels on a CPU that has no AMX.
//
// Every instruction on tile registers is illegal there and raises SIGILL. The handler decodes it from its bytes, carries
// it out on the emulated registers of tile_emulation.h, and goes on behind it. So what is tested is what the compiler
// made of the intrinsics: opcodes, tile numbers, addresses and strides. Results must be those of the emulated kernel, bit
// for bit. It shows nothing about speed, nor whether a CPU rounds as its manual says.
#define _GNU_SOURCE
#include "tile_emulation.h"
#include "kernels.h"
#include "tiles.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

static struct tile_file registers;
static long counts[7];
enum { LOADCONFIG, RELEASE, ZERO, LOADD, STORED, DPBF16PS, OTHER };

static int64_t general(const ucontext_t *context, int number) {
    static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    return context->uc_mcontext.gregs[order[number]];
}

// Three-byte VEX prefix, opcode, ModRM, SIB and displacement: C4 [R X B map] [W vvvv L pp] opcode modrm …
struct instruction {
    int map, prefix, opcode, mod, reg, rm, vvvv, length;
    // With a memory operand.
    int64_t base, index;
};

static int decode(const uint8_t *code, const ucontext_t *context, struct instruction *i) {
    if (code[0] != 0xC4) return 0;
    int r = !(code[1] >> 7 & 1), x = !(code[1] >> 6 & 1), b = !(code[1] >> 5 & 1);
    *i = (struct instruction){.map = code[1] & 31, .prefix = code[2] & 3, .vvvv = ~(code[2] >> 3) & 15, .opcode = code[3]};
    i->mod = code[4] >> 6;
    i->reg = (code[4] >> 3 & 7) | r << 3;
    i->rm = (code[4] & 7) | b << 3;
    const uint8_t *next = code + 5;
    if (i->mod != 3) {
        int base = i->rm;
        if ((code[4] & 7) == 4) {
            int sib = *next++, index = (sib >> 3 & 7) | x << 3;
            base = (sib & 7) | b << 3;
            i->index = index == 4 ? 0 : general(context, index) << (sib >> 6);
            if (i->mod == 0 && (sib & 7) == 5) return 0;
        } else if (i->mod == 0 && (code[4] & 7) == 5) {
            return 0;
        }
        i->base = general(context, base);
        if (i->mod == 1) {
            i->base += (int8_t)*next++;
        } else if (i->mod == 2) {
            int32_t displacement;
            memcpy(&displacement, next, 4);
            i->base += displacement;
            next += 4;
        }
    }
    i->length = (int)(next - code);
    return i->map == 2;
}

static int carry_out(const struct instruction *i) {
    if (i->opcode == 0x49 && i->prefix == 0 && i->mod != 3) {
        martlet_emulated_loadconfig(&registers, (const struct tile_configuration *)(i->base + i->index));
        return LOADCONFIG;
    }
    if (i->opcode == 0x49 && i->prefix == 0) {
        memset(&registers, 0, sizeof registers);
        return RELEASE;
    }
    if (i->opcode == 0x49 && i->prefix == 3 && i->mod == 3) {
        martlet_emulated_zero(&registers, i->reg);
        return ZERO;
    }
    if (i->opcode == 0x4B && i->prefix == 3) {
        martlet_emulated_loadd(&registers, i->reg, (const void *)i->base, i->index);
        return LOADD;
    }
    if (i->opcode == 0x4B && i->prefix == 2) {
        martlet_emulated_stored(&registers, i->reg, (void *)i->base, i->index);
        return STORED;
    }
    if (i->opcode == 0x5C && i->prefix == 2) {
        martlet_emulated_dpbf16ps(&registers, i->reg, i->rm, i->vvvv);
        return DPBF16PS;
    }
    return OTHER;
}

static void on_illegal_instruction(int signal, siginfo_t *info, void *argument) {
    (void)signal;
    (void)info;
    ucontext_t *context = argument;
    struct instruction i;
    const uint8_t *code = (const uint8_t *)context->uc_mcontext.gregs[REG_RIP];
    int kind = decode(code, context, &i) ? carry_out(&i) : OTHER;
    if (kind == OTHER) {
        fprintf(stderr, "no instruction on tiles: %02x %02x %02x %02x %02x\n", code[0], code[1], code[2], code[3], code[4]);
        _Exit(1);
    }
    counts[kind]++;
    context->uc_mcontext.gregs[REG_RIP] += i.length;
}

static float noise(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / 8388608.0f - 1.0f;
}

// One product by both kernels; 1 if they differ.
static int differs(int64_t rows, int64_t columns, int64_t depth, int64_t more, int accumulate) {
    uint32_t state = (uint32_t)(rows * 31 + columns * 7 + depth);
    int64_t step = (depth + 31) / 32 * 512, thin = (more + 31) / 32 * 512, stride = columns + 3;
    size_t blocks = (size_t)((rows + 15) / 16 + (columns + 15) / 16);
    float *source = malloc(sizeof(float) * (size_t)((rows + columns) * (depth + more)));
    uint16_t *tiles = malloc(blocks * (size_t)(step + thin) * 2);
    for (int64_t i = 0; i < (rows + columns) * (depth + more); i++) source[i] = noise(&state);
    uint16_t *left = tiles, *right = left + (rows + 15) / 16 * step;
    uint16_t *left_thin = right + (columns + 15) / 16 * step, *right_thin = left_thin + (rows + 15) / 16 * thin;
    martlet_pack_rows_f32(rows, depth, source, depth, 0, left, step);
    martlet_pack_rows_f32(columns, depth, source + rows * depth, depth, 1, right, step);
    martlet_pack_rows_f32(rows, more, source, depth, 0, left_thin, thin);
    martlet_pack_columns_f32(columns, more, source, columns, 0, right_thin, thin);
    // Every other left operand whose rows are whole tiles wide is read where it lies.
    int64_t apart = depth + 32, padded = (rows + 15) / 16 * 16;
    uint16_t *lying = calloc((size_t)(padded * apart), sizeof *lying);
    for (int64_t r = 0; r < rows; r++) martlet_to_bfloat16(depth, source + r * depth, lying + r * apart);
    struct martlet_tile_operand first = martlet_packed_tiles(left, step);
    if (depth % 32 == 0 && (rows + columns) % 2 == 0)
        first = (struct martlet_tile_operand){.tiles = lying, .block_step = 16 * apart, .depth_step = 32, .row_step = apart};
    // Every third product has its partial sums lie apart.
    float *results[2], *partial = (rows + columns) % 3 == 0 ? malloc(sizeof(float) * (size_t)(rows * columns)) : NULL;
    for (int form = 0; form < 2; form++) {
        results[form] = malloc(sizeof(float) * (size_t)(rows * stride));
        uint32_t start = 5;
        for (int64_t i = 0; i < rows * stride; i++) results[form][i] = noise(&start);
        struct martlet_tile_product product = {
            .operands = {{first, martlet_packed_tiles(right, step), step / 512},
                         {martlet_packed_tiles(left_thin, thin), martlet_packed_tiles(right_thin, thin), thin / 512}},
            .rows = rows, .columns = columns, .result = results[form], .partial = partial, .stride = stride,
            .accumulate = accumulate,
        };
        (form ? martlet_tile_product_amx : martlet_tile_product_emulated)(&product);
    }
    int result = memcmp(results[0], results[1], sizeof(float) * (size_t)(rows * stride)) != 0;
    free(results[0]), free(results[1]), free(partial), free(source), free(tiles), free(lying);
    return result;
}

int main(void) {
    if (martlet_tiles_state() == MARTLET_TILES_READY) {
        puts("this CPU has AMX: TileKernelTests run on it");
        return 0;
    }
    struct sigaction action = {.sa_sigaction = on_illegal_instruction, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGILL, &action, NULL);
    static const int64_t sizes[] = {1, 16, 17, 31, 32, 33, 48, 50, 64, 70}, depths[] = {1, 32, 33, 64, 600, 1300};
    int failures = 0, products = 0;
    for (int r = 0; r < 10; r++)
        for (int c = 0; c < 10; c++)
            for (int d = 0; d < 6; d++, products++) {
                int64_t more = d % 2 ? (depths[d] < 16 ? depths[d] : 16) : 0;
                if (!differs(sizes[r], sizes[c], depths[d], more, (r + c + d) % 2)) continue;
                printf("FAIL %ld x %ld, depth %ld + %ld\n", (long)sizes[r], (long)sizes[c], (long)depths[d], (long)more);
                failures++;
            }
    printf("%d products, %d differ; %ld ldtilecfg, %ld tilerelease, %ld tilezero, %ld tileloadd, %ld tilestored, %ld tdpbf16ps\n",
           products, failures, counts[LOADCONFIG], counts[RELEASE], counts[ZERO], counts[LOADD], counts[STORED], counts[DPBF16PS]);
    return failures != 0 || counts[DPBF16PS] == 0;
}
