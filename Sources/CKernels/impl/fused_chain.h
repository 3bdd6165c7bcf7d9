/* A depthwise convolution and the pointwise one behind it, image by image: what lies between them is never written to memory,
 * and computed again for the gradients. */
typedef struct Chain {
    Fused f;
    ChainSizes s;
    int64_t K;
    Conv last; /* the pointwise convolution */
    float *between, *slope, *partial;
} Chain;

INLINE float *chain_part(const MartletCall *call, const ChainSizes *s, int64_t part) {
    return (float *)call->scratch + s->packed + s->packed_last + part * s->each;
}

static Chain chain_of(const MartletCall *call, int backward) {
    Chain k = {.s = chain_sizes(call->p, backward), .K = call->p[24]};
    Fused *f = &k.f;
    f->v = conv_of(call->p);
    f->depthwise = 1;
    f->normalises = call->p[19] != 0;
    f->act = (Act){call->p[20], (float)call->f[0], (float)call->f[1]};
    f->moments = !backward && call->p[21];
    f->denormalises = backward && call->p[21];
    f->sums = backward && call->p[22];
    f->wants_input = backward && call->p[23];
    f->unit = 1;
    f->packed = call->scratch;
    f->s.width = k.s.width;
    f->s.gradient_width = k.s.gradient_width;
    f->totals = chain_part(call, &k.s, call->part);
    f->normal = f->totals + k.s.totals;
    f->denormal = f->normal + k.s.normal;
    f->source = f->denormal + k.s.denormal;
    k.between = f->source + k.s.source;
    f->gradient = k.between + k.s.between;
    k.slope = f->gradient + k.s.gradient;
    f->partial = k.slope + k.s.slope;
    k.partial = f->partial + k.s.partial;
    k.last = (Conv){.N = f->v.N, .C = f->v.C, .O = k.K, .G = 1, .Cg = f->v.C, .Og = k.K, .taps = 1, .KH = 1, .KW = 1, .DH = 1, .DW = 1,
                    .SH = 1, .SW = 1};
    return k;
}

/* The depthwise result of one image, from its frame in `source`; the image `next` and the memory of the result are asked
 * for meanwhile. */
static void chain_between(const Chain *k, const float *next, float *result) {
    const Conv *v = &k->f.v;
    int64_t pitch = k->s.width * v->C, Cp = round_up(v->C, 16);
    Tap taps[MARTLET_MAX_TAPS];
    for (int64_t t = 0; t < v->taps; t++) taps[t] = (Tap){t / v->KW * v->DH * pitch + t % v->KW * v->DW * v->C, t * Cp};
    for (int64_t j = 0; j < v->OH; j++) {
        prefetch_share(next, v->H * v->W * v->C, j, v->OH);
        prefetch_write_share(result, v->OW * k->K * v->OH, j, v->OH);
        framed_row(k->f.source + j * v->SH * pitch, v->SW * v->C, taps, v->taps, v->KW, k->f.packed, k->between + j * v->OW * v->C, v->C, v->C,
                   v->OW);
    }
}

static void chain_fill(const Chain *k, const float *x) {
    const Conv *v = &k->f.v;
    Rows r = {-v->PT, (v->OH - 1) * v->SH + (v->KH - 1) * v->DH + 1, -v->PL, k->s.width, v->H, v->W, v->C};
    fill_rows(&k->f, x, 0, 0, FRAME_NUMBERS, &r, k->f.source);
}

static float *chain_forward_part(const MartletCall *call, int64_t part) {
    ChainSizes s = chain_sizes(call->p, 0);
    return chain_part(call, &s, part);
}
static float *chain_backward_part(const MartletCall *call, int64_t part) {
    ChainSizes s = chain_sizes(call->p, 1);
    return chain_part(call, &s, part);
}

static void normalized_chain(const MartletCall *call) {
    Chain k = chain_of(call, 0);
    Fused *f = &k.f;
    const Conv *v = &f->v;
    float *last = (float *)call->scratch + k.s.packed;
    if (call->phase == 0) {
        depthwise_pack(call, v, call->in[1], f->packed);
        pack_panels(call, call->in[2], v->C, 1, 1, 1, v->C, k.K, last);
        return;
    }
    if (call->phase == 2) {
        totals_moments(call, chain_forward_part, k.K, call->out[1], call->out[2]);
        return;
    }
    if (f->normalises) {
        load_channels(f->normal, call->in[3], v->C);
        load_channels(f->normal + size_up(WIDE(v->C)), call->in[4], v->C);
    }
    Totals t = totals_at(f->totals, k.K);
    Tap tap = {0, 0};
    int started = 0;
    int64_t pixels = v->OH * v->OW;
    Span s = span_of(call, v->N, 1);
    for (int64_t n = s.from; n < s.to; n++) {
        const float *x = (const float *)call->in[0] + n * v->H * v->W * v->C;
        chain_fill(&k, x);
        float *y = (float *)call->out[0] + n * pixels * k.K;
        chain_between(&k, n + 1 < s.to ? x + v->H * v->W * v->C : 0, y);
        gemm(k.between, v->C, pixels, &tap, 1, v->C, v->C, last, k.K, y, k.K, 0, 0);
        if (!f->moments) continue;
        if (!started) totals_start(&t, y, k.K);
        started = 1;
        add_moments(y, t.centre, t.first, t.second, pixels * k.K, WIDE(k.K));
        totals_flush(&t, pixels, k.K);
    }
    if (f->moments && !started) totals_start(&t, 0, k.K);
}

