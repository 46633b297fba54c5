// One portable C body, compiled for several instruction sets and chosen at run time.
//
//   KERNEL(name, (parameters), (arguments)) { body }
//
// defines martlet_<name>, which calls the _portable, _avx2 or _avx512 copy of the body by martlet_isa().
// The body is plain C that the compiler vectorises for each copy; the portable copy is the reference of the others.
//
// A kernel whose copies need instructions of their own writes the three by hand and adds DISPATCH.
//
//   DECLARE_KERNEL(name, (parameters));
//
// declares all four in a header. ROUNDING_KERNEL and DECLARE_ROUNDING_KERNEL are the same for what rounds to bfloat16, with a
// fourth copy, _avx512_bf16. FLOAT16_KERNEL and DECLARE_FLOAT16_KERNEL are for what computes in float16, with copies for CPUs that
// do (_avx512_fp16) and for all others.
#ifndef MARTLET_VARIANTS_H
#define MARTLET_VARIANTS_H

#include <stdint.h>

// Levels of martlet_isa(), in rising order.
enum {
    MARTLET_ISA_PORTABLE = 0,
    MARTLET_ISA_AVX2 = 1,
    MARTLET_ISA_AVX512 = 2,
    MARTLET_ISA_AVX512_BF16 = 3,
    MARTLET_ISA_AVX512_FP16 = 4,
};

// The instruction set in use: the best one of this CPU unless martlet_select_isa() chose another.
int martlet_isa(void);
// The best level that this CPU and its operating system support.
int martlet_best_isa(void);
// Uses `level` from now on, clipped to what the CPU supports. Call it before other threads run kernels.
void martlet_select_isa(int level);

#define DECLARE_KERNEL(name, parameters)                                                                              \
    void martlet_##name parameters;                                                                                   \
    void martlet_##name##_portable parameters;                                                                        \
    void martlet_##name##_avx2 parameters;                                                                            \
    void martlet_##name##_avx512 parameters

#define DECLARE_ROUNDING_KERNEL(name, parameters)                                                                     \
    DECLARE_KERNEL(name, parameters);                                                                                 \
    void martlet_##name##_avx512_bf16 parameters

#define DECLARE_FLOAT16_KERNEL(name, parameters)                                                                      \
    void martlet_##name parameters;                                                                                   \
    void martlet_##name##_portable parameters;                                                                        \
    void martlet_##name##_avx512_fp16 parameters

#if defined(__x86_64__)
#define MARTLET_TARGET_AVX2 __attribute__((target("avx2,fma,f16c")))
#define MARTLET_TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")))
#define MARTLET_TARGET_AVX512_BF16 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,f16c,avx512bf16")))
#define MARTLET_TARGET_AVX512_FP16                                                                                    \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,f16c,avx512bf16,avx512fp16")))
#else
#define MARTLET_TARGET_AVX2
#define MARTLET_TARGET_AVX512
#define MARTLET_TARGET_AVX512_BF16
#define MARTLET_TARGET_AVX512_FP16
#endif

#define MARTLET_INLINE static inline __attribute__((always_inline))

// For a loop whose output may be one of its inputs: element i of the output needs only elements i. Without it the compiler
// takes the slow way as soon as the two are the same.
#define SAME_OR_APART _Pragma("clang loop vectorize(assume_safety)")

// Defines martlet_<name>, which calls one of the copies: of three, or of four.
#define DISPATCH(name, parameters, arguments) DISPATCH_UP_TO(avx512, name, parameters, arguments)
#define DISPATCH_ROUNDING(name, parameters, arguments) DISPATCH_UP_TO(avx512_bf16, name, parameters, arguments)
#define DISPATCH_UP_TO(best, name, parameters, arguments)                                                             \
    void martlet_##name parameters {                                                                                  \
        switch (martlet_isa()) {                                                                                      \
        case MARTLET_ISA_AVX512_FP16:                                                                                 \
        case MARTLET_ISA_AVX512_BF16: martlet_##name##_##best arguments; break;                                       \
        case MARTLET_ISA_AVX512: martlet_##name##_avx512 arguments; break;                                            \
        case MARTLET_ISA_AVX2: martlet_##name##_avx2 arguments; break;                                                \
        default: martlet_##name##_portable arguments;                                                                 \
        }                                                                                                             \
    }

