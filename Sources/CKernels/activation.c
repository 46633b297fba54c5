#include "bfloat16.h"
#include "exponential.h"
#include "kernels.h"

// --- Gated activations: a function of two numbers, and the derivatives times that of the result ----------------------

MARTLET_INLINE float silu_gate(float g, float u) { return g * sigmoid(g) * u; }

// silu'(g) = s + g s (1 - s) with s = sigmoid(g)
MARTLET_INLINE void silu_gate_slopes(float g, float u, float dy, float *d_gate, float *d_up) {
    float s = sigmoid(g);
    *d_gate = dy * u * (s + g * s * (1.0f - s));
    *d_up = dy * g * s;
}

// 0.5 x (1 + tanh(u)) = x sigmoid(2u), u = sqrt(2 / pi) (x + 0.044715 x^3); a = 2 sqrt(2 / pi), b = 0.044715 a
#define GELU_A 1.5957691216057308f
#define GELU_B 0.0713548162726009f

MARTLET_INLINE float gelu_gate(float g, float u) { return g * sigmoid(g * (GELU_A + GELU_B * g * g)) * u; }

// gelu'(g) = s + g s (1 - s) (a + 3 b g^2); far out 1 - s or s is exactly 0, but g^3 may be infinite
MARTLET_INLINE void gelu_gate_slopes(float g, float u, float dy, float *d_gate, float *d_up) {
    float s = sigmoid(g * (GELU_A + GELU_B * g * g));
    float near = g < -30.0f ? -30.0f : g;
    near = near > 30.0f ? 30.0f : near;
    *d_gate = dy * u * (s + near * s * (1.0f - s) * (GELU_A + 3.0f * GELU_B * near * near));
    *d_up = dy * g * s;
}

MARTLET_INLINE float clamped_gate(float gate, float up, float alpha, float limit) {
    float g = gate > limit ? limit : gate, u = up > limit ? limit : up;
    u = u < -limit ? -limit : u;
    return g * sigmoid(alpha * g) * (u + 1.0f);
}

MARTLET_INLINE void clamped_gate_slopes(float gate, float up, float dy, float *d_gate, float *d_up, float alpha,
                                        float limit) {
    float g = gate > limit ? limit : gate, u = up > limit ? limit : up;
    u = u < -limit ? -limit : u;
    float s = sigmoid(alpha * g), slope = dy * (u + 1.0f) * (s + alpha * g * s * (1.0f - s));
    float beside = dy * g * s;
    *d_gate = gate > limit ? 0.0f : slope;
    *d_up = up > limit || up < -limit ? 0.0f : beside;
}

#define SAME(value) value
#define HALF(value) (uint16_t)bfloat16_bits_at(level, value)

// Both directions over numbers of a type; `parameters` and `arguments` are what the function takes besides.
#define GATE_KERNELS(DEFINE, function, suffix, number, READ, WRITE, parameters, arguments)                            \
    DEFINE(function##_forward##suffix,                                                                                \
           (int64_t count MARTLET_UNWRAPPED parameters, const number *gate, const number *up, number *y),             \
           (count MARTLET_UNWRAPPED arguments, gate, up, y)) {                                                        \
        SAME_OR_APART                                                                                                 \
        SIDE_BY_SIDE for (int64_t i = 0; i < count; i++)                                                              \
            y[i] = WRITE(function(READ(gate[i]), READ(up[i]) MARTLET_UNWRAPPED arguments));                           \
    }                                                                                                                 \
    DEFINE(function##_backward##suffix,                                                                               \
           (int64_t count MARTLET_UNWRAPPED parameters, const number *gate, const number *up, const number *dy,       \
            number *d_gate, number *d_up),                                                                            \
           (count MARTLET_UNWRAPPED arguments, gate, up, dy, d_gate, d_up)) {                                         \
        SAME_OR_APART                                                                                                 \
        SIDE_BY_SIDE for (int64_t i = 0; i < count; i++) {                                                            \
            float of_gate, of_up;                                                                                     \
            function##_slopes(READ(gate[i]), READ(up[i]), READ(dy[i]), &of_gate, &of_up MARTLET_UNWRAPPED arguments); \
            d_gate[i] = WRITE(of_gate);                                                                               \
            d_up[i] = WRITE(of_up);                                                                                   \
        }                                                                                                             \
    }

#define GATE(function, parameters, arguments)                                                                         \
    GATE_KERNELS(KERNEL, function, , float, SAME, SAME, parameters, arguments)                                        \
    GATE_KERNELS(ROUNDING_KERNEL, function, _bf16, uint16_t, widened, HALF, parameters, arguments)

GATE(silu_gate, (), ())
GATE(gelu_gate, (), ())
GATE(clamped_gate, (, float alpha, float limit), (, alpha, limit))

KERNEL(soft_cap, (int64_t count, float cap, float *x), (count, cap, x)) {
    SIDE_BY_SIDE for (int64_t i = 0; i < count; i++) x[i] = cap * hyperbolic_tangent(x[i] / cap);
}