static void normalized_chain_gradient(const MartletCall *call) {
    Chain k = chain_of(call, 1);
    Fused *f = &k.f;
    const Conv *v = &f->v;
    int in = 4, out = 0;
    FusedGradients d = {.g = call->in[0], .x = call->in[1]};
    if (f->denormalises) d.t = call->in[in], in += 4;
    int normal = in;
    if (f->normalises) in += 2;
    if (f->wants_input) d.dx = call->out[out++];
    float *dw = call->out[out++], *du = call->out[out++], *last = (float *)call->scratch + k.s.packed;
    if (call->phase == 0) {
        depthwise_pack(call, v, call->in[2], f->packed);
        pack_panels(call, call->in[3], 1, v->C, 1, 1, k.K, v->C, last);
        return;
    }
    if (call->phase == 2) {
        const float *partial = (const float *)call->scratch + k.s.packed + k.s.packed_last + k.s.each - k.s.partial - k.s.partial_last;
        if (f->sums) totals_sums(call, chain_backward_part, v->C, call->out[out]);
        depthwise_filter_finish(call, v, partial, k.s.each, dw);
        dense_filter_finish(call, &k.last, partial + k.s.partial, k.s.each, du);
        return;
    }
    int64_t U = size_up(WIDE(k.K)), W = WIDE(v->C), pixels = v->OH * v->OW, Cp = round_up(v->C, 16);
    if (f->denormalises)
        for (int64_t i = 0; i < 3; i++) load_channels(f->denormal + i * U, call->in[5 + i], k.K);
    if (f->normalises) {
        load_channels(f->normal, call->in[normal], v->C);
        load_channels(f->normal + size_up(W), call->in[normal + 1], v->C);
    }
    if (f->sums) {
        d.totals = totals_at(f->totals, v->C);
        totals_start(&d.totals, call->in[in], v->C);
    }
    memset(f->partial, 0, (size_t)(k.s.partial + k.s.partial_last) * sizeof(float));
    memset(k.slope, 0, (size_t)k.s.slope * sizeof(float));
    int by_input = filter_gradient_by_input(&k.last);
    Frame frame = gradient_frame(v);
    int64_t pitch = k.s.width * v->C, gpitch = frame.width * v->C;
    float *own = k.slope - frame.top * gpitch - frame.left * v->C;
    Tap tap = {0, 0};
    Span s = span_of(call, v->N, 1);
    for (int64_t n = s.from; n < s.to; n++) {
        const float *g = d.g + n * pixels * k.K;
        if (f->denormalises) {
            denormalise(g, d.t + n * pixels * k.K, f->denormal, f->denormal + U, f->denormal + 2 * U, f->gradient, pixels * k.K, WIDE(k.K));
            g = f->gradient;
        }
        const float *x = d.x + n * v->H * v->W * v->C;
        int last_one = n + 1 == s.to;
        chain_fill(&k, x);
        chain_between(&k, last_one ? 0 : x + v->H * v->W * v->C, 0);
        if (by_input) gemm_t(g, 0, k.K, k.K, k.between, 0, v->C, v->C, 1, pixels, k.partial, v->C);
        else gemm_t(k.between, 0, v->C, v->C, g, 0, k.K, k.K, 1, pixels, k.partial, k.K);
        for (int64_t j = 0; j < v->OH; j++) {
            if (!last_one) prefetch_share(d.g + (n + 1) * pixels * k.K, pixels * k.K, j, v->OH);
            if (f->wants_input) prefetch_write_share(d.dx + n * v->H * v->W * v->C, v->H * v->W * v->C, j, v->OH);
            gemm(g + j * v->OW * k.K, k.K, v->OW, &tap, 1, k.K, k.K, last, v->C, own + j * gpitch, v->C, 0, 0);
        }
        FramedFilter q = {f->source, own, v->SH * pitch, v->SW * v->C, v->DH * pitch, v->DW * v->C, gpitch, v->C, v->OH, v->OW, v->KW, Cp, VL};
        framed_filter_gradient(v, q, f->partial);
        if (!f->wants_input) continue;
        for (int64_t r = 0; r < min64(v->SH, v->H); r++)
            for (int64_t x = 0; x < min64(v->SW, v->W); x++) {
                Tap taps[MARTLET_MAX_TAPS];
                int64_t count = gradient_taps(v, &frame, r, x, v->C, Cp, taps), reached = (v->W - x + v->SW - 1) / v->SW;
                const float *from = k.slope;
                for (int64_t y = r; y < v->H; y += v->SH, from += gpitch) {
                    if (x == 0 && d.t && !last_one) prefetch_share(d.t + (n + 1) * pixels * k.K, pixels * k.K, y, v->H);
                    framed_row(from, v->C, taps, count, count == v->taps ? v->KW : 0, f->packed,
                               d.dx + ((n * v->H + y) * v->W + x) * v->C, v->SW * v->C, v->C, reached);
                }
            }
        fused_slopes(f, &d, n * v->H * v->W, v->H * v->W);
    }
}
