#include "martlet_optimizer.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

double martlet_sum_of_squares(const float *x, int64_t n) {
    /* Eight running sums vectorise without reassociating anything the compiler was not told to. */
    double s[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++) s[k] += (double)x[i + k] * (double)x[i + k];
    for (; i < n; i++) s[0] += (double)x[i] * (double)x[i];
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

void martlet_sgd(float *restrict w, float *restrict velocity, const float *restrict g, int64_t n, float rate,
                 float momentum, int32_t nesterov, float decay, float scale) {
    if (velocity == NULL || momentum == 0) {
        for (int64_t i = 0; i < n; i++) w[i] -= rate * (scale * g[i] + decay * w[i]);
    } else if (nesterov) {
        for (int64_t i = 0; i < n; i++) {
            float d = scale * g[i] + decay * w[i];
            float v = momentum * velocity[i] + d;
            velocity[i] = v;
            w[i] -= rate * (d + momentum * v);
        }
    } else {
        for (int64_t i = 0; i < n; i++) {
            float v = momentum * velocity[i] + (scale * g[i] + decay * w[i]);
            velocity[i] = v;
            w[i] -= rate * v;
        }
    }
}

void martlet_adam(float *restrict w, float *restrict m, float *restrict v, const float *restrict g, int64_t n,
                  float rate, float beta1, float beta2, float epsilon, float c1, float c2, float l2, float decay,
                  float scale) {
    const float step = rate / c1, root = 1 / sqrtf(c2), keep = 1 - rate * decay;
    for (int64_t i = 0; i < n; i++) {
        float d = scale * g[i] + l2 * w[i];
        float a = beta1 * m[i] + (1 - beta1) * d;
        float b = beta2 * v[i] + (1 - beta2) * d * d;
        m[i] = a;
        v[i] = b;
        w[i] = keep * w[i] - step * a / (sqrtf(b) * root + epsilon);
    }
}

void martlet_average(float *restrict average, const float *restrict x, int64_t n, float decay) {
    for (int64_t i = 0; i < n; i++) average[i] += (1 - decay) * (x[i] - average[i]);
}

int64_t martlet_first_nonfinite(const float *x, int64_t n) {
    for (int64_t start = 0; start < n; start += 1024) {
        int64_t end = start + 1024 < n ? start + 1024 : n;
        uint32_t found = 0;
        for (int64_t i = start; i < end; i++) {
            uint32_t bits;
            memcpy(&bits, &x[i], sizeof bits);
            found |= (bits & 0x7f800000u) == 0x7f800000u;
        }
        if (found)
            for (int64_t i = start; i < end; i++)
                if (!isfinite(x[i])) return i;
    }
    return -1;
}
