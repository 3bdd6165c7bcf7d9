/* Pooling, channels last. Gradients go through one vector of channels of one image at a time, so parts never meet. */
typedef struct Pool {
    int64_t N, C, H, W, KH, KW, SH, SW, DH, DW, PT, PL, PB, PR, OH, OW, counted;
} Pool;

INLINE Pool pool_of(const int64_t *p) {
    Pool v = {p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], p[9], p[10], p[11], p[12], p[13], p[14], p[15], p[16]};
    return v;
}

/* Offsets (in floats) of the pixels of one window that lie inside the image, in row-major order; their divisor for a mean. */
static int64_t window(const Pool *v, int64_t oy, int64_t ox, int64_t *at, float *divisor) {
    int64_t count = 0, padded = 0;
    for (int64_t ky = 0; ky < v->KH; ky++) {
        int64_t y = oy * v->SH + ky * v->DH - v->PT;
        for (int64_t kx = 0; kx < v->KW; kx++) {
            int64_t x = ox * v->SW + kx * v->DW - v->PL;
            padded += y < v->H + v->PB && x < v->W + v->PR;
            if (y >= 0 && y < v->H && x >= 0 && x < v->W) at[count++] = (y * v->W + x) * v->C;
        }
    }
    *divisor = (float)max64(1, v->counted ? padded : count);
    return count;
}

/* ---- 3 x 3 windows of stride 1 and padding 1, whose sums and maxima are those of columns first ---- */

INLINE int is_box(const Pool *v) {
    return v->KH == 3 && v->KW == 3 && v->SH == 1 && v->SW == 1 && v->DH == 1 && v->DW == 1 && v->PT == 1 && v->PL == 1 &&
           v->PB == 1 && v->PR == 1 && v->W >= 2 && v->H >= 2;
}

/* to = w0 a + w1 b + w2 c over n floats. */
APART void add_three(const float *restrict a, const float *restrict b, const float *restrict c, float w0, float w1, float w2,
                     float *restrict to, int64_t n) {
    V p = vdup(w0), q = vdup(w1), r = vdup(w2);
    int64_t i = 0;
    for (; i + VL <= n; i += VL) vstore(to + i, vload(a + i) * p + vload(b + i) * q + vload(c + i) * r);
    if (i < n) vstore_n(to + i, vload_n(a + i, n - i) * p + vload_n(b + i, n - i) * q + vload_n(c + i, n - i) * r, n - i);
}

/* Rows of y = box of x: the mean of every window, or (transposed) the gradient of it. Columns first, in `sums`. */
static void box_rows(const Pool *v, const float *image, float *y, int64_t row, int64_t rows, int transposed, float *sums) {
    int64_t n = v->W * v->C, C = v->C;
    for (int64_t i = row; i < row + rows; i++, y += n) {
        float share[3];
        for (int64_t k = 0; k < 3; k++) {
            /* The row whose windows count: that of the sum, or each of its terms. */
            int64_t own = transposed ? i + k - 1 : i, cut = own == 0 || own == v->H - 1;
            share[k] = i + k < 1 || i + k > v->H ? 0.0f : v->counted || !cut ? 1.0f / 3 : 0.5f;
        }
        const float *b = image + i * n, *a = i > 0 ? b - n : b, *c = i + 1 < v->H ? b + n : b;
        add_three(a, b, c, share[0], share[1], share[2], sums, n);
        float edge = v->counted ? 1.0f / 3 : 0.5f, inner = 1.0f / 3;
        if (transposed && !v->counted)
            for (int64_t j = 0; j < C; j++) sums[j] *= 1.5f, sums[n - C + j] *= 1.5f;
        if (transposed) edge = inner;
        add_three(sums, sums, sums + C, 0, edge, edge, y, C);
        if (v->W > 2) add_three(sums, sums + C, sums + 2 * C, inner, inner, inner, y + C, n - 2 * C);
        add_three(sums + n - 2 * C, sums + n - C, sums, edge, edge, 0, y + n - C, C);
    }
}

