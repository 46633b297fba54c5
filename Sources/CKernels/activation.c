#include "kernels.h"
#include "exponential.h"

MARTLET_INLINE float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

KERNEL(silu_gate_forward, (int64_t count, const float *gate, const float *up, float *y), (count, gate, up, y)) {
    SIDE_BY_SIDE for (int64_t i = 0; i < count; i++) y[i] = gate[i] * sigmoid(gate[i]) * up[i];
}

// silu'(g) = s + g s (1 - s) with s = sigmoid(g)
KERNEL(silu_gate_backward,
       (int64_t count, const float *gate, const float *up, const float *dy, float *d_gate, float *d_up),
       (count, gate, up, dy, d_gate, d_up)) {
    SAME_OR_APART
    SIDE_BY_SIDE for (int64_t i = 0; i < count; i++) {
        float g = gate[i], u = up[i], s = sigmoid(g);
        d_gate[i] = dy[i] * u * (s + g * s * (1.0f - s));
        d_up[i] = dy[i] * g * s;
    }
}

// 0.5 x (1 + tanh(u)) = x sigmoid(2u), u = sqrt(2 / pi) (x + 0.044715 x^3); a = 2 sqrt(2 / pi), b = 0.044715 a
#define GELU_A 1.5957691216057308f
#define GELU_B 0.0713548162726009f

KERNEL(gelu_gate_forward, (int64_t count, const float *gate, const float *up, float *y), (count, gate, up, y)) {
    SIDE_BY_SIDE for (int64_t i = 0; i < count; i++) {
        float g = gate[i];
        y[i] = g * sigmoid(g * (GELU_A + GELU_B * g * g)) * up[i];
    }
}

// gelu'(g) = s + g s (1 - s) (a + 3 b g^2); far out 1 - s or s is exactly 0, but g^3 may be infinite
KERNEL(gelu_gate_backward,
       (int64_t count, const float *gate, const float *up, const float *dy, float *d_gate, float *d_up),
       (count, gate, up, dy, d_gate, d_up)) {
    SAME_OR_APART
    SIDE_BY_SIDE for (int64_t i = 0; i < count; i++) {
        float g = gate[i], u = up[i], s = sigmoid(g * (GELU_A + GELU_B * g * g));
        float near = g < -30.0f ? -30.0f : g;
        near = near > 30.0f ? 30.0f : near;
        d_gate[i] = dy[i] * u * (s + near * s * (1.0f - s) * (GELU_A + 3.0f * GELU_B * near * near));
        d_up[i] = dy[i] * g * s;
    }
}

KERNEL(clamped_gate_forward,
       (int64_t count, float alpha, float limit, const float *gate, const float *up, float *y),
       (count, alpha, limit, gate, up, y)) {
    SIDE_BY_SIDE for (int64_t i = 0; i < count; i++) {
        float g = gate[i] > limit ? limit : gate[i], u = up[i] > limit ? limit : up[i];
        u = u < -limit ? -limit : u;
        y[i] = g * sigmoid(alpha * g) * (u + 1.0f);
    }
}

KERNEL(clamped_gate_backward,
       (int64_t count, float alpha, float limit, const float *gate, const float *up, const float *dy, float *d_gate,
        float *d_up),
       (count, alpha, limit, gate, up, dy, d_gate, d_up)) {
    SAME_OR_APART
    SIDE_BY_SIDE for (int64_t i = 0; i < count; i++) {
        float g = gate[i] > limit ? limit : gate[i], u = up[i] > limit ? limit : up[i];
        u = u < -limit ? -limit : u;
        float s = sigmoid(alpha * g), slope = dy[i] * (u + 1.0f) * (s + alpha * g * s * (1.0f - s));
        float beside = dy[i] * g * s;
        d_gate[i] = gate[i] > limit ? 0.0f : slope;
        d_up[i] = up[i] > limit || up[i] < -limit ? 0.0f : beside;
    }
}

KERNEL(soft_cap, (int64_t count, float scale, float cap, float *x, float *slope), (count, scale, cap, x, slope)) {
    float factor = scale / cap;
    if (slope) {
        SIDE_BY_SIDE for (int64_t i = 0; i < count; i++) {
            float t = hyperbolic_tangent(factor * x[i]);
            x[i] = cap * t;
            slope[i] = scale * (1.0f - t * t);
        }
    } else {
        SIDE_BY_SIDE for (int64_t i = 0; i < count; i++) x[i] = cap * hyperbolic_tangent(factor * x[i]);
    }
}
