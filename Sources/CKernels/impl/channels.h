/* What fused kernels do with the channels of rows: normalise and activate on load, undo it on gradients, and sum.
 *
 * Coefficients of C channels are repeated over a wide row of W = R C floats, a whole number of vectors, so that a stretch of
 * rows is one flat array. C is such that a wide row has at most MARTLET_WIDE floats (martlet_fused_channels). */
#define WIDE(C) (wide_rows(C) * (C))

INLINE double max_real(double a, double b) { return a > b ? a : b; }

INLINE void repeat_channels(float *to, int64_t C) {
    for (int64_t r = 1; r < wide_rows(C); r++) memcpy(to + r * C, to, (size_t)C * sizeof(float));
}

enum { ACT_NONE, ACT_RELU, ACT_CLIP, ACT_HARD_SWISH };

/* The activation of the normalised x. */
typedef struct Act {
    int64_t kind;
    float low, high;
} Act;

INLINE V vmin(V a, V b) { return -vmax(-a, -b); }

/* The operand stands second: of a NaN and a bound, vmax and vmin give the second. */
INLINE V vactivate(V u, int64_t kind, V low, V high) {
    if (kind == ACT_RELU) return vmax((V){0}, u);
    if (kind == ACT_CLIP) return vmin(high, vmax(low, u));
    if (kind == ACT_HARD_SWISH) return u * vmin(vdup(1), vmax((V){0}, u * vdup(1.0f / 6) + vdup(0.5f)));
    return u;
}

INLINE V vwhere(VI mask, V a, V b) { return (V)((mask & (VI)a) | (~mask & (VI)b)); }

/* g times the slope of the activation at u. */
INLINE V vslope(V u, V g, int64_t kind, V low, V high) {
    if (kind == ACT_RELU) return (V)((VI)(u > (V){0}) & (VI)g);
    if (kind == ACT_CLIP) return (V)((VI)(u > low) & (VI)(u < high) & (VI)g);
    if (kind == ACT_HARD_SWISH)
        return g * vwhere(u <= vdup(-3), (V){0}, vwhere(u >= vdup(3), vdup(1), u * vdup(1.0f / 3) + vdup(0.5f)));
    return g;
}

/* Runs BODY(o, c, LOAD, STORE) for every vector at o of n floats, c being its place in a wide row; SETUP(c) loads coefficients. */
#define FLAT_LOAD_PART(p) vload_n(p, lanes)
#define FLAT_STORE_PART(p, v) vstore_n(p, v, lanes)
#define FLAT(N_, W_, SETUP, BODY)                                          \
    {                                                                      \
        int64_t i = 0;                                                     \
        for (; i + 4 * (W_) <= (N_); i += 4 * (W_))                        \
            for (int64_t c = 0; c < (W_); c += VL) {                       \
                SETUP(c)                                                   \
                BODY(i + c, c, vload, vstore)                              \
                BODY(i + c + (W_), c, vload, vstore)                       \
                BODY(i + c + 2 * (W_), c, vload, vstore)                   \
                BODY(i + c + 3 * (W_), c, vload, vstore)                   \
            }                                                              \
        for (; i < (N_); i += (W_))                                        \
            for (int64_t c = 0; c < min64(W_, (N_) - i); c += VL) {        \
                int64_t lanes = min64(VL, (N_) - i - c);                   \
                SETUP(c)                                                   \
                if (lanes >= VL) {                                         \
                    BODY(i + c, c, vload, vstore)                          \
                } else {                                                   \
                    BODY(i + c, c, FLAT_LOAD_PART, FLAT_STORE_PART)        \
                }                                                          \
            }                                                              \
    }

