/* Matrix products through OpenBLAS, in the calling convention of the kernels. */
#ifndef MARTLET_BLAS_H
#define MARTLET_BLAS_H

#include "martlet_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Tells OpenBLAS to use the calling thread only; the executor owns the threads. Call it once, before any product. */
void martlet_blas_initialize(void);

/* y[b] = op(a[b]) op(b[b]), op a transposition or nothing: [M, K] x [K, N] -> [M, N], phases 2.
 * p: batches M N K  transposeA transposeB  batchedA batchedB (0: one matrix for every batch)
 *
 * Parts take batches, or rows of y; a sum over a long K (a weight gradient) is split over K and merged in order of part. */
size_t martlet_blas_matmul_scratch(const int64_t *p, int32_t parts);
void martlet_blas_matmul(const MartletCall *);

#ifdef __cplusplus
}
#endif
#endif
