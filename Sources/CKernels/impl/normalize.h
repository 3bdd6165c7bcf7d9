/* Batch normalisation of M rows of C channels. Sums are of x less its first row, so that a large mean does not cancel, in f32
 * over at most 256 wide rows and in f64 from there. */
typedef struct Sums {
    double *first, *second; /* [C] each, of one part */
} Sums;

INLINE Sums part_sums(const MartletCall *call, int64_t C, int64_t part) {
    double *s = (double *)call->scratch + part * 2 * round_up(C, 8);
    return (Sums){s, s + round_up(C, 8)};
}

/* Per-part workspace of `count` wide rows behind the sums. */
INLINE float *part_wide(const MartletCall *call, int64_t C) {
    return (float *)((double *)call->scratch + call->parts * 2 * round_up(C, 8)) + call->part * MARTLET_NORM_ROWS * round_up(MARTLET_WIDE_OF(C), 16);
}

INLINE void repeat_row(const float *row, int64_t C, int64_t rows, float *to) {
    for (int64_t r = 0; r < rows; r++) memcpy(to + r * C, row, (size_t)C * sizeof(float));
}

/* sum of (x - shift) and (x - shift)^2, or of dy and dy (x - shift), by channel; this part's rows. */
static void channel_sums(const MartletCall *call, const float *x, const float *dy, const float *shift, int64_t M, int64_t C) {
    int64_t R = wide_rows(C), W = R * C, padded = round_up(MARTLET_WIDE_OF(C), 16);
    Sums sums = part_sums(call, C, call->part);
    float *restrict k = part_wide(call, C), *restrict a = k + padded, *restrict b = a + padded;
    for (int64_t c = 0; c < C; c++) sums.first[c] = sums.second[c] = 0;
    repeat_row(shift, C, R, k);
    Span s = span_of(call, M, R);
    for (int64_t m = s.from; m < s.to;) {
        int64_t stop = min64(s.to, m + 256 * R);
        memset(a, 0, (size_t)W * sizeof(float));
        memset(b, 0, (size_t)W * sizeof(float));
        while (m < stop) {
            int64_t left = stop - m;
            if (left >= 4 * R) {
                const float *restrict x0 = x + m * C, *restrict x1 = x0 + W, *restrict x2 = x1 + W, *restrict x3 = x2 + W;
                if (dy) {
                    const float *restrict d0 = dy + m * C, *restrict d1 = d0 + W, *restrict d2 = d1 + W, *restrict d3 = d2 + W;
                    for (int64_t c = 0; c < W; c++) {
                        a[c] += (d0[c] + d1[c]) + (d2[c] + d3[c]);
                        b[c] += d0[c] * (x0[c] - k[c]) + d1[c] * (x1[c] - k[c]) + d2[c] * (x2[c] - k[c]) + d3[c] * (x3[c] - k[c]);
                    }
                } else {
                    for (int64_t c = 0; c < W; c++) {
                        float u0 = x0[c] - k[c], u1 = x1[c] - k[c], u2 = x2[c] - k[c], u3 = x3[c] - k[c];
                        a[c] += (u0 + u1) + (u2 + u3);
                        b[c] += (u0 * u0 + u1 * u1) + (u2 * u2 + u3 * u3);
                    }
                }
                m += 4 * R;
            } else {
                int64_t rows = min64(left, R), width = rows * C;
                const float *restrict x0 = x + m * C, *restrict d0 = dy ? dy + m * C : 0;
                for (int64_t c = 0; c < width; c++) {
                    float u = x0[c] - k[c], g = d0 ? d0[c] : u;
                    a[c] += g;
                    b[c] += g * u;
                }
                m += rows;
            }
        }
        for (int64_t r = 0; r < R; r++)
            for (int64_t c = 0; c < C; c++) {
                sums.first[c] += (double)a[r * C + c];
                sums.second[c] += (double)b[r * C + c];
            }
    }
}

/* y = x * scale + shift over this part's rows (and y = dy * scale + (x - centre) * slope + shift when dy is given). */
static void channel_apply(const MartletCall *call, const float *x, const float *dy, const float *scale, const float *shift,
                          const float *slope, const float *centre, float *y, int64_t M, int64_t C, int64_t R) {
    int64_t W = R * C;
    Span s = span_of(call, M, R);
    for (int64_t m = s.from; m < s.to; m += R) {
        int64_t width = min64(R, s.to - m) * C;
        const float *restrict x0 = x + m * C;
        float *restrict y0 = y + m * C;
        if (width == W && !dy) {
            for (int64_t c = 0; c < W; c++) y0[c] = x0[c] * scale[c] + shift[c];
        } else if (!dy) {
            for (int64_t c = 0; c < width; c++) y0[c] = x0[c] * scale[c] + shift[c];
        } else {
            const float *restrict d0 = dy + m * C;
            for (int64_t c = 0; c < width; c++) y0[c] = d0[c] * scale[c] + ((x0[c] - centre[c]) * slope[c] + shift[c]);
        }
    }
}

