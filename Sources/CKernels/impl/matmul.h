/* y[b] = op(a[b]) op(b[b]) + bias: b packed into panels and a transposed one laid out by rows first, then tiles. */
static void matmul(const MartletCall *call) {
    const int64_t *p = call->p;
    int64_t batches = p[0], M = p[1], N = p[2], K = p[3], each = packed_size(K, N), copies = p[7] ? batches : 1;
    const float *a = call->in[0], *b = call->in[1], *bias = p[8] ? call->in[2] : 0;
    float *packed = call->scratch, *rows = packed + round_up(copies * each, 16), *y = call->out[0];
    if (call->phase == 0) {
        for (int64_t i = 0; i < copies; i++)
            pack_panels(call, b + i * K * N, p[5] ? K : 1, p[5] ? 1 : N, 0, 1, K, N, packed + i * each);
        if (!p[4]) return;
        Span s = span_of(call, M, 16);
        for (int64_t i = 0; i < (p[6] ? batches : 1); i++)
            transpose_words((const uint32_t *)(const void *)(a + i * K * M + s.from), M, (uint32_t *)(void *)(rows + (i * M + s.from) * K), K,
                            s.to - s.from, K);
        return;
    }
    if (p[4]) a = rows;
    Tap tap = {0, 0};
    Span s = span_of(call, batches * M, batches * M > 24 * call->parts ? 12 : 1);
    int64_t block = pixel_block(K);
    for (int64_t i = s.from; i < s.to;) {
        int64_t batch = i / M, m = i % M, count = min64(min64(block, s.to - i), M - m);
        gemm(a + ((p[6] ? batch : 0) * M + m) * K, K, count, &tap, 1, K, K, packed + (p[7] ? batch : 0) * each, N, y + i * N, N, bias, 0);
        i += count;
    }
}
