/* Updates of flat arrays. A result may be its own operand. */
static void sgd(const MartletCall *call) {
    const float *w = call->in[0], *g = call->in[1], *v = call->in[2];
    float *w1 = call->out[0], *v1 = call->out[1];
    float rate = (float)call->f[0], momentum = (float)call->f[1], decay = (float)call->f[2], scale = (float)call->f[3];
    float inside = call->p[2] ? 0 : decay, outside = call->p[2] ? rate * decay : 0;
    Span s = span_of(call, call->p[0], 16);
    if (call->p[1]) {
        for (int64_t i = s.from; i < s.to; i++) {
            float weight = w[i], d = g[i] * scale + inside * weight, u = momentum * v[i] + d;
            v1[i] = u;
            w1[i] = weight - rate * (d + momentum * u) - outside * weight;
        }
    } else {
        for (int64_t i = s.from; i < s.to; i++) {
            float weight = w[i], d = g[i] * scale + inside * weight, u = momentum * v[i] + d;
            v1[i] = u;
            w1[i] = weight - rate * u - outside * weight;
        }
    }
}

static void adam(const MartletCall *call) {
    const float *w = call->in[0], *g = call->in[1], *m = call->in[2], *v = call->in[3];
    float *w1 = call->out[0], *m1 = call->out[1], *v1 = call->out[2];
    float rate = (float)call->f[0], b1 = (float)call->f[1], b2 = (float)call->f[2], epsilon = (float)call->f[3];
    float decay = (float)call->f[4], scale = (float)call->f[5], c1 = (float)(1 / call->f[6]), c2 = (float)(1 / call->f[7]);
    float inside = call->p[1] ? 0 : decay, outside = call->p[1] ? rate * decay : 0;
    Span s = span_of(call, call->p[0], 16);
    for (int64_t i = s.from; i < s.to; i++) {
        float weight = w[i], d = g[i] * scale + inside * weight;
        float first = b1 * m[i] + (1 - b1) * d, second = b2 * v[i] + (1 - b2) * d * d;
        m1[i] = first;
        v1[i] = second;
        w1[i] = weight - rate * (first * c1) / (sqrtf(second * c2) + epsilon) - outside * weight;
    }
}

/* a x + b y; with a = 1 - b an exponential moving average. */
static void blend(const MartletCall *call) {
    const float *x = call->in[0], *y = call->in[1];
    float *z = call->out[0], a = (float)call->f[0], b = (float)call->f[1];
    Span s = span_of(call, call->p[0], 16);
    for (int64_t i = s.from; i < s.to; i++) z[i] = a * x[i] + b * y[i];
}
