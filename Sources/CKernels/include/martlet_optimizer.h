/* Updates of flat f32 arrays. Each touches only the arrays it is given. */
#ifndef MARTLET_OPTIMIZER_H
#define MARTLET_OPTIMIZER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Sum of squares, accumulated in double in a fixed order. */
double martlet_sum_of_squares(const float *x, int64_t n);

/* d = scale * g + decay * w;  v = momentum * v + d;  w -= rate * (nesterov ? d + momentum * v : v).
 * velocity may be NULL when momentum is 0. */
void martlet_sgd(float *w, float *velocity, const float *g, int64_t n, float rate, float momentum, int32_t nesterov,
                 float decay, float scale);

/* Adam with bias corrections c1 = 1 - beta1^t, c2 = 1 - beta2^t. l2 joins the gradient; decoupled decay shrinks w by
 * rate * decay before the update. */
void martlet_adam(float *w, float *m, float *v, const float *g, int64_t n, float rate, float beta1, float beta2,
                  float epsilon, float c1, float c2, float l2, float decay, float scale);

/* average += (1 - decay) * (x - average). */
void martlet_average(float *average, const float *x, int64_t n, float decay);

/* Index of the first value that is NaN or infinite, or -1. */
int64_t martlet_first_nonfinite(const float *x, int64_t n);

#ifdef __cplusplus
}
#endif
#endif