static void box(const MartletCall *call, const Pool *v, int transposed) {
    Span s = span_of(call, v->N * v->H, 1);
    float *sums = (float *)call->scratch + call->part * round_up(v->W * v->C, 16);
    for (int64_t i = s.from; i < s.to;) {
        int64_t row = i % v->H, rows = min64(s.to - i, v->H - row), n = i / v->H;
        box_rows(v, (const float *)call->in[0] + n * v->H * v->W * v->C, (float *)call->out[0] + i * v->W * v->C, row, rows, transposed,
                 sums);
        i += rows;
    }
}

APART void max_three(const float *restrict a, const float *restrict b, const float *restrict c, float *restrict to, int64_t n) {
    int64_t i = 0;
    for (; i + VL <= n; i += VL) vstore(to + i, vmax(vload(c + i), vmax(vload(b + i), vload(a + i))));
    for (; i < n; i++) {
        float m = b[i] > a[i] ? b[i] : a[i];
        to[i] = c[i] > m ? c[i] : m;
    }
}

static void box_max(const MartletCall *call, const Pool *v) {
    int64_t n = v->W * v->C, C = v->C;
    Span s = span_of(call, v->N * v->H, 1);
    float *most = (float *)call->scratch + call->part * round_up(n, 16);
    for (int64_t i = s.from; i < s.to; i++) {
        int64_t row = i % v->H;
        const float *b = (const float *)call->in[0] + i * n;
        float *y = (float *)call->out[0] + i * n;
        max_three(row > 0 ? b - n : b, b, row + 1 < v->H ? b + n : b, most, n);
        max_three(most, most, most + C, y, C);
        if (v->W > 2) max_three(most, most + C, most + 2 * C, y + C, n - 2 * C);
        max_three(most + n - 2 * C, most + n - C, most + n - C, y + n - C, C);
    }
}

/* The place of a window's first maximum, all of whose elements exist, and of one at the border. */
INLINE void place_inside(const float *restrict at, int64_t n, int64_t C, int32_t *to) {
    V best = vload(at - n - C);
    VI place = {0};
    UNROLL for (int t = 1; t < 9; t++) {
        V u = vload(at + (t / 3 - 1) * n + (t % 3 - 1) * C);
        VI above = u > best;
        best = vmax(u, best);
        place = (above & ((VI){0} + t)) | (~above & place);
    }
    vstore((float *)(void *)to, (V)place);
}
APART void place_border(const Pool *v, const float *from, int64_t y, int64_t x, int64_t lanes, int32_t *to) {
    V best = {0};
    VI place = {0};
    int first = 1;
    for (int t = 0; t < 9; t++) {
        int64_t yy = y + t / 3 - 1, xx = x + t % 3 - 1;
        if (yy < 0 || yy >= v->H || xx < 0 || xx >= v->W) continue;
        V u = vload_part(from + (yy * v->W + xx) * v->C, lanes);
        VI above = first ? (VI){0} - 1 : u > best;
        best = first ? u : vmax(u, best);
        place = (above & ((VI){0} + t)) | (~above & place);
        first = 0;
    }
    vstore_part((float *)(void *)to, (V)place, lanes);
}
/* What an element takes of the windows around it: those in which it is at place t. */
INLINE void take_inside(const int32_t *place, int64_t pitch, const float *restrict d, int64_t n, int64_t C, float *to) {
    V sum = {0};
    UNROLL for (int t = 0; t < 9; t++) {
        VI p = (VI)vload((const float *)(const void *)(place + (1 - t / 3) * pitch + (1 - t % 3) * C));
        sum += (V)((p == ((VI){0} + t)) & (VI)vload(d + (1 - t / 3) * n + (1 - t % 3) * C));
    }
    vstore(to, sum);
}
APART void take_border(const Pool *v, const int32_t *place, int64_t pitch, const float *d, int64_t y, int64_t x, int64_t lanes, float *to) {
    V sum = {0};
    for (int t = 0; t < 9; t++) {
        int64_t wy = y + 1 - t / 3, wx = x + 1 - t % 3;
        if (wy < 0 || wy >= v->H || wx < 0 || wx >= v->W) continue;
        VI p = (VI)vload_part((const float *)(const void *)(place + (1 - t / 3) * pitch + (1 - t % 3) * v->C), lanes);
        sum += (V)((p == ((VI){0} + t)) & (VI)vload_part(d + (wy * v->W + wx) * v->C, lanes));
    }
    vstore_part(to, sum, lanes);
}

