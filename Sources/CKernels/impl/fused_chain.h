/* Depthwise convolutions of one image, each with the pointwise one behind it, image by image: what lies between them is never
 * written to memory, and computed again for the gradients. The image is loaded, normalised and activated once for all of them;
 * what they add to its gradient meets in the cache, where the slope of the activation is taken once. */
typedef struct Chain {
    Conv v, last; /* depthwise, pointwise */
    const float *packed, *packed_last;
    float *totals, *denormal, *partial, *partial_last; /* of this part */
    const float *source;                               /* where the windows of its first output start */
    const float *w, *u, *g, *t, *const *coefficients;
    float *y, *mean, *variance, *dw, *du;
    int64_t own; /* where its memory lies in a part's */
} Chain;

typedef struct Chains {
    Fused f; /* the image and what is applied to it */
    ChainsSizes s;
    Frame frame; /* of what lies between the two, in `slope` */
    int64_t count;
    const float *x, *centre;
    float *dx, *sums, *between, *slope, *parts;
    Chain all[MARTLET_MAX_CHAINS];
} Chains;

static void chains_of(const MartletCall *call, int backward, Chains *k) {
    const int64_t *p = call->p;
    const void *const *in = call->in;
    void *const *out = call->out;
    k->s = chains_sizes(p, backward);
    k->count = p[0];
    Fused *f = &k->f;
    *f = (Fused){.v = conv_of(p + CHAINS_HEAD), .normalises = p[1] != 0, .act = {p[2], (float)call->f[0], (float)call->f[1]},
                 .moments = !backward && p[3], .denormalises = backward && p[3], .sums = backward && p[4],
                 .wants_input = backward && p[5], .depthwise = 1, .unit = 1};
    k->parts = (float *)call->scratch + k->s.shared;
    f->totals = k->parts + call->part * k->s.each;
    f->normal = f->totals + k->s.totals;
    f->source = f->normal + k->s.normal;
    k->between = f->source + k->s.source;
    f->gradient = k->between + k->s.between;
    k->slope = f->gradient + k->s.gradient;
    k->frame = (Frame){k->s.slope_top, k->s.slope_left, k->s.slope_height, k->s.slope_width};
    k->x = *in++;
    if (f->normalises) {
        if (call->phase == 1) load_channels(f->normal, in[0], f->v.C), load_channels(f->normal + size_up(WIDE(f->v.C)), in[1], f->v.C);
        in += 2;
    }
    if (f->sums) k->centre = *in++;
    if (f->wants_input) k->dx = *out++;
    const float *shared = call->scratch;
    int64_t own = k->s.own;
    for (int64_t i = 0; i < k->count; i++) {
        const int64_t *q = p + CHAINS_HEAD + i * CHAINS_EACH;
        ChainSizes s = chain_sizes(p, q, backward);
        Chain *c = k->all + i;
        *c = (Chain){.v = conv_of(q), .packed = shared, .packed_last = shared + s.packed, .own = own};
        c->last = (Conv){.N = c->v.N, .C = c->v.C, .O = q[CHAINS_EACH - 1], .G = 1, .Cg = c->v.C, .Og = q[CHAINS_EACH - 1], .taps = 1, .KH = 1,
                         .KW = 1, .DH = 1, .DW = 1, .SH = 1, .SW = 1};
        c->source = f->source + ((k->s.top - c->v.PT) * k->s.width + k->s.left - c->v.PL) * c->v.C;
        c->totals = f->totals + own;
        c->denormal = c->totals + s.totals;
        c->partial = c->denormal + s.denormal;
        c->partial_last = c->partial + s.partial;
        shared += s.packed + s.packed_last;
        own += s.each;
        if (backward) c->g = *in++;
        c->w = *in++, c->u = *in++;
        if (f->denormalises) c->t = in[0], c->coefficients = (const float *const *)(const void *)(in + 1), in += 4;
        if (backward) c->dw = *out++, c->du = *out++;
        else c->y = *out++;
        if (f->moments) c->mean = *out++, c->variance = *out++;
    }
    if (f->sums) k->sums = *out;
}

