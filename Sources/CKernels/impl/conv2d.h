/* 2-D convolution: y[n, o, oy, ox] = sum over c, ky, kx of x[n, g Cg + c, oy SH + ky DH - PT, ox SW + kx DW - PL] w[o, c, ky, kx],
 * its input gradient and its filter gradient, as products of packed filters with windows read in place. Images that need a
 * border are copied into a zero-bordered buffer of the part first, so no inner loop knows about borders. */
typedef struct Conv {
    int64_t N, C, H, W, O, KH, KW, SH, SW, DH, DW, PT, PL, G, OH, OW, Cg, Og, taps;
} Conv;

INLINE Conv conv_of(const int64_t *p) {
    Conv v = {p[0], p[1],  p[2],  p[3],  p[4],  p[5],  p[6],         p[7],         p[8],       p[9],
              p[10], p[11], p[12], p[15], p[16], p[17], p[1] / p[15], p[4] / p[15], p[5] * p[6]};
    return v;
}
INLINE int is_pointwise(const Conv *v, const int64_t *p) {
    return v->taps == 1 && v->SH == 1 && v->SW == 1 && !p[11] && !p[12] && !p[13] && !p[14];
}
INLINE int is_depthwise(const Conv *v) { return v->Cg == 1 && v->Og == 1 && v->G > 1; }

/* A window of an image: rows top ..< top + height, columns left ..< left + width, in coordinates of the image. */
typedef struct Frame {
    int64_t top, left, height, width;
} Frame;

/* What the forward pass and the filter gradient read of x. */
INLINE Frame input_frame(const Conv *v) {
    Frame f = {-v->PT, -v->PL, (v->OH - 1) * v->SH + (v->KH - 1) * v->DH + 1, (v->OW - 1) * v->SW + (v->KW - 1) * v->DW + 1};
    return f;
}
/* What the input gradient reads of dy. */
INLINE Frame gradient_frame(const Conv *v) {
    Frame f;
    f.top = floor_div(v->PT - (v->KH - 1) * v->DH, v->SH);
    f.left = floor_div(v->PL - (v->KW - 1) * v->DW, v->SW);
    f.height = (v->H - 1 + v->PT) / v->SH - f.top + 1;
    f.width = (v->W - 1 + v->PL) / v->SW - f.left + 1;
    return f;
}
INLINE int frame_inside(const Frame *f, int64_t H, int64_t W) {
    return f->top >= 0 && f->left >= 0 && f->top + f->height <= H && f->left + f->width <= W;
}

/* Copies the part of image [H, W, C] inside the frame; everything else of the buffer stays as it is (zero). */
static void copy_frame(const float *restrict x, int64_t H, int64_t W, int64_t C, const Frame *f, float *restrict to) {
    int64_t y0 = max64(0, -f->top), y1 = min64(f->height, H - f->top);
    int64_t x0 = max64(0, -f->left), x1 = min64(f->width, W - f->left);
    if (x1 <= x0) return;
    for (int64_t y = y0; y < y1; y++)
        memcpy(to + (y * f->width + x0) * C, x + ((y + f->top) * W + x0 + f->left) * C, (size_t)((x1 - x0) * C) * sizeof(float));
}

INLINE float *part_scratch(const MartletCall *call, int64_t shared, int64_t each) {
    return (float *)call->scratch + round_up(shared, 16) + call->part * round_up(each, 16);
}

/* ---- depthwise, G = C = O: rows of the image as they lie in memory, all channels of a few pixels at a time ---- */

/* M outputs of one channel vector, `step` floats apart in the source: first + sum over taps of w[t.b] src[t.a + j step], and what y
 * holds where `add`. */
