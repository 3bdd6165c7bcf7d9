/* Sums of normalised tensors, their gradients, and the coefficients of normalisation itself. */

/* ---- moments of what no fused kernel has made ---- */

static void channel_moments(const MartletCall *call) {
    int64_t M = call->p[0], C = call->p[1], rows = 64 * wide_rows(C), each = totals_size(C);
    float *totals = call->scratch;
    if (call->phase == 1) {
        totals_moments(call, totals, each, C, call->out[0], call->out[1]);
        return;
    }
    Totals t = totals_at(totals + call->part * each, C);
    Span s = span_of(call, M, wide_rows(C));
    const float *x = call->in[0];
    totals_start(&t, s.to > s.from ? x + s.from * C : 0, C);
    for (int64_t m = s.from; m < s.to; m += rows) {
        int64_t n = min64(rows, s.to - m);
        add_moments(x + m * C, t.centre, t.first, t.second, n * C, WIDE(C));
        totals_flush(&t, n, C);
    }
}

/* ---- coefficients ---- */

static void batch_norm_scale(const MartletCall *call) {
    int64_t C = call->p[0];
    const float *mean = call->in[0], *variance = call->in[1];
    const float *gain = call->p[1] ? call->in[2] : 0, *bias = call->p[1] ? call->in[3] : 0;
    float *scale = call->out[0], *shift = call->out[1];
    for (int64_t c = 0; c < C; c++) {
        double a = (gain ? (double)gain[c] : 1.0) / sqrt((double)variance[c] + call->f[0]);
        scale[c] = (float)a;
        shift[c] = (float)((bias ? (double)bias[c] : 0.0) - (double)mean[c] * a);
    }
}

static void batch_norm_gradient_scale(const MartletCall *call) {
    int64_t C = call->p[0], affine = call->p[1], rows = call->p[2], K = call->p[3];
    const int64_t *parts = call->p + 4;
    const float *mean = call->in[K], *variance = call->in[K + 1], *gain = affine ? call->in[K + 2] : 0;
    float *b = call->out[K], *d = call->out[K + 1];
    for (int64_t c = 0; c < C; c++) {
        double rstd = 1 / sqrt((double)variance[c] + call->f[0]), scale = (gain ? (double)gain[c] : 1.0) * rstd;
        double sum = 0, product = 0;
        for (int64_t k = 0, in = K + 2 + affine; k < K; k++) {
            const float *sums = call->in[k];
            int64_t weight = parts[2 * k + 1];
            double w = weight < 0 ? 1.0 : (double)((const float *)call->in[in++])[weight];
            sum += w * (double)sums[c];
            product += w * (double)sums[parts[2 * k] * C + c];
            ((float *)call->out[k])[c] = (float)(w * scale);
        }
        double slope = -scale * product * rstd * rstd / (double)rows;
        b[c] = (float)slope;
        d[c] = (float)(-scale * sum / (double)rows - slope * (double)mean[c]);
        if (affine) {
            ((float *)call->out[K + 2])[c] = (float)(product * rstd);
            ((float *)call->out[K + 3])[c] = (float)sum;
        }
    }
}

/* ---- y = act(sum of w_k (scale_k x_k + shift_k)) ---- */

enum { TERM_SCALED = 1, TERM_WEIGHTED = 2 };

