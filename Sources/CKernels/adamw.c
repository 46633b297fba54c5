#include "kernels.h"

// Without errno, which keeps the library's root from being vectorised.
MARTLET_INLINE float root(float x) { return __builtin_elementwise_sqrt(x); }

KERNEL(adamw,
       (int64_t count, const struct martlet_adamw *settings, const float *gradient, float *parameter, float *m,
        float *v),
       (count, settings, gradient, parameter, m, v)) {
    const struct martlet_adamw s = *settings;
    const float decay = 1.0f - s.learning_rate * s.weight_decay, root2 = root(s.correction2);
    const float step = s.learning_rate / s.correction1;
    for (int64_t i = 0; i < count; i++) {
        float g = gradient[i] * s.gradient_scale;
        m[i] = s.beta1 * m[i] + (1.0f - s.beta1) * g;
        v[i] = s.beta2 * v[i] + (1.0f - s.beta2) * g * g;
        parameter[i] = parameter[i] * decay - step * m[i] / (root(v[i]) / root2 + s.epsilon);
    }
}