#define KERNEL(name, parameters, arguments)                                                                           \
    MARTLET_INLINE void name##_body parameters;                                                                       \
    void martlet_##name##_portable parameters { name##_body arguments; }                                              \
    MARTLET_TARGET_AVX2 void martlet_##name##_avx2 parameters { name##_body arguments; }                              \
    MARTLET_TARGET_AVX512 void martlet_##name##_avx512 parameters { name##_body arguments; }                          \
    DISPATCH(name, parameters, arguments)                                                                             \
    MARTLET_INLINE void name##_body parameters

// The same for a body that reads `level`, a constant in each copy: how many rows fit the registers, which copy of another
// kernel to call.
#define MARTLET_UNWRAPPED(...) __VA_ARGS__
#define KERNEL_BY_LEVEL(name, parameters, arguments)                                                                  \
    COPIES_BY_LEVEL(name, parameters, arguments)                                                                      \
    DISPATCH(name, parameters, arguments)                                                                             \
    MARTLET_INLINE void name##_body(int level, MARTLET_UNWRAPPED parameters)

#define COPIES_BY_LEVEL(name, parameters, arguments)                                                                  \
    MARTLET_INLINE void name##_body(int level, MARTLET_UNWRAPPED parameters);                                         \
    COPY_AT_LEVEL(, name, portable, PORTABLE, parameters, arguments)                                                  \
    COPY_AT_LEVEL(MARTLET_TARGET_AVX2, name, avx2, AVX2, parameters, arguments)                                       \
    COPY_AT_LEVEL(MARTLET_TARGET_AVX512, name, avx512, AVX512, parameters, arguments)

#define COPY_AT_LEVEL(target, name, copy, isa, parameters, arguments)                                                 \
    target void martlet_##name##_##copy parameters { name##_body(MARTLET_ISA_##isa, MARTLET_UNWRAPPED arguments); }

// The same for a body that rounds to bfloat16, for which some CPUs have instructions.
#define ROUNDING_KERNEL(name, parameters, arguments)                                                                  \
    COPIES_BY_LEVEL(name, parameters, arguments)                                                                      \
    COPY_AT_LEVEL(MARTLET_TARGET_AVX512_BF16, name, avx512_bf16, AVX512_BF16, parameters, arguments)                  \
    DISPATCH_ROUNDING(name, parameters, arguments)                                                                    \
    MARTLET_INLINE void name##_body(int level, MARTLET_UNWRAPPED parameters)

// The same for a body that computes in float16, with copies for CPUs that do and for all others; not all read `level`.
#define FLOAT16_KERNEL(name, parameters, arguments)                                                                   \
    MARTLET_INLINE void name##_body(int level, MARTLET_UNWRAPPED parameters);                                         \
    COPY_AT_LEVEL(, name, portable, PORTABLE, parameters, arguments)                                                  \
    COPY_AT_LEVEL(MARTLET_TARGET_AVX512_FP16, name, avx512_fp16, AVX512_FP16, parameters, arguments)                  \
    void martlet_##name parameters {                                                                                  \
        if (martlet_isa() == MARTLET_ISA_AVX512_FP16) return martlet_##name##_avx512_fp16 arguments;                  \
        martlet_##name##_portable arguments;                                                                          \
    }                                                                                                                 \
    MARTLET_INLINE void name##_body(__attribute__((unused)) int level, MARTLET_UNWRAPPED parameters)

// In a body that reads `level`: the copy of another kernel, and of another rounding kernel, for the same level.
#define CALL_AT_LEVEL(name, ...)                                                                                      \
    (level >= MARTLET_ISA_AVX512 ? martlet_##name##_avx512(__VA_ARGS__)                                               \
     : level == MARTLET_ISA_AVX2 ? martlet_##name##_avx2(__VA_ARGS__)                                                 \
                                 : martlet_##name##_portable(__VA_ARGS__))
#define CALL_ROUNDING_AT_LEVEL(name, ...)                                                                             \
    (level >= MARTLET_ISA_AVX512_BF16 ? martlet_##name##_avx512_bf16(__VA_ARGS__)                                     \
                                      : CALL_AT_LEVEL(name, __VA_ARGS__))
#define CALL_FLOAT16_AT_LEVEL(name, ...)                                                                              \
    (level == MARTLET_ISA_AVX512_FP16 ? martlet_##name##_avx512_fp16(__VA_ARGS__) : martlet_##name##_portable(__VA_ARGS__))

#endif