#define DEFINE_DEPTHWISE(M, NAME, LOAD, STORE)                                                                             \
    INLINE void depthwise_##M##_##NAME(const float *restrict src, int64_t step, const Tap *restrict taps, int64_t count,   \
                                       const float *restrict w, V first, int add, float *restrict y, int64_t ldy,         \
                                       int64_t lanes) {                                                                    \
        V acc[M];                                                                                                          \
        const float *restrict src3 = src + 3 * step, *restrict src6 = src3 + 3 * step;                                     \
        (void)lanes, (void)src3, (void)src6;                                                                               \
        UNROLL for (int j = 0; j < M; j++) acc[j] = first;                                                                 \
        for (int64_t t = 0; t < count; t++) {                                                                              \
            V wt = vload(w + taps[t].b);                                                                                   \
            int64_t at = taps[t].a;                                                                                        \
            UNROLL for (int j = 0; j < M; j++) acc[j] += wt * LOAD((j < 3 ? src : j < 6 ? src3 : src6) + (at + j % 3 * step)); \
        }                                                                                                                  \
        if (add) UNROLL for (int j = 0; j < M; j++) acc[j] += LOAD(y + j * ldy);                                           \
        UNROLL for (int j = 0; j < M; j++) STORE(y + j * ldy, acc[j]);                                                     \
    }
#define LOAD_PART(p) vload_n(p, lanes)
#define STORE_PART(p, v) vstore_n(p, v, lanes)
DEFINE_DEPTHWISE(8, full, vload, vstore)
DEFINE_DEPTHWISE(4, full, vload, vstore)
DEFINE_DEPTHWISE(2, full, vload, vstore)
DEFINE_DEPTHWISE(1, full, vload, vstore)
DEFINE_DEPTHWISE(4, part, LOAD_PART, STORE_PART)
DEFINE_DEPTHWISE(2, part, LOAD_PART, STORE_PART)
DEFINE_DEPTHWISE(1, part, LOAD_PART, STORE_PART)

/* M outputs of all C channels. */
#define DEFINE_DEPTHWISE_PIXELS(M, P)                                                                                     \
    APART void depthwise_pixels_##M(const float *restrict src, int64_t step, const Tap *restrict taps, int64_t count,     \
                                    const float *restrict w, const float *restrict bias, int add, float *restrict y,      \
                                    int64_t ldy, int64_t C) {                                                             \
        int64_t c = 0;                                                                                                    \
        for (; c + VL <= C; c += VL)                                                                                      \
            depthwise_##M##_full(src + c, step, taps, count, w + c, bias ? vload(bias + c) : (V){0}, add, y + c, ldy, VL); \
        if (c == C) return;                                                                                               \
        V first = bias ? vload_n(bias + c, C - c) : (V){0};                                                               \
        for (int64_t j = 0; j < M; j += P)                                                                                \
            depthwise_##P##_part(src + c + j * step, step, taps, count, w + c, first, add, y + c + j * ldy, ldy, C - c);  \
    }
DEFINE_DEPTHWISE_PIXELS(8, 4)
DEFINE_DEPTHWISE_PIXELS(4, 4)
DEFINE_DEPTHWISE_PIXELS(2, 2)
DEFINE_DEPTHWISE_PIXELS(1, 1)

/* One tap of a row: where it reads for the first output, and its filter row. */
typedef struct RowTap {
    int64_t row, column, filter;
} RowTap;

