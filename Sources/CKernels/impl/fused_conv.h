/* A convolution with what stands around it in training: the normalisation and activation of its operand on load, the moments
 * of its result while that is in the cache; and both its gradients in one go, from the gradient of a normalisation on load
 * to the slope of the activation and the sums that the next normalisation's gradient needs. */
typedef struct Fused {
    Conv v;
    FusedSizes s;
    Act act;
    int normalises, moments, denormalises, sums, wants_input, depthwise, halves;
    const Tiles *tiles;
    int64_t unit; /* numbers in a lane: 2 where the operands of products are bf16 */
    float *packed, *totals, *normal, *denormal, *source, *gradient, *line, *pairs, *partial;
} Fused;

INLINE float *fused_part(const MartletCall *call, const FusedSizes *s, int64_t part) {
    return (float *)call->scratch + s->packed + part * s->each;
}

static Fused fused_of(const MartletCall *call, int backward) {
    Fused f = {.v = conv_of(call->p), .s = fused_sizes(call->p, backward)};
    f.depthwise = is_depthwise(&f.v);
    f.normalises = call->p[19] != 0;
    f.act = (Act){call->p[20], (float)call->f[0], (float)call->f[1]};
    f.moments = !backward && call->p[21];
    f.denormalises = backward && call->p[21];
    f.sums = backward && call->p[22];
    f.wants_input = backward && call->p[23];
    f.halves = call->p[24] != 0;
    f.tiles = f.halves ? &pair_tiles : &number_tiles;
    f.unit = f.halves ? 2 : 1;
    f.packed = call->scratch;
    f.totals = fused_part(call, &f.s, call->part);
    f.normal = f.totals + f.s.totals;
    f.denormal = f.normal + f.s.normal;
    f.source = f.denormal + f.s.denormal;
    f.gradient = f.source + f.s.source;
    f.line = f.gradient + f.s.gradient;
    f.pairs = f.line + f.s.line;
    f.partial = f.pairs + f.s.pairs;
    return f;
}

INLINE void load_channels(float *to, const float *from, int64_t C) {
    memcpy(to, from, (size_t)C * sizeof(float));
    repeat_channels(to, C);
}

/* The operand as the convolution sees it. */
INLINE void fused_source(const Fused *f, const float *x, float *to, int64_t n) {
    int64_t W = WIDE(f->v.C);
    normalises[f->act.kind](x, f->normalises ? f->normal : 0, f->normal + size_up(W), f->act, to, n, W);
}
/* The gradient as the convolution sees it; t lies where g does. */
INLINE void fused_gradient(const Fused *f, const float *g, const float *t, float *to, int64_t n) {
    int64_t W = WIDE(f->v.O), U = size_up(W);
    if (f->denormalises) denormalise(g, t, f->denormal, f->denormal + U, f->denormal + 2 * U, to, n, W);
    else memcpy(to, g, (size_t)n * sizeof(float));
}

/* ---- frames: rows of an image with a border of zeros, as a band needs them ---- */

typedef struct Rows {
    int64_t top, count, left, width, H, W, C;
} Rows;

/* What a frame holds: numbers, halves, or every number with that of the next output's pixel as a pair. */
enum { FRAME_NUMBERS, FRAME_HALVES, FRAME_PAIRS };

static void fill_rows(const Fused *f, const float *x, const float *t, int is_gradient, int form, const Rows *r, float *to) {
    int64_t x0 = max64(0, -r->left), x1 = min64(r->width, r->W - r->left), pitch = r->width * r->C, n = (x1 - x0) * r->C;
    int64_t lanes = form == FRAME_HALVES ? pitch / 2 : pitch;
    for (int64_t i = 0; i < r->count; i++) {
        int64_t y = r->top + i;
        if (y < 0 || y >= r->H || n <= 0) {
            memset(to + i * lanes, 0, (size_t)lanes * sizeof(float));
            continue;
        }
        float *row = form == FRAME_NUMBERS ? to + i * pitch : f->line;
        int64_t at = (y * r->W + x0 + r->left) * r->C;
        if (x0 > 0) memset(row, 0, (size_t)(x0 * r->C) * sizeof(float));
        if (is_gradient) fused_gradient(f, x + at, t ? t + at : 0, row + x0 * r->C, n);
        else fused_source(f, x + at, row + x0 * r->C, n);
        if (x1 < r->width) memset(row + x1 * r->C, 0, (size_t)((r->width - x1) * r->C) * sizeof(float));
        if (form == FRAME_HALVES) to_halves(row, pitch, to + i * lanes);
        if (form == FRAME_PAIRS) to_pairs(row, r->width, r->C, 1, f->v.SW, to + i * lanes);
    }
}

