/* Functions of one element, written without branches or calls so that a loop over them becomes vectors. */

/* Rounds to nearest by adding and taking away 1.5 * 2^23; relies on no reassociation, which only fast-math would allow. */
#define ROUNDER 12582912.0f

INLINE float power_of_two(int32_t e) { /* -126 <= e <= 127 */
    union { int32_t i; float f; } u = {(e + 127) << 23};
    return u.f;
}

/* e^x within 1.5 ulp: x = n ln 2 + r, a polynomial in r (Taylor to the 7th power), two exact scalings for range. */
INLINE float exp_one(float x) {
    x = x < -104.0f ? -104.0f : x;
    x = x > 89.0f ? 89.0f : x;
    float shifted = x * 1.44269504f + ROUNDER, n = shifted - ROUNDER;
    union { float f; int32_t i; } u = {shifted};
    int32_t e = u.i - 0x4b400000, half = e >> 1;
    float r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    float p = 1.98412698e-4f;
    p = p * r + 1.38888889e-3f;
    p = p * r + 8.33333333e-3f;
    p = p * r + 4.16666667e-2f;
    p = p * r + 1.66666667e-1f;
    p = p * r + 0.5f;
    p = p * r * r + r + 1.0f;
    return p * power_of_two(half) * power_of_two(e - half);
}
INLINE float sigmoid_one(float x) { return 1.0f / (1.0f + exp_one(-x)); }
INLINE float tanh_one(float x) {
    float q = x * x, t = 1.0f - 2.0f / (exp_one(2.0f * x) + 1.0f);
    float s = -8.86323552990220e-3f; /* odd series near 0, where the form above cancels */
    s = s * q + 2.18694885361552e-2f;
    s = s * q - 5.39682539682540e-2f;
    s = s * q + 1.33333333333333e-1f;
    s = s * q - 3.33333333333333e-1f;
    s = x + x * q * s;
    return q < 0.09f ? s : t;
}
INLINE float clip_one(float x, float lo, float hi) {
    x = x < lo ? lo : x;
    return x > hi ? hi : x;
}
INLINE float softplus_one(float x) { return (x > 0 ? x : 0) + log1pf(expf(-fabsf(x))); }
INLINE float gauss_cdf(float x) { return 0.5f * erfcf(x * -0.707106781f); }

typedef struct Unary {
    const float *x, *dy;
    float *y;
    int64_t n;
    float a, b;
} Unary;

#define UNARY(NAME, VALUE, SLOPE)                                                              \
    APART void value_##NAME(Unary u) {                                                         \
        const float *restrict px = u.x;                                                        \
        float *restrict py = u.y, a = u.a, b = u.b;                                            \
        (void)a, (void)b;                                                                      \
        for (int64_t i = 0; i < u.n; i++) {                                                    \
            float x = px[i];                                                                   \
            py[i] = VALUE;                                                                     \
        }                                                                                      \
    }                                                                                          \
    APART void slope_##NAME(Unary u) {                                                         \
        const float *restrict px = u.x, *restrict pd = u.dy;                                   \
        float *restrict py = u.y, a = u.a, b = u.b;                                            \
        (void)a, (void)b;                                                                      \
        for (int64_t i = 0; i < u.n; i++) {                                                    \
            float x = px[i], d = pd[i];                                                        \
            (void)x;                                                                           \
            py[i] = SLOPE;                                                                     \
        }                                                                                      \
    }

UNARY(relu, x < 0 ? 0 : x, x > 0 ? d : 0)
UNARY(clip, clip_one(x, a, b), ((x > a) & (x < b)) ? d : 0)
UNARY(sigmoid, sigmoid_one(x), d * sigmoid_one(x) * (1.0f - sigmoid_one(x)))
UNARY(tanh, tanh_one(x), d * (1.0f - tanh_one(x) * tanh_one(x)))
UNARY(hard_sigmoid, clip_one(x * a + b, 0, 1), ((x * a + b > 0) & (x * a + b < 1)) ? d * a : 0)
UNARY(hard_swish, x *clip_one(x * (1.0f / 6) + 0.5f, 0, 1), d *(x <= -3 ? 0 : x >= 3 ? 1 : x * (1.0f / 3) + 0.5f))
UNARY(silu, x *sigmoid_one(x), d *(sigmoid_one(x) * (1.0f + x * (1.0f - sigmoid_one(x)))))
UNARY(gelu, x *gauss_cdf(x), d *(gauss_cdf(x) + x * 0.398942280f * exp_one(-0.5f * x * x)))
UNARY(elu, x > 0 ? x : a *(exp_one(x) - 1.0f), d *(x > 0 ? 1 : a * exp_one(x)))
UNARY(leaky_relu, x > 0 ? x : a *x, x > 0 ? d : a *d)
UNARY(softplus, softplus_one(x), d *sigmoid_one(x))
UNARY(exp, exp_one(x), d *exp_one(x))
UNARY(log, logf(x), d / x)
UNARY(sqrt, sqrtf(x), 0.5f * d / sqrtf(x))
UNARY(negate, -x, -d)
UNARY(abs, fabsf(x), x > 0 ? d : x < 0 ? -d : 0)
UNARY(reciprocal, 1.0f / x, -d / (x * x))
UNARY(affine, a *x + b, a *d)
UNARY(square, x *x, 2.0f * x * d)
UNARY(erf, erff(x), d * 1.12837917f * exp_one(-x * x))
UNARY(power, powf(x, a), d *a *powf(x, a - 1.0f))
UNARY(sign, x > 0 ? 1 : x < 0 ? -1 : x, 0 * d)
UNARY(floor, floorf(x), 0 * d)
UNARY(ceil, ceilf(x), 0 * d)
UNARY(round, rintf(x), 0 * d)
UNARY(sin, sinf(x), d *cosf(x))
UNARY(cos, cosf(x), -d * sinf(x))
UNARY(log1p, log1pf(x), d / (1.0f + x))
UNARY(expm1, expm1f(x), d *exp_one(x))
UNARY(identity, x, d)
UNARY(indicator, ((x > a) & (x < b)) ? 1 : 0, 0 * d)

