/* Looks at flat f32 arrays. */
#ifndef MARTLET_ARRAYS_H
#define MARTLET_ARRAYS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Sum of squares, accumulated in double in a fixed order. */
double martlet_sum_of_squares(const float *x, int64_t n);

/* Index of the first value that is NaN or infinite, or -1. */
int64_t martlet_first_nonfinite(const float *x, int64_t n);

#ifdef __cplusplus
}
#endif
#endif