/* Eight outputs of a channel vector from rows of KW taps, D outputs apart: every input is loaded once a row. Returns how many of
 * n outputs it made. */
#define DEFINE_FRAMED_ROW(KW_, D_)                                                                                            \
    APART int64_t framed_row_##KW_##_##D_(const float *restrict src, int64_t step, const Tap *restrict taps, int64_t rows,     \
                                          const float *restrict w, int add, float *restrict y, int64_t ldy, int64_t C,         \
                                          int64_t n) {                                                                         \
        int down = taps[1].a < taps[0].a;                                                                                      \
        for (int64_t c = 0; c < C; c += VL)                                                                                    \
            for (int64_t j = 0; j + 8 <= n; j += 8) {                                                                          \
                V acc[8];                                                                                                      \
                if (add) UNROLL for (int m = 0; m < 8; m++) acc[m] = vload(y + (j + m) * ldy + c);                             \
                else UNROLL for (int m = 0; m < 8; m++) acc[m] = (V){0};                                                       \
                for (int64_t r = 0; r < rows; r++) {                                                                           \
                    const Tap *restrict t = taps + r * (KW_);                                                                  \
                    const float *restrict s = src + c + j * step + t[down ? (KW_) - 1 : 0].a;                                  \
                    V wt[KW_];                                                                                                 \
                    UNROLL for (int p = 0; p < (KW_); p++) wt[p] = vload(w + c + t[down ? (KW_) - 1 - p : p].b);               \
                    UNROLL for (int i = 0; i < 8 + ((KW_) - 1) * (D_); i++, s += step) {                                       \
                        V x = vload(s);                                                                                        \
                        UNROLL for (int p = 0; p < (KW_); p++)                                                                 \
                            if (i - p * (D_) >= 0 && i - p * (D_) < 8) acc[i - p * (D_)] += x * wt[p];                         \
                    }                                                                                                          \
                }                                                                                                              \
                UNROLL for (int m = 0; m < 8; m++) vstore(y + (j + m) * ldy + c, acc[m]);                                      \
            }                                                                                                                  \
        return n / 8 * 8;                                                                                                      \
    }
DEFINE_FRAMED_ROW(3, 1)
DEFINE_FRAMED_ROW(3, 2)
DEFINE_FRAMED_ROW(5, 1)
DEFINE_FRAMED_ROW(5, 2)

/* n outputs of all C channels whose taps, in rows of KW where that is not 0, all lie inside; added to what y holds where `add`. */
static void framed_row(const float *src, int64_t step, const Tap *taps, int64_t count, int64_t KW, const float *w, int add, float *y,
                       int64_t ldy, int64_t C, int64_t n) {
    int64_t j = 0;
    if ((KW == 3 || KW == 5) && C % VL == 0) {
        int64_t apart = taps[1].a > taps[0].a ? taps[1].a - taps[0].a : taps[0].a - taps[1].a;
        if (apart == step) j = (KW == 3 ? framed_row_3_1 : framed_row_5_1)(src, step, taps, count / KW, w, add, y, ldy, C, n);
        else if (apart == 2 * step) j = (KW == 3 ? framed_row_3_2 : framed_row_5_2)(src, step, taps, count / KW, w, add, y, ldy, C, n);
    }
    for (; j + 8 <= n; j += 8) depthwise_pixels_8(src + j * step, step, taps, count, w, 0, add, y + j * ldy, ldy, C);
    if (j + 4 <= n) depthwise_pixels_4(src + j * step, step, taps, count, w, 0, add, y + j * ldy, ldy, C), j += 4;
    if (j + 2 <= n) depthwise_pixels_2(src + j * step, step, taps, count, w, 0, add, y + j * ldy, ldy, C), j += 2;
    if (j < n) depthwise_pixels_1(src + j * step, step, taps, count, w, 0, add, y + j * ldy, ldy, C);
}

/* ---- forward ---- */