#define UNARY_TABLE(KIND)                                                                                              \
    {KIND##_relu, KIND##_clip, KIND##_sigmoid, KIND##_tanh, KIND##_hard_sigmoid, KIND##_hard_swish, KIND##_silu,       \
     KIND##_gelu, KIND##_elu, KIND##_leaky_relu, KIND##_softplus, KIND##_exp, KIND##_log, KIND##_sqrt, KIND##_negate,  \
     KIND##_abs, KIND##_reciprocal, KIND##_affine, KIND##_square, KIND##_erf, KIND##_power, KIND##_sign, KIND##_floor, \
     KIND##_ceil, KIND##_round, KIND##_sin, KIND##_cos, KIND##_log1p, KIND##_expm1, KIND##_identity, KIND##_indicator}
static void (*const unary_values[])(Unary) = UNARY_TABLE(value);
static void (*const unary_slopes[])(Unary) = UNARY_TABLE(slope);

static void unary(const MartletCall *call) {
    Span s = span_of(call, call->p[1], 16);
    Unary u = {(const float *)call->in[0] + s.from, 0, (float *)call->out[0] + s.from, s.to - s.from,
               call->f ? (float)call->f[0] : 0, call->f ? (float)call->f[1] : 0};
    unary_values[call->p[0]](u);
}
static void unary_gradient(const MartletCall *call) {
    Span s = span_of(call, call->p[1], 16);
    Unary u = {(const float *)call->in[0] + s.from, (const float *)call->in[1] + s.from, (float *)call->out[0] + s.from,
               s.to - s.from, call->f ? (float)call->f[0] : 0, call->f ? (float)call->f[1] : 0};
    unary_slopes[call->p[0]](u);
}

/* ---- two operands ---- */

/* rows x columns of y; a and b step by a_r, b_r from row to row and by 0 or 1 (or any stride) within one. */
typedef struct Pairs {
    const float *a, *b;
    float *y;
    int64_t rows, columns, a_r, b_r, a_c, b_c;
} Pairs;

#define BINARY_LOOP(A, B, VALUE)                                       \
    for (int64_t r = 0; r < v.rows; r++) {                             \
        const float *restrict pa = v.a + r * v.a_r;                    \
        const float *restrict pb = v.b + r * v.b_r;                    \
        float *restrict py = v.y + r * v.columns;                      \
        for (int64_t i = 0; i < v.columns; i++) {                      \
            float a = pa[A], b = pb[B];                                \
            py[i] = VALUE;                                             \
        }                                                              \
    }
#define BINARY(NAME, VALUE)                                            \
    APART void pair_##NAME(Pairs v) {                                  \
        if (v.a_c == 1 && v.b_c == 1) {                                \
            BINARY_LOOP(i, i, VALUE)                                   \
        } else if (v.a_c == 1 && v.b_c == 0) {                         \
            BINARY_LOOP(i, 0, VALUE)                                   \
        } else if (v.a_c == 0 && v.b_c == 1) {                         \
            BINARY_LOOP(0, i, VALUE)                                   \
        } else {                                                       \
            BINARY_LOOP(i * v.a_c, i * v.b_c, VALUE)                   \
        }                                                              \
    }
BINARY(add, a + b)
BINARY(subtract, a - b)
BINARY(multiply, a *b)
BINARY(divide, a / b)
BINARY(maximum, a > b ? a : b)
BINARY(minimum, a < b ? a : b)
BINARY(power, powf(a, b))
static void (*const pairs[])(Pairs) = {pair_add, pair_subtract, pair_multiply, pair_divide, pair_maximum, pair_minimum, pair_power};