#define DEFINE_SUM(NAME, KIND)                                                                                               \
    APART void sum_##NAME(const float *const *x, const float *restrict a, const float *restrict b, int64_t K, Act act,       \
                          float *restrict y, int64_t n, int64_t W) {                                                         \
        V low = vdup(act.low), high = vdup(act.high);                                                                        \
        int64_t i = 0;                                                                                                       \
        for (; i + 4 * W <= n; i += 4 * W)                                                                                   \
            for (int64_t c = 0; c < W; c += VL) {                                                                            \
                V s0 = vload(b + c), s1 = s0, s2 = s0, s3 = s0;                                                              \
                for (int64_t k = 0; k < K; k++) {                                                                            \
                    const float *restrict from = x[k] + i + c;                                                               \
                    V w = vload(a + k * W + c);                                                                              \
                    s0 += w * vload(from);                                                                                   \
                    s1 += w * vload(from + W);                                                                               \
                    s2 += w * vload(from + 2 * W);                                                                           \
                    s3 += w * vload(from + 3 * W);                                                                           \
                }                                                                                                            \
                vstore(y + i + c, vactivate(s0, KIND, low, high));                                                           \
                vstore(y + i + c + W, vactivate(s1, KIND, low, high));                                                       \
                vstore(y + i + c + 2 * W, vactivate(s2, KIND, low, high));                                                   \
                vstore(y + i + c + 3 * W, vactivate(s3, KIND, low, high));                                                   \
            }                                                                                                                \
        for (; i < n; i += W)                                                                                                \
            for (int64_t c = 0; c < min64(W, n - i); c += VL) {                                                              \
                int64_t lanes = n - i - c;                                                                                   \
                V s = vload(b + c);                                                                                          \
                for (int64_t k = 0; k < K; k++) s += vload(a + k * W + c) * vload_part(x[k] + i + c, lanes);                 \
                vstore_part(y + i + c, vactivate(s, KIND, low, high), lanes);                                                \
            }                                                                                                                \
    }
DEFINE_SUM(none, ACT_NONE)
DEFINE_SUM(relu, ACT_RELU)
DEFINE_SUM(clip, ACT_CLIP)
DEFINE_SUM(hswish, ACT_HARD_SWISH)
static void (*const channel_sums_of[])(const float *const *, const float *, const float *, int64_t, Act, float *, int64_t, int64_t) = {
    sum_none, sum_relu, sum_clip, sum_hswish};

static void normalized_sum(const MartletCall *call) {
    int64_t K = call->p[0], M = call->p[1], C = call->p[2], W = WIDE(C);
    const int64_t *terms = call->p + 4;
    const float *x[MARTLET_MAX_TERMS];
    float *b = (float *)call->scratch + call->part * (K + 1) * W, *a = b + W;
    memset(b, 0, (size_t)C * sizeof(float));
    Span s = span_of(call, M, 4 * wide_rows(C));
    for (int64_t k = 0, in = 0; k < K; k++) {
        x[k] = (const float *)call->in[in++] + s.from * C;
        const float *scale = 0, *shift = 0, *weights = 0;
        if (terms[2 * k] & TERM_SCALED) scale = call->in[in], shift = call->in[in + 1], in += 2;
        if (terms[2 * k] & TERM_WEIGHTED) weights = call->in[in++];
        float w = weights ? weights[terms[2 * k + 1]] : 1, *ak = a + k * W;
        for (int64_t c = 0; c < C; c++) {
            ak[c] = scale ? w * scale[c] : w;
            if (shift) b[c] += w * shift[c];
        }
        repeat_channels(ak, C);
    }
    repeat_channels(b, C);
    Act act = {call->p[3], (float)call->f[0], (float)call->f[1]};
    if (s.to > s.from) channel_sums_of[act.kind](x, a, b, K, act, (float *)call->out[0] + s.from * C, (s.to - s.from) * C, W);
}

/* ---- the dot products of g with each x_k by channel, x_k less its mean where it is normalised ---- */