/* n outputs, ldy floats apart; output j reads column t.column + j stride of row t.row, where that lies inside 0 ..< W. */
static void depthwise_row(const float *image, int64_t W, int64_t C, const RowTap *row, int64_t count, int64_t stride, const float *w,
                          int64_t Cp, const float *bias, float *y, int64_t ldy, int64_t n) {
    Tap taps[MARTLET_MAX_TAPS];
    int64_t low = 0, high = n;
    for (int64_t t = 0; t < count; t++) {
        taps[t] = (Tap){(row[t].row * W + row[t].column) * C, row[t].filter * Cp};
        low = max64(low, -floor_div(row[t].column, stride));
        high = min64(high, floor_div(W - 1 - row[t].column, stride) + 1);
    }
    high = max64(low, high);
    for (int64_t j = 0; j < n;) {
        if (j < low || j >= high) {
            Tap inside[MARTLET_MAX_TAPS];
            int64_t found = 0;
            for (int64_t t = 0; t < count; t++) {
                int64_t x = row[t].column + j * stride;
                if (x >= 0 && x < W) inside[found++] = (Tap){taps[t].a + j * stride * C, taps[t].b};
            }
            depthwise_pixels_1(image, stride * C, inside, found, w, bias, 0, y + j * ldy, ldy, C);
            j++;
            continue;
        }
        const float *src = image + j * stride * C;
        int64_t left = high - j;
        if (left >= 8) depthwise_pixels_8(src, stride * C, taps, count, w, bias, 0, y + j * ldy, ldy, C), j += 8;
        else if (left >= 4) depthwise_pixels_4(src, stride * C, taps, count, w, bias, 0, y + j * ldy, ldy, C), j += 4;
        else if (left >= 2) depthwise_pixels_2(src, stride * C, taps, count, w, bias, 0, y + j * ldy, ldy, C), j += 2;
        else depthwise_pixels_1(src, stride * C, taps, count, w, bias, 0, y + j * ldy, ldy, C), j += 1;
    }
}

/* Filters [C, taps] to [taps, C rounded up], zero beyond C. */
static void depthwise_pack(const MartletCall *call, const Conv *v, const float *restrict w, float *restrict to) {
    int64_t Cp = round_up(v->C, 16);
    Span s = span_of(call, Cp, 16);
    for (int64_t t = 0; t < v->taps; t++)
        for (int64_t c = s.from; c < s.to; c++) to[t * Cp + c] = c < v->C ? w[c * v->taps + t] : 0;
}

static void depthwise_forward(const MartletCall *call, const Conv *v, const float *bias) {
    const float *x = call->in[0], *w = call->scratch;
    float *y = call->out[0];
    int64_t Cp = round_up(v->C, 16);
    Span s = span_of(call, v->N * v->OH, 1);
    for (int64_t i = s.from; i < s.to; i++) {
        RowTap taps[MARTLET_MAX_TAPS];
        int64_t count = 0, top = i % v->OH * v->SH - v->PT;
        for (int64_t ky = 0; ky < v->KH; ky++) {
            int64_t row = top + ky * v->DH;
            if (row < 0 || row >= v->H) continue;
            for (int64_t kx = 0; kx < v->KW; kx++) taps[count++] = (RowTap){row, kx * v->DW - v->PL, ky * v->KW + kx};
        }
        depthwise_row(x + i / v->OH * v->H * v->W * v->C, v->W, v->C, taps, count, v->SW, w, Cp, bias, y + i * v->OW * v->C, v->C, v->OW);
    }
}

/* Taps that reach pixel (y, x) and every SW-th one right of it; their `a` counts elements of depth `unit` in the frame. */
static int64_t gradient_taps(const Conv *v, const Frame *f, int64_t y, int64_t x, int64_t unit, int64_t w_unit, Tap *taps) {
    int64_t count = 0;
    for (int64_t ky = 0; ky < v->KH; ky++) {
        int64_t oy = y + v->PT - ky * v->DH;
        if (oy - floor_div(oy, v->SH) * v->SH) continue;
        for (int64_t kx = 0; kx < v->KW; kx++) {
            int64_t ox = x + v->PL - kx * v->DW;
            if (ox - floor_div(ox, v->SW) * v->SW) continue;
            taps[count++] = (Tap){((floor_div(oy, v->SH) - f->top) * f->width + floor_div(ox, v->SW) - f->left) * unit,
                                  (ky * v->KW + kx) * w_unit};
        }
    }
    return count;
}

