/* Softmax and cross entropy over the last axis of [R, C]. */

/* e = exp(x - max) and its sum; returns the maximum. */
INLINE float exp_row(const float *restrict x, int64_t C, float *restrict e, double *sum) {
    float top = (float)reduce_run(MAXIMUM, x, C);
    for (int64_t c = 0; c < C; c++) e[c] = exp_one(x[c] - top);
    *sum = reduce_run(SUM, e, C);
    return top;
}

/* y may be x: nothing of a row is written over before it is no longer read. */
static void softmax(const MartletCall *call) {
    int64_t C = call->p[1], logarithm = call->p[2];
    Span s = span_of(call, call->p[0], 1);
    for (int64_t r = s.from; r < s.to; r++) {
        const float *x = (const float *)call->in[0] + r * C;
        float *y = (float *)call->out[0] + r * C, top = (float)reduce_run(MAXIMUM, x, C);
        double sum = 0;
        if (logarithm) {
            float e[256];
            for (int64_t from = 0; from < C; from += 256) {
                int64_t n = C - from < 256 ? C - from : 256;
                for (int64_t c = 0; c < n; c++) e[c] = exp_one(x[from + c] - top);
                sum += reduce_run(SUM, e, n);
            }
            float shift = (float)log(sum);
            for (int64_t c = 0; c < C; c++) y[c] = (x[c] - top) - shift;
        } else {
            for (int64_t c = 0; c < C; c++) y[c] = exp_one(x[c] - top);
            float factor = (float)(1.0 / reduce_run(SUM, y, C));
            for (int64_t c = 0; c < C; c++) y[c] *= factor;
        }
    }
}

INLINE int64_t label_at(const MartletCall *call, const void *labels, int64_t r) {
    return call->p[2] ? ((const int64_t *)labels)[r] : ((const int32_t *)labels)[r];
}

/* Scratch: a row of C floats and one sum a part, each padded to 64 bytes. */
INLINE double *loss_sums(const MartletCall *call) { return (double *)call->scratch; }
INLINE float *loss_row(const MartletCall *call, int64_t C) {
    return (float *)(loss_sums(call) + call->parts * 8) + call->part * round_up(C, 16);
}

/* soft: the targets are [R, C] weights, not labels. */
static void cross_entropy_value(const MartletCall *call, int soft) {
    int64_t R = call->p[0], C = call->p[1];
    double *sums = loss_sums(call), smoothing = soft ? 0 : call->f[0];
    if (call->phase == 1) {
        if (call->part) return;
        double total = 0;
        for (int64_t i = 0; i < call->parts; i++) total += sums[i * 8];
        *(float *)call->out[0] = (float)(total / (double)R);
        return;
    }
    float *row = loss_row(call, C);
    double part = 0;
    Span s = span_of(call, R, 1);
    for (int64_t r = s.from; r < s.to; r++) {
        const float *x = (const float *)call->in[0] + r * C;
        double sum, top = (double)exp_row(x, C, row, &sum), total = top + log(sum), hit = 0;
        if (soft) {
            const float *t = (const float *)call->in[1] + r * C;
            for (int64_t c = 0; c < C; c++) hit += (double)t[c] * (total - (double)x[c]);
        } else {
            int64_t label = label_at(call, call->in[1], r);
            if (label >= 0 && label < C) hit = (1 - smoothing) * (total - (double)x[label]);
            if (smoothing != 0) hit += smoothing * (total - reduce_run(SUM, x, C) / (double)C);
        }
        part += hit;
    }
    sums[call->part * 8] = part;
}
static void cross_entropy(const MartletCall *call) { cross_entropy_value(call, 0); }
static void cross_entropy_soft(const MartletCall *call) { cross_entropy_value(call, 1); }

static void cross_entropy_gradient(const MartletCall *call) {
    int64_t R = call->p[0], C = call->p[1];
    double smoothing = call->f[0], unit = (double)*(const float *)call->in[2] / (double)R;
    Span s = span_of(call, R, 1);
    for (int64_t r = s.from; r < s.to; r++) {
        float *restrict dx = (float *)call->out[0] + r * C;
        double sum;
        exp_row((const float *)call->in[0] + r * C, C, dx, &sum);
        float factor = (float)(unit / sum), even = (float)(unit * smoothing / (double)C);
        for (int64_t c = 0; c < C; c++) dx[c] = dx[c] * factor - even;
        int64_t label = label_at(call, call->in[1], r);
        if (label >= 0 && label < C) dx[label] -= (float)(unit * (1 - smoothing));
    }
}
