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

static void pool(const MartletCall *call, int average) {
    Pool v = pool_of(call->p);
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
    int64_t vectors = (v.C + VL - 1) / VL, image = v.H * v.W * v.C;
    Span s = span_of(call, v.N * vectors, 1);
    for (int64_t i = s.from; i < s.to; i++) {
        int64_t n = i / vectors, c = i % vectors * VL, lanes = min64(VL, v.C - c);
        float *to = dx + n * image + c;
        const float *from = x + (x ? n * image + c : 0);
        for (int64_t j = 0; j < v.H * v.W; j++) vstore_part(to + j * v.C, (V){0}, lanes);
        for (int64_t j = 0; j < v.OH * v.OW; j++) {
            int64_t at[MARTLET_MAX_TAPS], count = window(&v, j / v.OW, j % v.OW, at, &divisor);
            if (count == 0) continue;
            V d = vload_part(dy + (n * v.OH * v.OW + j) * v.C + c, lanes);
            if (average) {
                d /= vdup(divisor);
                for (int64_t t = 0; t < count; t++) vstore_part(to + at[t], vload_part(to + at[t], lanes) + d, lanes);
                continue;
            }
            V best = vload_part(from + at[0], lanes);
            VI where = {0};
            for (int64_t t = 1; t < count; t++) {
                V u = vload_part(from + at[t], lanes);
                VI above = u > best;
                best = vmax(u, best);
                where = (above & ((VI){0} + (int32_t)t)) | (~above & where);
            }
            for (int64_t t = 0; t < count; t++) {
                V add = vkeep(where == ((VI){0} + (int32_t)t), d);
                vstore_part(to + at[t], vload_part(to + at[t], lanes) + add, lanes);
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