static void depthwise_input_gradient(const MartletCall *call, const Conv *v) {
    const float *dy = call->in[0], *w = call->scratch;
    float *dx = call->out[0];
    int64_t Cp = round_up(v->C, 16);
    Span s = span_of(call, v->N * v->H, 1);
    for (int64_t i = s.from; i < s.to; i++) {
        int64_t y = i % v->H;
        for (int64_t x = 0; x < min64(v->SW, v->W); x++) {
            RowTap taps[MARTLET_MAX_TAPS];
            int64_t count = 0;
            for (int64_t ky = 0; ky < v->KH; ky++) {
                int64_t oy = floor_div(y + v->PT - ky * v->DH, v->SH);
                if (oy < 0 || oy >= v->OH || oy * v->SH != y + v->PT - ky * v->DH) continue;
                for (int64_t kx = 0; kx < v->KW; kx++) {
                    int64_t ox = floor_div(x + v->PL - kx * v->DW, v->SW);
                    if (ox * v->SW == x + v->PL - kx * v->DW) taps[count++] = (RowTap){oy, ox, ky * v->KW + kx};
                }
            }
            depthwise_row(dy + i / v->H * v->OH * v->OW * v->C, v->OW, v->C, taps, count, 1, w, Cp, 0, dx + (i * v->W + x) * v->C,
                          v->SW * v->C, (v->W - x + v->SW - 1) / v->SW);
        }
    }
}

/* Rows of x that one filter gradient reads, `zeros` standing for a row outside the image. */
typedef struct FilterRows {
    const float *x, *zeros, *dy;
    int64_t first, rows, low, high, Cp, lanes;
} FilterRows;

/* KH x KW taps (from filter row `ky`, column `kx`) of one channel vector over some rows of dy, in registers. */
#define DEPTHWISE_FILTER_PIXEL(KH_, KW_, LOAD, DX, CHECK)                                                                \
    {                                                                                                                    \
        V g = LOAD(d + ox * C);                                                                                          \
        int64_t xx = ox * v->SW + kx * v->DW - v->PL;                                                                    \
        UNROLL for (int a = 0; a < KH_; a++) UNROLL for (int b = 0; b < KW_; b++)                                        \
            if (!(CHECK) || (xx + b * v->DW >= 0 && xx + b * v->DW < v->W)) acc[a][b] += g * LOAD(src[a] + xx * C + b * (DX)); \
    }
#define DEFINE_DEPTHWISE_FILTER(KH_, KW_, NAME, LOAD)                                                                    \
    APART void depthwise_filter_##KH_##x##KW_##_##NAME(const Conv *v, const FilterRows *f, int64_t ky, int64_t kx,       \
                                                       float *restrict dw) {                                             \
        V acc[KH_][KW_];                                                                                                 \
        int64_t C = v->C, dx = v->DW * C, lanes = f->lanes;                                                              \
        (void)lanes;                                                                                                     \
        UNROLL for (int a = 0; a < KH_; a++) UNROLL for (int b = 0; b < KW_; b++)                                        \
            acc[a][b] = vload(dw + ((ky + a) * v->KW + kx + b) * f->Cp);                                                 \
        for (int64_t oy = f->first; oy < f->first + f->rows; oy++) {                                                     \
            const float *src[KH_], *restrict d = f->dy + oy * v->OW * C;                                                 \
            UNROLL for (int a = 0; a < KH_; a++) {                                                                       \
                int64_t row = oy * v->SH - v->PT + (ky + a) * v->DH;                                                     \
                src[a] = row < 0 || row >= v->H ? f->zeros : f->x + row * v->W * C;                                      \
            }                                                                                                            \
            int64_t ox = 0;                                                                                              \
            for (; ox < f->low; ox++) DEPTHWISE_FILTER_PIXEL(KH_, KW_, LOAD, dx, 1)                                      \
            for (; ox < f->high; ox++) DEPTHWISE_FILTER_PIXEL(KH_, KW_, LOAD, dx, 0)                                     \
            for (; ox < v->OW; ox++) DEPTHWISE_FILTER_PIXEL(KH_, KW_, LOAD, dx, 1)                                       \
        }                                                                                                                \
        UNROLL for (int a = 0; a < KH_; a++) UNROLL for (int b = 0; b < KW_; b++)                                        \
            vstore(dw + ((ky + a) * v->KW + kx + b) * f->Cp, acc[a][b]);                                                 \
    }