/* Adds n floats of g times (x - centre), or of g alone, to acc by place in a wide row; in order of memory, four rows at a time. */
APART void add_dots(const float *restrict g, const float *restrict x, const float *restrict centre, float *restrict acc, int64_t n,
                    int64_t W) {
    int64_t i = 0;
    for (; i + 4 * W <= n; i += 4 * W)
        for (int64_t c = 0; c < W; c += VL) {
            const float *restrict a = g + i + c, *restrict b = x + i + c;
            V k = vload(centre + c), q = vload(a) * (vload(b) - k), r = vload(a + W) * (vload(b + W) - k);
            q += vload(a + 2 * W) * (vload(b + 2 * W) - k);
            r += vload(a + 3 * W) * (vload(b + 3 * W) - k);
            vstore(acc + c, vload(acc + c) + (q + r));
        }
    for (; i < n; i += W)
        for (int64_t c = 0; c < min64(W, n - i); c += VL) {
            int64_t lanes = n - i - c;
            V q = vload_part(g + i + c, lanes) * (vload_part(x + i + c, lanes) - vload(centre + c));
            vstore_part(acc + c, vload_part(acc + c, lanes) + q, lanes);
        }
}
APART void add_rows(const float *restrict g, float *restrict acc, int64_t n, int64_t W) {
    int64_t i = 0;
    for (; i + 4 * W <= n; i += 4 * W)
        for (int64_t c = 0; c < W; c += VL) {
            const float *restrict a = g + i + c;
            vstore(acc + c, vload(acc + c) + ((vload(a) + vload(a + W)) + (vload(a + 2 * W) + vload(a + 3 * W))));
        }
    for (; i < n; i += W)
        for (int64_t c = 0; c < min64(W, n - i); c += VL) {
            int64_t lanes = n - i - c;
            vstore_part(acc + c, vload_part(acc + c, lanes) + vload_part(g + i + c, lanes), lanes);
        }
}

static void normalized_dots(const MartletCall *call) {
    int64_t K = call->p[0], M = call->p[1], C = call->p[2], W = WIDE(C), Cp = round_up(C, 16);
    const int64_t *terms = call->p + 4;
    int64_t each = 2 * (K + 1) * Cp + 2 * W;
    float *memory = (float *)call->scratch + call->part * each, *acc = memory + 2 * (K + 1) * Cp, *centre = acc + W;
    double *sums = (double *)(void *)memory;
    if (call->phase == 1) {
        if (call->part) return;
        float *dw = call->out[0], *out = call->out[1];
        memset(dw, 0, (size_t)call->p[3] * sizeof(float));
        for (int64_t k = 0, in = 1; k <= K; k++) {
            const float *mean = 0;
            if (k > 0) {
                in++;
                if (terms[2 * k - 2] & TERM_SCALED) mean = call->in[in], in += 3;
            }
            double total = 0;
            for (int64_t c = 0; c < C; c++) {
                double sum = 0;
                for (int64_t i = 0; i < call->parts; i++)
                    sum += ((const double *)(const void *)((const float *)call->scratch + i * each))[k * Cp + c];
                out[k * C + c] = (float)sum;
                if (mean) {
                    const float *scale = call->in[in - 2], *shift = call->in[in - 1];
                    sum = sum * (double)scale[c] + (double)out[c] * ((double)mean[c] * (double)scale[c] + (double)shift[c]);
                }
                total += sum;
            }
            if (k > 0) dw[terms[2 * k - 1]] += (float)total;
        }
        return;
    }
    memset(sums, 0, (size_t)((K + 1) * Cp) * sizeof(double));
    Span s = span_of(call, M, wide_rows(C));
    int64_t block = max64(4, 16384 / W) * wide_rows(C);
    for (int64_t m = s.from; m < s.to; m += block) {
        int64_t n = min64(block, s.to - m) * C;
        const float *g = (const float *)call->in[0] + m * C;
        for (int64_t k = 0, in = 1; k <= K; k++) {
            memset(acc, 0, (size_t)W * sizeof(float));
            if (k == 0) add_rows(g, acc, n, W);
            else {
                const float *x = (const float *)call->in[in++] + m * C;
                if (terms[2 * k - 2] & TERM_SCALED) load_channels(centre, call->in[in], C), in += 3;
                else memset(centre, 0, (size_t)W * sizeof(float));
                add_dots(g, x, centre, acc, n, W);
            }
            for (int64_t r = 0; r < wide_rows(C); r++)
                for (int64_t c = 0; c < C; c++) sums[k * Cp + c] += (double)acc[r * C + c];
        }
    }
}