/* to = act(scale x + shift); scale may be null. */
#define DEFINE_NORMALISE(NAME, KIND)                                                                                        \
    APART void normalise_##NAME(const float *restrict x, const float *restrict scale, const float *restrict shift, Act act, \
                                float *restrict to, int64_t n, int64_t W) {                                                 \
        V low = vdup(act.low), high = vdup(act.high);                                                                       \
        if (scale) FLAT(n, W, NORMALISE_SETUP, NORMALISE_BODY_##NAME)                                                       \
        else FLAT(n, W, NORMALISE_NONE, NORMALISE_PLAIN_##NAME)                                                             \
    }
#define NORMALISE_SETUP(c) V a = vload(scale + c), b = vload(shift + c);
#define NORMALISE_NONE(c)
#define NORMALISE_BODY_none(o, c, LOAD, STORE) STORE(to + (o), vactivate(LOAD(x + (o)) * a + b, ACT_NONE, low, high));
#define NORMALISE_BODY_relu(o, c, LOAD, STORE) STORE(to + (o), vactivate(LOAD(x + (o)) * a + b, ACT_RELU, low, high));
#define NORMALISE_BODY_clip(o, c, LOAD, STORE) STORE(to + (o), vactivate(LOAD(x + (o)) * a + b, ACT_CLIP, low, high));
#define NORMALISE_BODY_hswish(o, c, LOAD, STORE) STORE(to + (o), vactivate(LOAD(x + (o)) * a + b, ACT_HARD_SWISH, low, high));
#define NORMALISE_PLAIN_none(o, c, LOAD, STORE) STORE(to + (o), LOAD(x + (o)));
#define NORMALISE_PLAIN_relu(o, c, LOAD, STORE) STORE(to + (o), vactivate(LOAD(x + (o)), ACT_RELU, low, high));
#define NORMALISE_PLAIN_clip(o, c, LOAD, STORE) STORE(to + (o), vactivate(LOAD(x + (o)), ACT_CLIP, low, high));
#define NORMALISE_PLAIN_hswish(o, c, LOAD, STORE) STORE(to + (o), vactivate(LOAD(x + (o)), ACT_HARD_SWISH, low, high));
DEFINE_NORMALISE(none, ACT_NONE)
DEFINE_NORMALISE(relu, ACT_RELU)
DEFINE_NORMALISE(clip, ACT_CLIP)
DEFINE_NORMALISE(hswish, ACT_HARD_SWISH)
static void (*const normalises[])(const float *, const float *, const float *, Act, float *, int64_t, int64_t) = {
    normalise_none, normalise_relu, normalise_clip, normalise_hswish};

/* to = a g + b t + d: the gradient of what was normalised, from that of the normalised. */
APART void denormalise(const float *restrict g, const float *restrict t, const float *restrict a_, const float *restrict b_,
                       const float *restrict d_, float *restrict to, int64_t n, int64_t W) {
#define DENORMALISE_SETUP(c) V a = vload(a_ + c), b = vload(b_ + c), d = vload(d_ + c);
#define DENORMALISE_BODY(o, c, LOAD, STORE) STORE(to + (o), LOAD(g + (o)) * a + (LOAD(t + (o)) * b + d));
    FLAT(n, W, DENORMALISE_SETUP, DENORMALISE_BODY)
}

/* g *= slope of the activation at scale x + shift, in place; sums of g and of g (x - centre) where first is given. */
#define DEFINE_SLOPES(NAME, KIND)                                                                                              \
    APART void slopes_##NAME(float *restrict g, const float *restrict x, const float *restrict scale,                          \
                             const float *restrict shift, const float *restrict centre, Act act, float *restrict first,        \
                             float *restrict second, int64_t n, int64_t W) {                                                   \
        V low = vdup(act.low), high = vdup(act.high);                                                                          \
        if (first) FLAT_SUMS(n, W, SLOPES_SETUP, SLOPES_BODY_##NAME)                                                           \
        else if (scale) FLAT(n, W, NORMALISE_SETUP, SLOPES_SCALED_##NAME)                                                      \
        else FLAT(n, W, NORMALISE_NONE, SLOPES_PLAIN_##NAME)                                                                   \
    }
/* The same loop with two sums by place, p and q, kept over four rows. */
#define FLAT_SUMS(N_, W_, SETUP, BODY)                                     \
    {                                                                      \
        int64_t i = 0;                                                     \
        for (; i + 4 * (W_) <= (N_); i += 4 * (W_))                        \
            for (int64_t c = 0; c < (W_); c += VL) {                       \
                V p = vload(first + c), q = vload(second + c);             \
                SETUP(c)                                                   \
                BODY(i + c, c, vload, vstore)                              \
                BODY(i + c + (W_), c, vload, vstore)                       \
                BODY(i + c + 2 * (W_), c, vload, vstore)                   \
                BODY(i + c + 3 * (W_), c, vload, vstore)                   \
                vstore(first + c, p);                                      \
                vstore(second + c, q);                                     \
            }                                                              \
        for (; i < (N_); i += (W_))                                        \
            for (int64_t c = 0; c < min64(W_, (N_) - i); c += VL) {        \
                int64_t lanes = min64(VL, (N_) - i - c);                   \
                V p = vload(first + c), q = vload(second + c);             \
                SETUP(c)                                                   \
                if (lanes >= VL) {                                         \
                    BODY(i + c, c, vload, vstore)                          \
                    vstore(first + c, p);                                  \
                    vstore(second + c, q);                                 \
                } else {                                                   \
                    BODY(i + c, c, FLAT_LOAD_PART, FLAT_STORE_PART)        \
                    vstore_n(first + c, p, lanes);                         \
                    vstore_n(second + c, q, lanes);                        \
                }                                                          \
            }                                                              \
    }
#define SLOPES_SETUP(c) V a = vload(scale + c), b = vload(shift + c), k = vload(centre + c);
#define SLOPES_BODY(KIND, o, LOAD, STORE)                                  \
    {                                                                      \
        V u = LOAD(x + (o)), v = vslope(u * a + b, LOAD(g + (o)), KIND, low, high); \
        STORE(g + (o), v);                                                 \
        p += v;                                                            \
        q += v * (u - k);                                                  \
    }
#define SLOPES_SCALED(KIND, o, LOAD, STORE) STORE(g + (o), vslope(LOAD(x + (o)) * a + b, LOAD(g + (o)), KIND, low, high));
#define SLOPES_PLAIN(KIND, o, LOAD, STORE) STORE(g + (o), vslope(LOAD(x + (o)), LOAD(g + (o)), KIND, low, high));
#define SLOPES_BODY_none(o, c, LOAD, STORE) SLOPES_BODY(ACT_NONE, o, LOAD, STORE)
#define SLOPES_BODY_relu(o, c, LOAD, STORE) SLOPES_BODY(ACT_RELU, o, LOAD, STORE)
#define SLOPES_BODY_clip(o, c, LOAD, STORE) SLOPES_BODY(ACT_CLIP, o, LOAD, STORE)
#define SLOPES_BODY_hswish(o, c, LOAD, STORE) SLOPES_BODY(ACT_HARD_SWISH, o, LOAD, STORE)
#define SLOPES_SCALED_none(o, c, LOAD, STORE) SLOPES_SCALED(ACT_NONE, o, LOAD, STORE)
#define SLOPES_SCALED_relu(o, c, LOAD, STORE) SLOPES_SCALED(ACT_RELU, o, LOAD, STORE)
#define SLOPES_SCALED_clip(o, c, LOAD, STORE) SLOPES_SCALED(ACT_CLIP, o, LOAD, STORE)
#define SLOPES_SCALED_hswish(o, c, LOAD, STORE) SLOPES_SCALED(ACT_HARD_SWISH, o, LOAD, STORE)
#define SLOPES_PLAIN_none(o, c, LOAD, STORE) SLOPES_PLAIN(ACT_NONE, o, LOAD, STORE)
#define SLOPES_PLAIN_relu(o, c, LOAD, STORE) SLOPES_PLAIN(ACT_RELU, o, LOAD, STORE)
#define SLOPES_PLAIN_clip(o, c, LOAD, STORE) SLOPES_PLAIN(ACT_CLIP, o, LOAD, STORE)
#define SLOPES_PLAIN_hswish(o, c, LOAD, STORE) SLOPES_PLAIN(ACT_HARD_SWISH, o, LOAD, STORE)
DEFINE_SLOPES(none, ACT_NONE)
DEFINE_SLOPES(relu, ACT_RELU)
DEFINE_SLOPES(clip, ACT_CLIP)
DEFINE_SLOPES(hswish, ACT_HARD_SWISH)
static void (*const slopes[])(float *, const float *, const float *, const float *, const float *, Act, float *, float *, int64_t,
                              int64_t) = {slopes_none, slopes_relu, slopes_clip, slopes_hswish};

/* Adds the sums of x - centre and of its square to first and second. */
APART void add_moments(const float *restrict x, const float *restrict centre, float *restrict first, float *restrict second,
                       int64_t n, int64_t W) {
#define MOMENTS_SETUP(c) V k = vload(centre + c);
#define MOMENTS_BODY(o, c, LOAD, STORE) \
    {                                   \
        V u = LOAD(x + (o)) - k;        \
        p += u;                         \
        q += u * u;                     \
    }
    FLAT_SUMS(n, W, MOMENTS_SETUP, MOMENTS_BODY)
}
/* Running sums of one part: f32 over a block of rows by place in a wide row, f64 by channel from there. */
typedef struct Totals {
    float *first, *second, *centre; /* [W] */
    double *sum, *product, *rows;   /* [C], [C], [1] */
} Totals;

/* Floats of a part's totals of C channels. */
INLINE Totals totals_at(float *memory, int64_t C) {
    int64_t W = round_up(WIDE(C), 16), D = 2 * round_up(C, 16);
    Totals t = {memory, memory + W, memory + 2 * W, (double *)(void *)(memory + 3 * W), (double *)(void *)(memory + 3 * W + D),
                (double *)(void *)(memory + 3 * W + 2 * D)};
    return t;
}
/* Starts the sums of a part, less `centre` [C] (nothing, where it is null). */
INLINE void totals_start(Totals *t, const float *centre, int64_t C) {
    memset(t->first, 0, (size_t)(2 * round_up(WIDE(C), 16)) * sizeof(float));
    memset(t->sum, 0, (size_t)(2 * round_up(C, 16)) * sizeof(double));
    t->rows[0] = 0;
    if (centre) memcpy(t->centre, centre, (size_t)C * sizeof(float));
    else memset(t->centre, 0, (size_t)C * sizeof(float));
    repeat_channels(t->centre, C);
}
APART void totals_flush(Totals *t, int64_t rows, int64_t C) {
    for (int64_t r = 0; r < wide_rows(C); r++)
        for (int64_t c = 0; c < C; c++) {
            t->sum[c] += (double)t->first[r * C + c];
            t->product[c] += (double)t->second[r * C + c];
        }
    t->rows[0] += (double)rows;
    memset(t->first, 0, (size_t)(2 * round_up(WIDE(C), 16)) * sizeof(float));
}

/* Mean and variance of all parts' rows, each part having summed less a centre of its own. The totals of the parts lie `each`
 * floats apart. */
static void totals_moments(const MartletCall *call, float *totals, int64_t each, int64_t C, float *mean, float *variance) {
    Span s = span_of(call, C, 1);
    for (int64_t c = s.from; c < s.to; c++) {
        double rows = 0, sum = 0, square = 0;
        for (int64_t i = 0; i < call->parts; i++) {
            Totals t = totals_at(totals + i * each, C);
            rows += t.rows[0];
            sum += t.sum[c] + t.rows[0] * (double)t.centre[c];
        }
        double mu = sum / rows;
        for (int64_t i = 0; i < call->parts; i++) {
            Totals t = totals_at(totals + i * each, C);
            if (t.rows[0] == 0) continue;
            double shifted = t.sum[c] / t.rows[0], away = shifted + (double)t.centre[c] - mu;
            square += max_real(0, t.product[c] - t.sum[c] * shifted) + t.rows[0] * away * away;
        }
        mean[c] = (float)mu;
        variance[c] = (float)(square / rows);
    }
}

/* Sums of all parts, whose centres are equal, as [2, C]. */
static void totals_sums(const MartletCall *call, float *totals, int64_t each, int64_t C, float *sums) {
    Span s = span_of(call, C, 1);
    for (int64_t c = s.from; c < s.to; c++) {
        double a = 0, b = 0;
        for (int64_t i = 0; i < call->parts; i++) {
            Totals t = totals_at(totals + i * each, C);
            a += t.sum[c];
            b += t.product[c];
        }
        sums[c] = (float)a;
        sums[C + c] = (float)b;
    }
}