#define DEFINE_DEPTHWISE_FILTERS(KH_, KW_)           \
    DEFINE_DEPTHWISE_FILTER(KH_, KW_, full, vload)   \
    DEFINE_DEPTHWISE_FILTER(KH_, KW_, part, LOAD_PART)
DEFINE_DEPTHWISE_FILTERS(1, 1)
DEFINE_DEPTHWISE_FILTERS(3, 3)
#if REGISTERS == 32
DEFINE_DEPTHWISE_FILTERS(5, 5)
#endif
DEFINE_DEPTHWISE_FILTERS(1, 5)
DEFINE_DEPTHWISE_FILTERS(1, 7)
#define DEPTHWISE_FILTER(KH_, KW_, KY, KX)                                                               \
    (f.lanes >= VL ? depthwise_filter_##KH_##x##KW_##_full : depthwise_filter_##KH_##x##KW_##_part)(v, &f, KY, KX, partial + c)

static void depthwise_filter_gradient(const MartletCall *call, const Conv *v) {
    const float *dy = call->in[0], *x = call->in[1];
    int64_t C = v->C, Cp = round_up(C, 16), each = round_up(v->taps * Cp, 16);
    float *partial = part_scratch(call, 0, each), *zeros = part_scratch(call, each * call->parts, v->W * C);
    memset(zeros, 0, (size_t)(v->W * C) * sizeof(float));
    memset(partial, 0, (size_t)each * sizeof(float));
    FilterRows f = {.zeros = zeros, .Cp = Cp};
    f.low = min64(v->OW, max64(0, -floor_div(-v->PL, v->SW)));
    f.high = max64(f.low, min64(v->OW, floor_div(v->W - 1 + v->PL - (v->KW - 1) * v->DW, v->SW) + 1));
    int64_t block = max64(1, 8 * 1024 / (v->OW * C));
    Span s = span_of(call, v->N * v->OH, 1);
    for (int64_t i = s.from; i < s.to;) {
        f.first = i % v->OH;
        f.rows = min64(min64(block, s.to - i), v->OH - f.first);
        for (int64_t c = 0; c < C; c += VL) {
            f.lanes = min64(VL, C - c);
            f.x = x + i / v->OH * v->H * v->W * C + c;
            f.dy = dy + i / v->OH * v->OH * v->OW * C + c;
            if (v->KH == 3 && v->KW == 3) DEPTHWISE_FILTER(3, 3, 0, 0);
#if REGISTERS == 32
            else if (v->KH == 5 && v->KW == 5) DEPTHWISE_FILTER(5, 5, 0, 0);
#endif
            else
                for (int64_t ky = 0; ky < v->KH; ky++) {
                    if (v->KW == 7) DEPTHWISE_FILTER(1, 7, ky, 0);
                    else if (v->KW == 5) DEPTHWISE_FILTER(1, 5, ky, 0);
                    else for (int64_t kx = 0; kx < v->KW; kx++) DEPTHWISE_FILTER(1, 1, ky, kx);
                }
        }
        i += f.rows;
    }
}

/* Adds the parts' sums, which lie `each` floats apart. */
static void depthwise_filter_finish(const MartletCall *call, const Conv *v, const float *partial, int64_t each, float *dw) {
    int64_t Cp = round_up(v->C, 16);
    Span s = span_of(call, v->C, 1);
    for (int64_t c = s.from; c < s.to; c++)
        for (int64_t t = 0; t < v->taps; t++) {
            float sum = 0;
            for (int64_t i = 0; i < call->parts; i++) sum += partial[i * each + t * Cp + c];
            dw[c * v->taps + t] = sum;
        }
}

/* ---- dense and grouped ---- */

/* Pixels taken at once, so that their channels stay in the second-level cache while the filter panels pass. */
INLINE int64_t pixel_block(int64_t channels) { return max64(48, round_up(48 * 1024 / channels, 12)); }

static void pointwise(const MartletCall *call, const float *a, int64_t pixels, int64_t K, int64_t Kg, float *c, int64_t N,
                      int64_t Ng, int64_t G, const float *bias) {
    Tap tap = {0, 0};
    Span s = span_of(call, pixels, 12);
    int64_t block = pixel_block(K);
    for (int64_t i = s.from; i < s.to; i += block)
        for (int64_t g = 0; g < G; g++)
            gemm(a + i * K + g * Kg, K, min64(block, s.to - i), &tap, 1, Kg, Kg, (const float *)call->scratch + g * packed_size(Kg, Ng), Ng,
                 c + i * N + g * Ng, N, bias ? bias + g * Ng : 0, 0);
}

static void dense_forward(const MartletCall *call, const Conv *v, const float *bias) {
    const float *x = call->in[0], *w = call->scratch;
    float *y = call->out[0];
    int64_t each = packed_size(v->taps * v->Cg, v->Og), image = v->H * v->W * v->C;
    Frame f = input_frame(v);
    int direct = frame_inside(&f, v->H, v->W), joined = v->G == 1 && v->DW == 1;
    float *buffer = part_scratch(call, each * v->G, direct ? 0 : f.height * f.width * v->C);
    if (!direct) memset(buffer, 0, (size_t)(f.height * f.width * v->C) * sizeof(float));
    int64_t pitch = direct ? v->W : f.width, count = joined ? v->KH : v->taps, K = joined ? v->KW * v->C : v->Cg;
    Tap taps[MARTLET_MAX_TAPS];
    for (int64_t t = 0; t < count; t++) {
        int64_t ky = joined ? t : t / v->KW, kx = joined ? 0 : t % v->KW;
        taps[t] = (Tap){(ky * v->DH * pitch + kx * v->DW) * v->C, t * K};
    }
    Span s = span_of(call, v->N * v->OH, 1);
    int64_t loaded = -1;
    for (int64_t i = s.from; i < s.to; i++) {
        int64_t n = i / v->OH, oy = i % v->OH;
        if (!direct && n != loaded) {
            copy_frame(x + n * image, v->H, v->W, v->C, &f, buffer);
            loaded = n;
        }
        const float *from = (direct ? x + n * image + (f.top * v->W + f.left) * v->C : buffer) + oy * v->SH * pitch * v->C;
        for (int64_t g = 0; g < v->G; g++)
            gemm(from + g * v->Cg, v->SW * v->C, v->OW, taps, count, K, v->taps * v->Cg, w + g * each, v->Og,
                 y + i * v->OW * v->O + g * v->Og, v->O, bias ? bias + g * v->Og : 0, 0);
    }
}

static void dense_input_gradient(const MartletCall *call, const Conv *v) {
    const float *dy = call->in[0], *w = call->scratch;
    float *dx = call->out[0];
    int64_t each = packed_size(v->taps * v->Og, v->Cg), image = v->OH * v->OW * v->O;
    Frame f = gradient_frame(v), whole = {0, 0, v->OH, v->OW};
    int direct = frame_inside(&f, v->OH, v->OW);
    float *buffer = part_scratch(call, each * v->G, direct ? 0 : f.height * f.width * v->O);
    if (!direct) memset(buffer, 0, (size_t)(f.height * f.width * v->O) * sizeof(float));
    Span s = span_of(call, v->N * v->H, 1);
    int64_t loaded = -1;
    for (int64_t i = s.from; i < s.to; i++) {
        int64_t n = i / v->H, y = i % v->H;
        if (!direct && n != loaded) {
            copy_frame(dy + n * image, v->OH, v->OW, v->O, &f, buffer);
            loaded = n;
        }
        const float *from = direct ? dy + n * image : buffer;
        for (int64_t x = 0; x < min64(v->SW, v->W); x++) {
            Tap taps[MARTLET_MAX_TAPS];
            int64_t count = gradient_taps(v, direct ? &whole : &f, y, x, v->O, v->Og, taps);
            for (int64_t g = 0; g < v->G; g++)
                gemm(from + g * v->Og, v->O, (v->W - x + v->SW - 1) / v->SW, taps, count, v->Og, v->taps * v->Og, w + g * each, v->Cg,
                     dx + (i * v->W + x) * v->C + g * v->Cg, v->SW * v->C, 0, 0);
        }
    }
}

/* The filter gradient as [O, taps, Cg] (channels of x in vectors) or [G, taps, Cg, Og] (channels of dy in vectors): whichever
 * leaves fewer lanes empty. */
INLINE int filter_gradient_by_input(const Conv *v) {
    int64_t run = v->G == 1 && v->DW == 1 ? v->KW * v->Cg : v->Cg;
    return round_up(run, VL) * v->Og <= round_up(v->Og, VL) * run;
}

static void dense_filter_gradient(const MartletCall *call, const Conv *v, int flat) {
    const float *dy = call->in[0], *x = call->in[1];
    int64_t each = round_up(v->O * v->taps * v->Cg, 16), image = v->H * v->W * v->C;
    int joined = v->G == 1 && v->DW == 1, by_input = filter_gradient_by_input(v);
    int64_t runs = joined ? v->KH : v->taps, run = joined ? v->KW * v->C : v->Cg, row = v->taps * v->Cg;
    float *partial = part_scratch(call, 0, each);
    memset(partial, 0, (size_t)each * sizeof(float));
    if (flat) {
        Span s = span_of(call, v->N * v->H * v->W, 12);
        int64_t block = max64(64, min64(512, 24 * 1024 / (v->C + v->O)));
        for (int64_t i = s.from; i < s.to; i += block) {
            int64_t k = min64(block, s.to - i);
            for (int64_t g = 0; g < v->G; g++) {
                const float *a = dy + i * v->O + g * v->Og, *b = x + i * v->C + g * v->Cg;
                float *to = partial + g * v->Og * v->Cg;
                if (by_input) gemm_t(a, 0, v->O, v->Og, b, 0, v->C, v->Cg, 1, k, to, v->Cg);
                else gemm_t(b, 0, v->C, v->Cg, a, 0, v->O, v->Og, 1, k, to, v->Og);
            }
        }
        return;
    }
    Frame f = input_frame(v);
    int direct = frame_inside(&f, v->H, v->W);
    float *buffer = part_scratch(call, each * call->parts, direct ? 0 : f.height * f.width * v->C);
    if (!direct) memset(buffer, 0, (size_t)(f.height * f.width * v->C) * sizeof(float));
    int64_t pitch = direct ? v->W : f.width;
    int64_t block = max64(1, 48 * 1024 / (v->OW * (v->O + v->SH * v->SW * v->C)));
    Span s = span_of(call, v->N * v->OH, 1);
    int64_t loaded = -1;
    for (int64_t i = s.from; i < s.to;) {
        int64_t n = i / v->OH, oy = i % v->OH, rows = min64(min64(block, s.to - i), v->OH - oy);
        if (!direct && n != loaded) {
            copy_frame(x + n * image, v->H, v->W, v->C, &f, buffer);
            loaded = n;
        }
        const float *from = (direct ? x + n * image + (f.top * v->W + f.left) * v->C : buffer) + oy * v->SH * pitch * v->C;
        for (int64_t g = 0; g < v->G; g++)
            for (int64_t t = 0; t < runs; t++) {
                int64_t ky = joined ? t : t / v->KW, kx = joined ? 0 : t % v->KW;
                const float *b = from + (ky * v->DH * pitch + kx * v->DW) * v->C + g * v->Cg;
                const float *a = dy + i * v->OW * v->O + g * v->Og;
                float *to = partial + g * v->Og * row + t * run * (by_input ? 1 : v->Og);
                if (by_input)
                    gemm_t(a, v->OW * v->O, v->O, v->Og, b, v->SH * pitch * v->C, v->SW * v->C, run, rows, v->OW, to, row);
                else gemm_t(b, v->SH * pitch * v->C, v->SW * v->C, run, a, v->OW * v->O, v->O, v->Og, rows, v->OW, to, v->Og);
            }
        i += rows;
    }
}

static void dense_filter_finish(const MartletCall *call, const Conv *v, const float *partial, int64_t each, float *dw) {
    int64_t row = v->taps * v->Cg;
    int by_input = filter_gradient_by_input(v);
    Span s = span_of(call, v->O, 1);
    for (int64_t o = s.from; o < s.to; o++)
        for (int64_t t = 0; t < v->taps; t++)
            for (int64_t c = 0; c < v->Cg; c++) {
                int64_t at = by_input ? o * row + t * v->Cg + c : (o / v->Og * row + t * v->Cg + c) * v->Og + o % v->Og;
                float sum = 0;
                for (int64_t i = 0; i < call->parts; i++) sum += partial[i * each + at];
                dw[(o * v->Cg + c) * v->taps + t] = sum;
            }
}

static void conv2d(const MartletCall *call) {
    Conv v = conv_of(call->p);
    const float *bias = call->p[18] ? call->in[2] : 0;
    float *packed = call->scratch;
    if (call->phase == 0) {
        if (is_depthwise(&v)) depthwise_pack(call, &v, call->in[1], packed);
        else
            for (int64_t g = 0; g < v.G; g++)
                pack_panels(call, (const float *)call->in[1] + g * v.Og * v.Cg * v.taps, v.Cg * v.taps, v.taps, 1, v.taps, v.Cg, v.Og,
                            packed + g * packed_size(v.taps * v.Cg, v.Og));
    } else if (is_depthwise(&v)) depthwise_forward(call, &v, bias);
    else if (is_pointwise(&v, call->p))
        pointwise(call, call->in[0], v.N * v.H * v.W, v.C, v.Cg, call->out[0], v.O, v.Og, v.G, bias);
    else dense_forward(call, &v, bias);
}

static void conv2d_input_gradient(const MartletCall *call) {
    Conv v = conv_of(call->p);
    float *packed = call->scratch;
    if (call->phase == 0) {
        if (is_depthwise(&v)) depthwise_pack(call, &v, call->in[1], packed);
        else
            for (int64_t g = 0; g < v.G; g++)
                pack_panels(call, (const float *)call->in[1] + g * v.Og * v.Cg * v.taps, v.taps, v.Cg * v.taps, 1, v.taps, v.Og, v.Cg,
                            packed + g * packed_size(v.taps * v.Og, v.Cg));
    } else if (is_depthwise(&v)) depthwise_input_gradient(call, &v);
    else if (is_pointwise(&v, call->p))
        pointwise(call, call->in[0], v.N * v.H * v.W, v.O, v.Og, call->out[0], v.C, v.Cg, v.G, 0);
    else dense_input_gradient(call, &v);
}

static void conv2d_filter_gradient(const MartletCall *call) {
    Conv v = conv_of(call->p);
    int depthwise = is_depthwise(&v);
    if (call->phase == 0) {
        if (depthwise) depthwise_filter_gradient(call, &v);
        else dense_filter_gradient(call, &v, is_pointwise(&v, call->p));
    } else if (depthwise)
        depthwise_filter_finish(call, &v, call->scratch, round_up(v.taps * round_up(v.C, 16), 16), call->out[0]);
    else dense_filter_finish(call, &v, call->scratch, round_up(v.O * v.taps * v.Cg, 16), call->out[0]);
}