/* The gradient of a maximum: first the place of every window's first maximum, then what each element takes of its windows. */
static void box_max_gradient(const MartletCall *call, const Pool *v) {
    const float *x = call->in[0], *dy = call->in[1];
    float *dx = call->out[0];
    int64_t n = v->W * v->C, C = v->C, pitch = n + 2 * C, image = v->H * n;
    /* Places, 3 * row + column of the window, with a border that no place equals. */
    int64_t each = round_up((v->H + 2) * pitch + 16, 16);
    int32_t *where = (int32_t *)call->scratch + call->part * each;
    for (int64_t i = 0; i < each; i++) where[i] = -1;
    Span s = span_of(call, v->N, 1);
    for (int64_t b = s.from; b < s.to; b++) {
        const float *from = x + b * image, *d = dy + b * image, *next = b + 1 < s.to ? from + image : 0;
        for (int64_t y = 0; y < v->H; y++) {
            prefetch_share(d, image, y, v->H);
            for (int64_t xx = 0; xx < v->W; xx++) {
                int inside = y > 0 && y + 1 < v->H && xx > 0 && xx + 1 < v->W;
                for (int64_t c = 0; c < C; c += VL) {
                    const float *at = from + y * n + xx * C + c;
                    int32_t *to = where + (y + 1) * pitch + (xx + 1) * C + c;
                    if (inside && C - c >= VL) place_inside(at, n, C, to);
                    else place_border(v, from + c, y, xx, C - c, to);
                }
            }
        }
        for (int64_t y = 0; y < v->H; y++) {
            prefetch_share(next, image, y, v->H);
            for (int64_t xx = 0; xx < v->W; xx++) {
                int inside = y > 0 && y + 1 < v->H && xx > 0 && xx + 1 < v->W;
                for (int64_t c = 0; c < C; c += VL) {
                    const int32_t *place = where + (y + 1) * pitch + (xx + 1) * C + c;
                    float *to = dx + b * image + y * n + xx * C + c;
                    if (inside && C - c >= VL) take_inside(place, pitch, d + y * n + xx * C + c, n, C, to);
                    else take_border(v, place, pitch, d + c, y, xx, C - c, to);
                }
            }
        }
    }
}

static void pool(const MartletCall *call, int average) {
    Pool v = pool_of(call->p);
    if (is_box(&v)) {
        if (average) box(call, &v, 0);
        else box_max(call, &v);
        return;
    }
    const float *x = call->in[0];
    float *y = call->out[0], divisor;
    Span s = span_of(call, v.N * v.OH, 1);
    for (int64_t i = s.from; i < s.to; i++) {
        const float *image = x + i / v.OH * v.H * v.W * v.C;
        for (int64_t ox = 0; ox < v.OW; ox++) {
            int64_t at[MARTLET_MAX_TAPS], count = window(&v, i % v.OH, ox, at, &divisor);
            float *to = y + (i * v.OW + ox) * v.C;
            for (int64_t c = 0; c < v.C; c += VL) {
                int64_t lanes = v.C - c;
                V a = vdup(average ? 0 : -INFINITY);
                if (lanes >= VL) {
                    if (average) for (int64_t t = 0; t < count; t++) a += vload(image + at[t] + c);
                    else for (int64_t t = 0; t < count; t++) a = vmax(vload(image + at[t] + c), a);
                    vstore(to + c, average ? a / vdup(divisor) : a);
                } else {
                    if (average) for (int64_t t = 0; t < count; t++) a += vload_n(image + at[t] + c, lanes);
                    else for (int64_t t = 0; t < count; t++) a = vmax(vload_n(image + at[t] + c, lanes), a);
                    vstore_n(to + c, average ? a / vdup(divisor) : a, lanes);
                }
            }
        }
    }
}