static void binary(const MartletCall *call) {
    const float *a = call->in[0], *b = call->in[1];
    float *y = call->out[0];
    int64_t rank = call->p[1], n[MARTLET_MAX_RANK], sa[MARTLET_MAX_RANK], sb[MARTLET_MAX_RANK], r = 0;
    const int64_t *dims = call->p + 2, *as = dims + rank, *bs = as + rank;
    for (int64_t i = 0; i < rank; i++) {
        if (dims[i] == 1) continue;
        if (r > 0 && sa[r - 1] == as[i] * dims[i] && sb[r - 1] == bs[i] * dims[i]) {
            n[r - 1] *= dims[i];
            sa[r - 1] = as[i];
            sb[r - 1] = bs[i];
        } else {
            n[r] = dims[i];
            sa[r] = as[i];
            sb[r] = bs[i];
            r++;
        }
    }
    if (r == 0) {
        n[0] = 1;
        sa[0] = sb[0] = 0;
        r = 1;
    }
    if (r == 1) {
        Span s = span_of(call, n[0], 16);
        Pairs v = {a + s.from * sa[0], b + s.from * sb[0], y + s.from, 1, s.to - s.from, 0, 0, sa[0], sb[0]};
        if (v.columns > 0) pairs[call->p[0]](v);
        return;
    }
    /* The last two dimensions are the loops of a Pairs; the ones before count blocks of them. A part takes a range of rows. */
    int64_t columns = n[r - 1], rows = n[r - 2], outer = 1;
    for (int64_t i = 0; i + 2 < r; i++) outer *= n[i];
    Span s = span_of(call, outer * rows, 1);
    for (int64_t i = s.from; i < s.to;) {
        int64_t first = i % rows, count = min64(rows - first, s.to - i), index = i / rows, at = first * sa[r - 2], bt = first * sb[r - 2];
        for (int64_t d = r - 3; d >= 0; d--) {
            at += index % n[d] * sa[d];
            bt += index % n[d] * sb[d];
            index /= n[d];
        }
        Pairs v = {a + at, b + bt, y + i * columns, count, columns, sa[r - 2], sb[r - 2], sa[r - 1], sb[r - 1]};
        pairs[call->p[0]](v);
        i += count;
    }
}

/* ---- many operands ---- */

/* y = sum of w_k x_k over tensors 4 at a time, in blocks that stay in the first-level cache; w == 0 means all ones. */
static void sum_tensors(const MartletCall *call, const float *w, int64_t first, int64_t K, int64_t count) {
    float *y = call->out[0];
    Span s = span_of(call, count, 16);
    for (int64_t i = s.from; i < s.to; i += 2048) {
        int64_t n = min64(2048, s.to - i);
        float *restrict to = y + i;
        for (int64_t k = 0; k < K;) {
            int64_t left = K - k;
            float w0 = w ? w[k] : 1, w1 = w && left > 1 ? w[k + 1] : 1;
            const float *restrict x0 = (const float *)call->in[first + k] + i;
            if (left == 1) {
                if (k == 0) for (int64_t j = 0; j < n; j++) to[j] = w0 * x0[j];
                else for (int64_t j = 0; j < n; j++) to[j] += w0 * x0[j];
                k += 1;
            } else {
                const float *restrict x1 = (const float *)call->in[first + k + 1] + i;
                if (k == 0) for (int64_t j = 0; j < n; j++) to[j] = w0 * x0[j] + w1 * x1[j];
                else for (int64_t j = 0; j < n; j++) to[j] = (to[j] + w0 * x0[j]) + w1 * x1[j];
                k += 2;
            }
        }
        if (K == 0) memset(to, 0, (size_t)n * sizeof(float));
    }
}
static void add_n(const MartletCall *call) { sum_tensors(call, 0, 0, call->p[0], call->p[1]); }
static void weighted_sum(const MartletCall *call) { sum_tensors(call, call->in[0], 1, call->p[0], call->p[1]); }

INLINE float dot_block(const float *restrict a, const float *restrict b, int64_t n) {
    V acc[4] = {{0}, {0}, {0}, {0}};
    int64_t i = 0;
    for (; i + 4 * VL <= n; i += 4 * VL) {
        UNROLL for (int j = 0; j < 4; j++) acc[j] += vload(a + i + j * VL) * vload(b + i + j * VL);
    }
    V sum = (acc[0] + acc[1]) + (acc[2] + acc[3]);
    float total = 0;
    for (int j = 0; j < VL; j++) total += sum[j];
    for (; i < n; i++) total += a[i] * b[i];
    return total;
}

/* y_k = d . x_k: sums of every part, merged in order. */
static void weighted_sum_dots(const MartletCall *call) {
    int64_t K = call->p[0];
    double *sums = call->scratch;
    if (call->phase == 1) {
        float *y = call->out[0];
        if (call->part) return;
        for (int64_t k = 0; k < K; k++) {
            double total = 0;
            for (int64_t i = 0; i < call->parts; i++) total += sums[i * round_up(K, 8) + k];
            y[k] = (float)total;
        }
        return;
    }
    sums += call->part * round_up(K, 8);
    for (int64_t k = 0; k < K; k++) sums[k] = 0;
    Span s = span_of(call, call->p[1], 16);
    for (int64_t i = s.from; i < s.to; i += 2048)
        for (int64_t k = 0; k < K; k++)
            sums[k] += (double)dot_block((const float *)call->in[0] + i, (const float *)call->in[1 + k] + i, min64(2048, s.to - i));
}