INLINE void fused_moments(Fused *f, Totals *t, int *started, const float *y, int64_t pixels) {
    if (!f->moments) return;
    if (!*started) totals_start(t, y, f->v.O);
    *started = 1;
    add_moments(y, t->centre, t->first, t->second, pixels * f->v.O, WIDE(f->v.O));
    totals_flush(t, pixels, f->v.O);
}

static void fused_forward_flat(const MartletCall *call, Fused *f, Totals *t, int *started) {
    const Conv *v = &f->v;
    const float *x = call->in[0];
    float *y = call->out[0];
    int64_t C = v->C / f->unit;
    Tap tap = {0, 0};
    Span s = span_of(call, v->N * v->H * v->W, 48);
    for (int64_t i = s.from; i < s.to; i += f->s.pixels) {
        int64_t n = min64(f->s.pixels, s.to - i);
        const float *a = x + i * v->C;
        if (f->normalises || f->act.kind) {
            fused_source(f, a, f->source, n * v->C);
            a = f->source;
        }
        if (f->halves) {
            to_halves(a, n * v->C, f->pairs);
            a = f->pairs;
        }
        gemm_of(f->tiles, a, C, n, &tap, 1, C, C, f->packed, v->O, y + i * v->O, v->O, 0, 0);
        fused_moments(f, t, started, y + i * v->O, n);
    }
}

static void fused_forward_bands(const MartletCall *call, Fused *f, Totals *t, int *started) {
    const Conv *v = &f->v;
    const float *x = call->in[0];
    int64_t C = v->C / f->unit, pitch = f->s.width * C, Cp = round_up(v->C, 16);
    int joined = !f->depthwise && v->DW == 1;
    int64_t K = joined ? v->KW * C : C, count = joined ? v->KH : v->taps;
    Tap taps[MARTLET_MAX_TAPS];
    for (int64_t k = 0; k < count; k++) {
        int64_t ky = joined ? k : k / v->KW, kx = joined ? 0 : k % v->KW;
        taps[k] = (Tap){ky * v->DH * pitch + kx * v->DW * C, f->depthwise ? k * Cp : k * K};
    }
    Span s = span_of(call, v->N * f->s.bands, 1);
    for (int64_t i = s.from; i < s.to; i++) {
        int64_t n = i / f->s.bands, o0 = i % f->s.bands * f->s.rows, rows = min64(f->s.rows, v->OH - o0);
        Rows r = {o0 * v->SH - v->PT, (rows - 1) * v->SH + (v->KH - 1) * v->DH + 1, -v->PL, f->s.width, v->H, v->W, v->C};
        fill_rows(f, x + n * v->H * v->W * v->C, 0, 0, f->halves ? FRAME_HALVES : FRAME_NUMBERS, &r, f->source);
        float *y = (float *)call->out[0] + (n * v->OH + o0) * v->OW * v->O;
        for (int64_t j = 0; j < rows; j++) {
            const float *from = f->source + j * v->SH * pitch;
            float *to = y + j * v->OW * v->O;
            if (f->depthwise) framed_row(from, v->SW * v->C, taps, count, v->KW, f->packed, 0, to, v->C, v->C, v->OW);
            else gemm_of(f->tiles, from, v->SW * C, v->OW, taps, count, K, v->taps * C, f->packed, v->O, to, v->O, 0, 0);
        }
        fused_moments(f, t, started, y, rows * v->OW);
    }
}

static void normalized_conv2d(const MartletCall *call) {
    Fused f = fused_of(call, 0);
    if (call->phase == 0) {
        if (f.depthwise) depthwise_pack(call, &f.v, call->in[1], f.packed);
        else (f.halves ? pack_pair_panels : pack_panels)(call, call->in[1], f.v.C * f.v.taps, f.v.taps, 1, f.v.taps, f.v.C, f.v.O, f.packed);
        return;
    }
    if (call->phase == 2) {
        totals_moments(call, fused_part(call, &f.s, 0), f.s.each, f.v.O, call->out[1], call->out[2]);
        return;
    }
    if (f.normalises) {
        load_channels(f.normal, call->in[2], f.v.C);
        load_channels(f.normal + size_up(WIDE(f.v.C)), call->in[3], f.v.C);
    }
    Totals t = totals_at(f.totals, f.v.O);
    int started = 0;
    if (is_pointwise(&f.v, call->p)) fused_forward_flat(call, &f, &t, &started);
    else fused_forward_bands(call, &f, &t, &started);
    if (f.moments && !started) totals_start(&t, 0, f.v.O);
}

/* ---- backward ---- */

