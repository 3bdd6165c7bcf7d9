/* Philox 4x32 with 10 rounds: block b of a site under a key gives four 32-bit numbers, for elements 4 b ... 4 b + 3. Kinds of
 * draws are unlike. */
INLINE void philox(uint32_t k0, uint32_t k1, uint32_t block, uint32_t site, uint32_t kind, uint32_t out[4]) {
    uint32_t c0 = block, c1 = site, c2 = kind, c3 = 0;
    for (int i = 0; i < 10; i++) {
        uint64_t a = (uint64_t)c0 * 0xD2511F53u, b = (uint64_t)c2 * 0xCD9E8D57u;
        uint32_t n0 = (uint32_t)(b >> 32) ^ c1 ^ k0, n2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

INLINE uint32_t random_threshold(double rate) {
    return (uint32_t)(rate * 4294967296.0 < 4294967295.0 ? rate * 4294967296.0 : 4294967295.0);
}

static void dropout(const MartletCall *call) {
    const float *restrict x = call->in[0];
    const uint32_t *key = call->in[1];
    float *restrict y = call->out[0];
    double rate = call->f[0];
    uint32_t threshold = random_threshold(rate);
    float scale = (float)(1 / (1 - rate));
    Span s = span_of(call, call->p[0], 64);
    for (int64_t i = s.from; i < s.to; i += 64) {
        uint32_t bits[64];
        for (int64_t b = 0; b < 16; b++) philox(key[0], key[1], (uint32_t)(i / 4 + b), (uint32_t)call->p[1], 0, bits + b * 4);
        int64_t n = min64(64, s.to - i);
        for (int64_t j = 0; j < n; j++) y[i + j] = bits[j] < threshold ? 0 : x[i + j] * scale;
    }
}

static void drop_path(const MartletCall *call) {
    const float *x = call->in[0];
    const uint32_t *key = call->in[1];
    float *y = call->out[0];
    float rate = (float)call->f[0] * *(const float *)call->in[2];
    uint32_t threshold = random_threshold(rate);
    float scale = 1 / (1 - rate);
    int64_t size = call->p[1];
    Span s = span_of(call, call->p[0], 1);
    for (int64_t n = s.from; n < s.to; n++) {
        uint32_t bits[4];
        philox(key[0], key[1], (uint32_t)(n / 4), (uint32_t)call->p[2], 1, bits);
        float factor = bits[n % 4] < threshold ? 0 : scale;
        for (int64_t j = n * size; j < (n + 1) * size; j++) y[j] = factor == 0 ? 0 : x[j] * factor;
    }
}
