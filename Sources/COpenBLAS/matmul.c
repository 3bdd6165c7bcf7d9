#include "martlet_blas.h"

#include <cblas.h>
#include <string.h>

void martlet_blas_initialize(void) { openblas_set_num_threads(1); }

static int splits_sum(const int64_t *p) {
    int64_t larger = p[1] > p[2] ? p[1] : p[2];
    return p[0] == 1 && p[3] >= 512 && p[3] >= 2 * larger && p[1] * p[2] <= 1 << 18;
}

size_t martlet_blas_matmul_scratch(const int64_t *p, int32_t parts) {
    return splits_sum(p) ? (size_t)parts * (size_t)((p[1] * p[2] + 15) / 16 * 16) * sizeof(float) : 0;
}

static int64_t share(int64_t n, int64_t grain, int64_t part, int64_t parts) {
    int64_t at = (n + grain - 1) / grain * part / parts * grain;
    return at < n ? at : n;
}

/* y[M, N] = a b over K, row m of op(a) starting at a + m (transposed) or a + m K. */
static void product(const int64_t *p, int64_t M, int64_t K, const float *a, const float *b, float *y) {
    if (M <= 0) return;
    if (K <= 0) {
        memset(y, 0, (size_t)(M * p[2]) * sizeof(float));
        return;
    }
    cblas_sgemm(CblasRowMajor, p[4] ? CblasTrans : CblasNoTrans, p[5] ? CblasTrans : CblasNoTrans, (blasint)M, (blasint)p[2], (blasint)K, 1,
                a, (blasint)(p[4] ? p[1] : p[3]), b, (blasint)(p[5] ? p[3] : p[2]), 0, y, (blasint)p[2]);
}

void martlet_blas_matmul(const MartletCall *call) {
    const int64_t *p = call->p;
    int64_t batches = p[0], M = p[1], N = p[2], K = p[3], part = call->part, parts = call->parts;
    const float *a = call->in[0], *b = call->in[1];
    float *y = call->out[0];
    if (splits_sum(p)) {
        int64_t each = (M * N + 15) / 16 * 16;
        float *partial = call->scratch;
        if (call->phase == 0) {
            int64_t from = share(K, 16, part, parts), to = share(K, 16, part + 1, parts);
            product(p, M, to - from, a + from * (p[4] ? M : 1), b + from * (p[5] ? 1 : N), partial + part * each);
        } else {
            for (int64_t i = share(M * N, 16, part, parts); i < share(M * N, 16, part + 1, parts); i++) {
                float sum = 0;
                for (int64_t j = 0; j < parts; j++) sum += partial[j * each + i];
                y[i] = sum;
            }
        }
        return;
    }
    if (call->phase) return;
    if (batches >= parts && batches > 1) {
        for (int64_t i = share(batches, 1, part, parts); i < share(batches, 1, part + 1, parts); i++)
            product(p, M, K, a + (p[6] ? i * M * K : 0), b + (p[7] ? i * K * N : 0), y + i * M * N);
        return;
    }
    int64_t from = share(M, 4, part, parts), to = share(M, 4, part + 1, parts);
    for (int64_t i = 0; i < batches; i++)
        product(p, to - from, K, a + (p[6] ? i * M * K : 0) + from * (p[4] ? 1 : K), b + (p[7] ? i * K * N : 0), y + (i * M + from) * N);
}