typedef struct FusedGradients {
    const float *g, *x, *t;
    float *dx, *dw;
    Totals totals;
} FusedGradients;

/* Takes the slope of the activation, and sums, in the gradient of some pixels. */
INLINE void fused_slopes(const Fused *f, FusedGradients *d, int64_t at, int64_t pixels) {
    if (!f->act.kind && !f->sums) return;
    int64_t C = f->v.C, W = WIDE(C);
    slopes[f->act.kind](d->dx + at * C, d->x + at * C, f->normalises ? f->normal : 0, f->normal + size_up(W), d->totals.centre, f->act,
                        f->sums ? d->totals.first : 0, d->totals.second, pixels * C, W);
    if (f->sums) totals_flush(&d->totals, pixels, C);
}

static void fused_backward_flat(const MartletCall *call, Fused *f, FusedGradients *d) {
    const Conv *v = &f->v;
    int by_input = filter_gradient_by_input(v);
    int64_t O = v->O / f->unit;
    Tap tap = {0, 0};
    Span s = span_of(call, v->N * v->H * v->W, 48);
    for (int64_t i = s.from; i < s.to; i += f->s.pixels) {
        int64_t n = min64(f->s.pixels, s.to - i);
        const float *g = d->g + i * v->O, *z = d->x + i * v->C;
        if (f->denormalises) {
            fused_gradient(f, g, d->t + i * v->O, f->gradient, n * v->O);
            g = f->gradient;
        }
        if (f->normalises || f->act.kind) {
            fused_source(f, z, f->source, n * v->C);
            z = f->source;
        }
        int64_t k = n;
        if (f->halves) {
            float *pairs = f->pairs + (n + 1) / 2 * v->C, *halves = pairs + (n + 1) / 2 * v->O;
            to_pairs(z, n, v->C, 2, 1, f->pairs);
            to_pairs(g, n, v->O, 2, 1, pairs);
            if (f->wants_input) to_halves(g, n * v->O, halves);
            z = f->pairs, g = pairs, k = (n + 1) / 2;
        }
        if (by_input) gemm_t_of(f->tiles, g, 0, v->O, v->O, z, 0, v->C, v->C, 1, k, f->partial, v->C);
        else gemm_t_of(f->tiles, z, 0, v->C, v->C, g, 0, v->O, v->O, 1, k, f->partial, v->O);
        if (!f->wants_input) continue;
        if (f->halves) g += k * v->O;
        gemm_of(f->tiles, g, O, n, &tap, 1, O, O, f->packed, v->C, d->dx + i * v->C, v->C, 0, 0);
        fused_slopes(f, d, i, n);
    }
}

/* KH x KW taps of one channel vector over a band, in registers. */
typedef struct FramedFilter {
    const float *z, *d;
    int64_t z_row, z_step, row, column, d_row, step, rows, columns, KW, Cp, lanes;
} FramedFilter;
#define DEFINE_FRAMED_FILTER(KH_, KW_, NAME, LOAD)                                                                           \
    APART void framed_filter_##KH_##x##KW_##_##NAME(const FramedFilter *f, int64_t ky, int64_t kx, float *restrict dw) {       \
        V acc[KH_][KW_];                                                                                                     \
        int64_t lanes = f->lanes, column = f->column, row = f->row;                                                          \
        (void)lanes;                                                                                                         \
        UNROLL for (int a = 0; a < KH_; a++) UNROLL for (int b = 0; b < KW_; b++)                                            \
            acc[a][b] = vload(dw + ((ky + a) * f->KW + kx + b) * f->Cp);                                                     \
        for (int64_t i = 0; i < f->rows; i++) {                                                                              \
            const float *restrict z = f->z + i * f->z_row + ky * row + kx * column, *restrict d = f->d + i * f->d_row;       \
            for (int64_t j = 0; j < f->columns; j++, z += f->z_step, d += f->step) {                                         \
                V g = LOAD(d);                                                                                               \
                UNROLL for (int a = 0; a < KH_; a++) UNROLL for (int b = 0; b < KW_; b++)                                    \
                    acc[a][b] += g * LOAD(z + a * row + b * column);                                                         \
            }                                                                                                                \
        }                                                                                                                    \
        UNROLL for (int a = 0; a < KH_; a++) UNROLL for (int b = 0; b < KW_; b++)                                            \
            vstore(dw + ((ky + a) * f->KW + kx + b) * f->Cp, acc[a][b]);                                                     \
    }