static void batch_norm_training(const MartletCall *call) {
    int64_t M = call->p[0], C = call->p[1], R = wide_rows(C), padded = round_up(MARTLET_WIDE_OF(C), 16);
    const float *x = call->in[0];
    if (call->phase == 0) {
        channel_sums(call, x, 0, x, M, C);
        return;
    }
    const float *gain = call->p[2] ? call->in[1] : 0, *bias = call->p[2] ? call->in[2] : 0;
    float *mean = call->out[1], *variance = call->out[2], *k = part_wide(call, C), *a = k + padded, *b = a + padded;
    for (int64_t c = 0; c < C; c++) {
        double first = 0, second = 0;
        for (int64_t i = 0; i < call->parts; i++) {
            Sums sums = part_sums(call, C, i);
            first += sums.first[c];
            second += sums.second[c];
        }
        double shifted = first / (double)M, mu = shifted + (double)x[c], var = second / (double)M - shifted * shifted;
        if (var < 0) var = 0;
        if (call->part == 0) {
            mean[c] = (float)mu;
            variance[c] = (float)var;
        }
        double scale = (gain ? (double)gain[c] : 1.0) / sqrt(var + call->f[0]);
        a[c] = (float)scale;
        b[c] = (float)((bias ? (double)bias[c] : 0.0) - mu * scale);
    }
    for (int64_t r = 1; r < R; r++) {
        memcpy(a + r * C, a, (size_t)C * sizeof(float));
        memcpy(b + r * C, b, (size_t)C * sizeof(float));
    }
    channel_apply(call, x, 0, a, b, 0, 0, call->out[0], M, C, R);
}

static void batch_norm_gradient(const MartletCall *call) {
    int64_t M = call->p[0], C = call->p[1], R = wide_rows(C), padded = round_up(MARTLET_WIDE_OF(C), 16);
    const float *x = call->in[0], *dy = call->in[1], *mean = call->in[2], *variance = call->in[3];
    const float *gain = call->p[2] ? call->in[4] : 0;
    if (call->phase == 0) {
        channel_sums(call, x, dy, mean, M, C);
        return;
    }
    float *dgain = call->p[2] ? call->out[1] : 0, *dbias = call->p[2] ? call->out[2] : 0;
    float *a = part_wide(call, C), *b = a + padded, *d = b + padded, *k = d + padded;
    for (int64_t c = 0; c < C; c++) {
        double first = 0, second = 0;
        for (int64_t i = 0; i < call->parts; i++) {
            Sums sums = part_sums(call, C, i);
            first += sums.first[c];
            second += sums.second[c];
        }
        double rstd = 1 / sqrt((double)variance[c] + call->f[0]), scale = (gain ? (double)gain[c] : 1.0) * rstd;
        if (call->part == 0 && dgain) {
            dgain[c] = (float)(second * rstd);
            dbias[c] = (float)first;
        }
        a[c] = (float)scale;
        b[c] = (float)(-scale * second * rstd * rstd / (double)M);
        d[c] = (float)(-scale * first / (double)M);
        k[c] = mean[c];
    }
    for (int64_t r = 1; r < R; r++)
        for (int64_t i = 0; i < 4; i++) memcpy(a + i * padded + r * C, a + i * padded, (size_t)C * sizeof(float));
    channel_apply(call, x, dy, a, d, b, k, call->out[0], M, C, R);
}

static void batch_norm_inference(const MartletCall *call) {
    int64_t M = call->p[0], C = call->p[1], R = wide_rows(C), padded = round_up(MARTLET_WIDE_OF(C), 16);
    const float *mean = call->in[1], *variance = call->in[2];
    const float *gain = call->p[2] ? call->in[3] : 0, *bias = call->p[2] ? call->in[4] : 0;
    float *a = part_wide(call, C), *b = a + padded;
    for (int64_t c = 0; c < C; c++) {
        double scale = (gain ? (double)gain[c] : 1.0) / sqrt((double)variance[c] + call->f[0]);
        a[c] = (float)scale;
        b[c] = (float)((bias ? (double)bias[c] : 0.0) - (double)mean[c] * scale);
    }
    for (int64_t r = 1; r < R; r++) {
        memcpy(a + r * C, a, (size_t)C * sizeof(float));
        memcpy(b + r * C, b, (size_t)C * sizeof(float));
    }
    channel_apply(call, call->in[0], 0, a, b, 0, 0, call->out[0], M, C, R);
}
