/* Philox 4x32 with 10 rounds: block b of a site under a key gives four 32-bit numbers, for elements 4 b ... 4 b + 3. */
INLINE void philox(uint32_t k0, uint32_t k1, uint64_t block, uint64_t site, uint32_t out[4]) {
    uint32_t c0 = (uint32_t)block, c1 = (uint32_t)(block >> 32), c2 = (uint32_t)site, c3 = (uint32_t)(site >> 32);
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

static void dropout(const MartletCall *call) {
    const float *restrict x = call->in[0];
    const uint32_t *key = call->in[1];
    float *restrict y = call->out[0];
    double keep = 1 - call->f[0];
    uint64_t limit = (uint64_t)(keep * 4294967296.0), site = (uint64_t)call->p[1];
    float scale = limit ? (float)(1 / keep) : 0;
    Span s = span_of(call, call->p[0], 64);
    for (int64_t i = s.from; i < s.to; i += 64) {
        uint32_t bits[64];
        for (int64_t b = 0; b < 16; b++) philox(key[0], key[1], (uint64_t)(i / 4 + b), site, bits + b * 4);
        int64_t n = min64(64, s.to - i);
        for (int64_t j = 0; j < n; j++) y[i + j] = bits[j] < limit ? x[i + j] * scale : 0;
    }
}