static void chains_fill(const Chains *k, const float *x) {
    const Conv *v = &k->f.v;
    Rows r = {-k->s.top, k->s.height, -k->s.left, k->s.width, v->H, v->W, v->C};
    fill_rows(&k->f, x, 0, 0, FRAME_NUMBERS, &r, k->f.source);
}

/* The depthwise result of one image, from its frame in `source`; the image `next` and the memory of the result are asked for
 * meanwhile. */
static void chain_between(const Chains *k, const Chain *c, const float *next, float *result) {
    const Conv *v = &c->v;
    int64_t pitch = k->s.width * v->C, Cp = round_up(v->C, 16);
    Tap taps[MARTLET_MAX_TAPS];
    for (int64_t t = 0; t < v->taps; t++) taps[t] = (Tap){t / v->KW * v->DH * pitch + t % v->KW * v->DW * v->C, t * Cp};
    for (int64_t j = 0; j < v->OH; j++) {
        prefetch_share(next, v->H * v->W * v->C, j, v->OH);
        prefetch_write_share(result, v->OW * c->last.O * v->OH, j, v->OH);
        framed_row(c->source + j * v->SH * pitch, v->SW * v->C, taps, v->taps, v->KW, c->packed, 0, k->between + j * v->OW * v->C, v->C, v->C,
                   v->OW);
    }
}

static void normalized_chains(const MartletCall *call) {
    Chains k;
    chains_of(call, 0, &k);
    const Conv *v = &k.f.v;
    if (call->phase != 1) {
        for (Chain *c = k.all; c < k.all + k.count; c++) {
            if (call->phase == 2) totals_moments(call, k.parts + c->own, k.s.each, c->last.O, c->mean, c->variance);
            else {
                depthwise_pack(call, &c->v, c->w, (float *)c->packed);
                pack_panels(call, c->u, v->C, 1, 1, 1, v->C, c->last.O, (float *)c->packed_last);
            }
        }
        return;
    }
    Tap tap = {0, 0};
    int64_t image = v->H * v->W * v->C;
    Span s = span_of(call, v->N, 1);
    for (int64_t n = s.from; n < s.to; n++) {
        const float *x = k.x + n * image;
        chains_fill(&k, x);
        for (Chain *c = k.all; c < k.all + k.count; c++) {
            int64_t pixels = c->v.OH * c->v.OW, O = c->last.O;
            float *y = c->y + n * pixels * O;
            chain_between(&k, c, c + 1 == k.all + k.count && n + 1 < s.to ? x + image : 0, y);
            gemm(k.between, v->C, pixels, &tap, 1, v->C, v->C, c->packed_last, O, y, O, 0, 0);
            if (!k.f.moments) continue;
            Totals t = totals_at(c->totals, O);
            if (n == s.from) totals_start(&t, y, O);
            add_moments(y, t.centre, t.first, t.second, pixels * O, WIDE(O));
            totals_flush(&t, pixels, O);
        }
    }
    for (Chain *c = k.all; k.f.moments && s.from == s.to && c < k.all + k.count; c++) {
        Totals t = totals_at(c->totals, c->last.O);
        totals_start(&t, 0, c->last.O);
    }
}

/* Both gradients of one chain for image n, its source being filled; `next` is the one whose gradients are taken next, for
 * image `then`, or null. What it adds to the image's gradient is added where `add`. */