#define DEFINE_FRAMED_FILTERS(KH_, KW_)           \
    DEFINE_FRAMED_FILTER(KH_, KW_, full, vload)   \
    DEFINE_FRAMED_FILTER(KH_, KW_, part, LOAD_PART)
DEFINE_FRAMED_FILTERS(1, 1)
DEFINE_FRAMED_FILTERS(3, 3)
#if REGISTERS == 32
DEFINE_FRAMED_FILTERS(5, 5)
#endif
DEFINE_FRAMED_FILTERS(1, 5)
DEFINE_FRAMED_FILTERS(1, 7)
#define FRAMED_FILTER(KH_, KW_, KY, KX) \
    (q.lanes >= VL ? framed_filter_##KH_##x##KW_##_full : framed_filter_##KH_##x##KW_##_part)(&q, KY, KX, to + c)

static void framed_filter_gradient(const Conv *v, FramedFilter q, float *to) {
    const float *z = q.z, *d = q.d;
    for (int64_t c = 0; c < v->C; c += VL) {
        q.lanes = min64(VL, v->C - c);
        q.z = z + c;
        q.d = d + c;
        if (v->KH == 3 && v->KW == 3) FRAMED_FILTER(3, 3, 0, 0);
#if REGISTERS == 32
        else if (v->KH == 5 && v->KW == 5) FRAMED_FILTER(5, 5, 0, 0);
#endif
        else
            for (int64_t ky = 0; ky < v->KH; ky++) {
                if (v->KW == 7) FRAMED_FILTER(1, 7, ky, 0);
                else if (v->KW == 5) FRAMED_FILTER(1, 5, ky, 0);
                else for (int64_t kx = 0; kx < v->KW; kx++) FRAMED_FILTER(1, 1, ky, kx);
            }
    }
}

static void fused_backward_bands(const MartletCall *call, Fused *f, FusedGradients *d) {
    const Conv *v = &f->v;
    int joined = !f->depthwise && v->DW == 1, by_input = filter_gradient_by_input(v);
    int64_t O = v->O / f->unit, pitch = f->s.width * v->C, gpitch = f->s.gradient_width * O, Cp = round_up(v->C, 16);
    int64_t runs = joined ? v->KH : v->taps, run = joined ? v->KW * v->C : v->C, row = v->taps * v->C;
    Frame whole = gradient_frame(v);
    Span s = span_of(call, v->N * f->s.bands, 1);
    for (int64_t i = s.from; i < s.to; i++) {
        int64_t n = i / f->s.bands, band = i % f->s.bands, o0 = band * f->s.rows, rows = min64(f->s.rows, v->OH - o0);
        int64_t y0 = min64(v->H, o0 * v->SH), y1 = band == f->s.bands - 1 ? v->H : min64(v->H, (o0 + rows) * v->SH);
        Rows in = {o0 * v->SH - v->PT, (rows - 1) * v->SH + (v->KH - 1) * v->DH + 1, -v->PL, f->s.width, v->H, v->W, v->C};
        fill_rows(f, d->x + n * v->H * v->W * v->C, 0, 0, f->halves ? FRAME_PAIRS : FRAME_NUMBERS, &in, f->source);
        /* Rows of the gradient that reach the band's input rows, and at least the band's own. */
        Rows out = {min64(o0, floor_div(y0 + v->PT - (v->KH - 1) * v->DH, v->SH)), 0, whole.left, f->s.gradient_width, v->OH, v->OW, v->O};
        int64_t bottom = y1 > y0 ? max64(o0 + rows, floor_div(y1 - 1 + v->PT, v->SH) + 1) : o0 + rows;
        if (!f->wants_input || y1 <= y0) out.top = o0, bottom = o0 + rows;
        out.count = bottom - out.top;
        int64_t at = n * v->OH * v->OW * v->O;
        fill_rows(f, d->g + at, d->t ? d->t + at : 0, 1, f->halves ? FRAME_HALVES : FRAME_NUMBERS, &out, f->gradient);
        const float *own = f->gradient + (o0 - out.top) * gpitch - out.left * O;
        int64_t own_pitch = gpitch, columns = v->OW;
        if (f->halves) {
            columns = (v->OW + 1) / 2;
            own_pitch = columns * v->O;
            for (int64_t j = 0; j < rows; j++) halves_to_pairs(own + j * gpitch, v->OW, v->O, f->pairs + j * own_pitch);
            own = f->pairs;
        }
        if (f->depthwise) {
            FramedFilter q = {f->source, own, v->SH * pitch, v->SW * v->C, v->DH * pitch, v->DW * v->C, gpitch, v->O, rows, v->OW,
                              v->KW, Cp, VL};
            framed_filter_gradient(v, q, f->partial);
        } else
            for (int64_t t = 0; t < runs; t++) {
                int64_t ky = joined ? t : t / v->KW, kx = joined ? 0 : t % v->KW;
                const float *b = f->source + ky * v->DH * pitch + kx * v->DW * v->C;
                float *to = f->partial + t * run * (by_input ? 1 : v->O);
                int64_t step = f->unit * v->SW * v->C;
                if (by_input) gemm_t_of(f->tiles, own, own_pitch, v->O, v->O, b, v->SH * pitch, step, run, rows, columns, to, row);
                else gemm_t_of(f->tiles, b, v->SH * pitch, step, run, own, own_pitch, v->O, v->O, rows, columns, to, v->O);
            }
        if (!f->wants_input || y1 <= y0) continue;
        Frame frame = {out.top, out.left, out.count, f->s.gradient_width};
        for (int64_t r = 0; r < min64(v->SH, y1 - y0); r++)
            for (int64_t x = 0; x < min64(v->SW, v->W); x++) {
                Tap taps[MARTLET_MAX_TAPS];
                int64_t count = gradient_taps(v, &frame, y0 + r, x, O, f->depthwise ? Cp : O, taps);
                int64_t reached = (v->W - x + v->SW - 1) / v->SW;
                const float *from = f->gradient;
                for (int64_t y = y0 + r; y < y1; y += v->SH, from += gpitch) {
                    float *to = d->dx + ((n * v->H + y) * v->W + x) * v->C;
                    if (f->depthwise)
                        framed_row(from, O, taps, count, count == v->taps ? v->KW : 0, f->packed, 0, to, v->SW * v->C, v->C, reached);
                    else gemm_of(f->tiles, from, O, reached, taps, count, O, v->taps * O, f->packed, v->C, to, v->SW * v->C, 0, 0);
                }
            }
        fused_slopes(f, d, (n * v->H + y0) * v->W, (y1 - y0) * v->W);
    }
}

static void normalized_conv2d_gradient(const MartletCall *call) {
    Fused f = fused_of(call, 1);
    const Conv *v = &f.v;
    int in = 3, out = 0;
    FusedGradients d = {.g = call->in[0], .x = call->in[1]};
    if (f.denormalises) d.t = call->in[in], in += 4;
    int normal = in;
    if (f.normalises) in += 2;
    if (f.wants_input) d.dx = call->out[out++];
    d.dw = call->out[out++];
    if (call->phase == 0) {
        if (!f.wants_input) return;
        if (f.depthwise) depthwise_pack(call, v, call->in[2], f.packed);
        else (f.halves ? pack_pair_panels : pack_panels)(call, call->in[2], v->taps, v->C * v->taps, 1, v->taps, v->O, v->C, f.packed);
        return;
    }
    if (call->phase == 2) {
        if (f.sums) totals_sums(call, fused_part(call, &f.s, 0), f.s.each, v->C, call->out[out]);
        const float *partial = (const float *)call->scratch + f.s.packed + f.s.each - f.s.partial;
        if (f.depthwise) depthwise_filter_finish(call, v, partial, f.s.each, d.dw);
        else dense_filter_finish(call, v, partial, f.s.each, d.dw);
        return;
    }
    int64_t U = size_up(WIDE(v->O));
    if (f.denormalises)
        for (int64_t k = 0; k < 3; k++) load_channels(f.denormal + k * U, call->in[4 + k], v->O);
    if (f.normalises) {
        load_channels(f.normal, call->in[normal], v->C);
        load_channels(f.normal + size_up(WIDE(v->C)), call->in[normal + 1], v->C);
    }
    if (f.sums) {
        d.totals = totals_at(f.totals, v->C);
        totals_start(&d.totals, call->in[in], v->C);
    }
    memset(f.partial, 0, (size_t)f.s.partial * sizeof(float));
    if (is_pointwise(v, call->p)) fused_backward_flat(call, &f, &d);
    else fused_backward_bands(call, &f, &d);
}