INLINE V vkeep(VI mask, V v) { return (V)(mask & (VI)v); }

static void pool_gradient(const MartletCall *call, int average) {
    Pool v = pool_of(call->p);
    const float *dy = call->in[average ? 0 : 1], *x = average ? 0 : call->in[0];
    float *dx = call->out[0], divisor;
    if (is_box(&v)) {
        if (average) box(call, &v, 1);
        else box_max_gradient(call, &v);
        return;
    }
    /* All channels of an image at a time where there are images for every part, so that a window is looked up once. */
    int64_t vectors = (v.C + VL - 1) / VL, image = v.H * v.W * v.C, own = v.N >= call->parts ? vectors : 1;
    Span s = span_of(call, v.N * (vectors / own), 1);
    for (int64_t i = s.from; i < s.to; i++) {
        int64_t n = i / (vectors / own), first = i % (vectors / own) * VL, last = min64(v.C, first + own * VL);
        float *to = dx + n * image;
        const float *from = x + (x ? n * image : 0);
        for (int64_t j = 0; j < v.H * v.W; j++) memset(to + j * v.C + first, 0, (size_t)(last - first) * sizeof(float));
        for (int64_t j = 0; j < v.OH * v.OW; j++) {
            int64_t at[MARTLET_MAX_TAPS], count = window(&v, j / v.OW, j % v.OW, at, &divisor);
            if (count == 0) continue;
            for (int64_t c = first; c < last; c += VL) {
                int64_t lanes = last - c;
                V d = vload_part(dy + (n * v.OH * v.OW + j) * v.C + c, lanes);
                if (average) {
                    d /= vdup(divisor);
                    for (int64_t t = 0; t < count; t++) vstore_part(to + at[t] + c, vload_part(to + at[t] + c, lanes) + d, lanes);
                    continue;
                }
                V best = vload_part(from + at[0] + c, lanes);
                VI where = {0};
                for (int64_t t = 1; t < count; t++) {
                    V u = vload_part(from + at[t] + c, lanes);
                    VI above = u > best;
                    best = vmax(u, best);
                    where = (above & ((VI){0} + (int32_t)t)) | (~above & where);
                }
                for (int64_t t = 0; t < count; t++) {
                    V add = vkeep(where == ((VI){0} + (int32_t)t), d);
                    vstore_part(to + at[t] + c, vload_part(to + at[t] + c, lanes) + add, lanes);
                }
            }
        }
    }
}
static void max_pool(const MartletCall *call) { pool(call, 0); }
static void average_pool(const MartletCall *call) { pool(call, 1); }
static void max_pool_gradient(const MartletCall *call) { pool_gradient(call, 0); }
static void average_pool_gradient(const MartletCall *call) { pool_gradient(call, 1); }

/* y = the element of t where the window of x has its first maximum. */
static void max_pool_selection(const MartletCall *call) {
    Pool v = pool_of(call->p);
    const float *x = call->in[0], *from = call->in[1];
    float *y = call->out[0], divisor;
    Span s = span_of(call, v.N * v.OH, 1);
    for (int64_t i = s.from; i < s.to; i++)
        for (int64_t ox = 0; ox < v.OW; ox++) {
            int64_t at[MARTLET_MAX_TAPS], count = window(&v, i % v.OH, ox, at, &divisor), image = i / v.OH * v.H * v.W * v.C;
            for (int64_t c = 0; c < v.C; c++) {
                int64_t best = count > 0 ? at[0] : -1;
                for (int64_t t = 1; t < count; t++)
                    if (x[image + at[t] + c] > x[image + best + c]) best = at[t];
                y[(i * v.OW + ox) * v.C + c] = best < 0 ? 0 : from[image + best + c];
            }
        }
}