static void chain_gradient(const Chains *k, const Chain *c, int64_t n, const Chain *next, int64_t then, int add) {
    const Fused *f = &k->f;
    const Conv *v = &c->v;
    int64_t O = c->last.O, W = WIDE(O), U = size_up(W), pixels = v->OH * v->OW, Cp = round_up(v->C, 16), image = v->H * v->W * v->C;
    int64_t gpitch = k->frame.width * v->C, ahead = next ? next->v.OH * next->v.OW * next->last.O : 0;
    float *own = k->slope - k->frame.top * gpitch - k->frame.left * v->C;
    Tap tap = {0, 0};
    const float *g = c->g + n * pixels * O;
    if (f->denormalises) {
        denormalise(g, c->t + n * pixels * O, c->denormal, c->denormal + U, c->denormal + 2 * U, f->gradient, pixels * O, W);
        g = f->gradient;
    }
    chain_between(k, c, next && then != n ? k->x + then * image : 0, 0);
    if (filter_gradient_by_input(&c->last)) gemm_t(g, 0, O, O, k->between, 0, v->C, v->C, 1, pixels, c->partial_last, v->C);
    else gemm_t(k->between, 0, v->C, v->C, g, 0, O, O, 1, pixels, c->partial_last, O);
    for (int64_t j = 0; j < v->OH; j++) {
        if (next) prefetch_share(next->g + then * ahead, ahead, j, v->OH);
        if (f->wants_input && !add) prefetch_write_share(k->dx + n * image, image, j, v->OH);
        gemm(g + j * v->OW * O, O, v->OW, &tap, 1, O, O, c->packed_last, v->C, own + j * gpitch, v->C, 0, 0);
    }
    int64_t pitch = k->s.width * v->C;
    FramedFilter q = {c->source, own, v->SH * pitch, v->SW * v->C, v->DH * pitch, v->DW * v->C, gpitch, v->C, v->OH, v->OW, v->KW, Cp, VL};
    framed_filter_gradient(v, q, c->partial);
    if (!f->wants_input) return;
    for (int64_t r = 0; r < min64(v->SH, v->H); r++)
        for (int64_t x = 0; x < min64(v->SW, v->W); x++) {
            Tap taps[MARTLET_MAX_TAPS];
            int64_t count = gradient_taps(v, &k->frame, r, x, v->C, Cp, taps), reached = (v->W - x + v->SW - 1) / v->SW;
            const float *from = k->slope;
            for (int64_t y = r; y < v->H; y += v->SH, from += gpitch) {
                if (x == 0 && next && f->denormalises) prefetch_share(next->t + then * ahead, ahead, y, v->H);
                framed_row(from, v->C, taps, count, count == v->taps ? v->KW : 0, c->packed, add,
                           k->dx + ((n * v->H + y) * v->W + x) * v->C, v->SW * v->C, v->C, reached);
            }
        }
}

static void normalized_chains_gradient(const MartletCall *call) {
    Chains k;
    chains_of(call, 1, &k);
    const Conv *v = &k.f.v;
    Chain *end = k.all + k.count;
    if (call->phase == 0) {
        for (Chain *c = k.all; c < end; c++) {
            depthwise_pack(call, &c->v, c->w, (float *)c->packed);
            pack_panels(call, c->u, 1, v->C, 1, 1, c->last.O, v->C, (float *)c->packed_last);
        }
        return;
    }
    if (call->phase == 2) {
        if (k.f.sums) totals_sums(call, k.parts, k.s.each, v->C, k.sums);
        for (Chain *c = k.all; c < end; c++) {
            const float *first = k.parts + (c->partial - k.f.totals);
            depthwise_filter_finish(call, &c->v, first, k.s.each, c->dw);
            dense_filter_finish(call, &c->last, first + (c->partial_last - c->partial), k.s.each, c->du);
        }
        return;
    }
    for (Chain *c = k.all; c < end; c++) {
        int64_t U = size_up(WIDE(c->last.O));
        if (k.f.denormalises)
            for (int64_t i = 0; i < 3; i++) load_channels(c->denormal + i * U, c->coefficients[i], c->last.O);
        memset(c->partial, 0, (size_t)(c->v.taps * size_up(v->C) + size_up(v->C * c->last.O)) * sizeof(float));
    }
    FusedGradients d = {.x = k.x, .dx = k.dx};
    if (k.f.sums) {
        d.totals = totals_at(k.f.totals, v->C);
        totals_start(&d.totals, k.centre, v->C);
    }
    memset(k.slope, 0, (size_t)k.s.slope * sizeof(float));
    Span s = span_of(call, v->N, 1);
    for (int64_t n = s.from; n < s.to; n++) {
        chains_fill(&k, k.x + n * v->H * v->W * v->C);
        for (Chain *c = k.all; c < end; c++) {
            int is_last = c + 1 == end;
            chain_gradient(&k, c, n, !is_last ? c + 1 : n + 1 < s.to ? k.all : 0, n + is_last, c > k.all);
        }
        if (k.f.wants_input) fused_slopes(&k.f, &d, n * v->H * v->W, v->H * v->W);
    }
}
