/* Reductions. Dimensions come in memory order; neighbours that are both kept or both reduced are merged first, so what is left
 * alternates. Three shapes have loops of their own: rows -> columns (R K), columns of a row (K R), and K R K. */
enum { SUM, MEAN, MAXIMUM, MINIMUM, SUM_SQUARES, PRODUCT };

INLINE float reduce_one(int64_t op, float a, float x) {
    return op == MAXIMUM ? (x > a ? x : a) : op == MINIMUM ? (x < a ? x : a) : op == SUM_SQUARES ? a + x * x : op == PRODUCT ? a * x : a + x;
}
INLINE float reduce_start(int64_t op) { return op == MAXIMUM ? -INFINITY : op == MINIMUM ? INFINITY : op == PRODUCT ? 1 : 0; }

/* a[c] (op)= x[r, c] over rows. */
#define REDUCE_ROWS(NAME, OP)                                                                                  \
    INLINE void rows_##NAME(const float *restrict x, int64_t rows, int64_t C, float *restrict a) {             \
        int64_t r = 0;                                                                                         \
        for (; r + 4 <= rows; r += 4, x += 4 * C)                                                              \
            for (int64_t c = 0; c < C; c++)                                                                    \
                a[c] = reduce_one(OP, reduce_one(OP, reduce_one(OP, reduce_one(OP, a[c], x[c]), x[C + c]), x[2 * C + c]), x[3 * C + c]); \
        for (; r < rows; r++, x += C)                                                                          \
            for (int64_t c = 0; c < C; c++) a[c] = reduce_one(OP, a[c], x[c]);                                 \
    }
REDUCE_ROWS(sum, SUM)
REDUCE_ROWS(max, MAXIMUM)
REDUCE_ROWS(min, MINIMUM)
REDUCE_ROWS(squares, SUM_SQUARES)
REDUCE_ROWS(product, PRODUCT)

APART void reduce_rows(int64_t op, const float *x, int64_t rows, int64_t C, float *a) {
    if (op == MAXIMUM) rows_max(x, rows, C, a);
    else if (op == MINIMUM) rows_min(x, rows, C, a);
    else if (op == SUM_SQUARES) rows_squares(x, rows, C, a);
    else if (op == PRODUCT) rows_product(x, rows, C, a);
    else rows_sum(x, rows, C, a);
}
INLINE int64_t merge(int64_t op) { return op == MEAN || op == SUM_SQUARES ? SUM : op; }

/* One number from n contiguous ones, in 64 lanes; sums leave f32 after 8192 elements. */
APART double reduce_run(int64_t op, const float *x, int64_t n) {
    double total = (double)reduce_start(op);
    int sums = merge(op) == SUM;
    for (int64_t i = 0; i < n; i += 8192) {
        int64_t m = min64(8192, n - i), even = m / 64 * 64;
        float lanes[64];
        for (int64_t j = 0; j < 64; j++) lanes[j] = reduce_start(op);
        reduce_rows(op, x + i, even / 64, 64, lanes);
        for (int64_t j = even; j < m; j++) lanes[j - even] = reduce_one(op, lanes[j - even], x[i + j]);
        for (int64_t j = 0; j < 64; j++) total = sums ? total + (double)lanes[j] : (double)reduce_one(merge(op), (float)total, lanes[j]);
    }
    return total;
}

/* [rows, C] -> [C] with f64 between blocks of rows; `wide` holds MARTLET_WIDE_OF(C) floats. */
static void reduce_columns(int64_t op, const float *x, int64_t rows, int64_t C, float *wide, double *to) {
    int64_t R = wide_rows(C), W = R * C, sums = merge(op) == SUM;
    for (int64_t c = 0; c < C; c++) to[c] = (double)reduce_start(op);
    for (int64_t r = 0; r < rows;) {
        int64_t block = min64(rows - r, round_up(1024, R)), even = block / R, rest = block % R * C;
        for (int64_t c = 0; c < W; c++) wide[c] = reduce_start(op);
        reduce_rows(op, x + r * C, even, W, wide);
        reduce_rows(op, x + r * C + even * W, rest > 0, rest, wide);
        for (int64_t i = 0; i < R; i++)
            for (int64_t c = 0; c < C; c++) {
                float v = wide[i * C + c];
                to[c] = sums ? to[c] + (double)v : (double)reduce_one(merge(op), (float)to[c], v);
            }
        r += block;
    }
}

static void reduce(const MartletCall *call) {
    const float *x = call->in[0];
    float *y = call->out[0];
    int64_t op = call->p[0], rank = call->p[1], n[MARTLET_MAX_RANK], gone[MARTLET_MAX_RANK], r = 0;
    for (int64_t i = 0; i < rank; i++) {
        int64_t d = call->p[2 + i], g = call->p[2 + rank + i] != 0;
        if (d == 1) continue;
        if (r > 0 && gone[r - 1] == g) n[r - 1] *= d;
        else {
            n[r] = d;
            gone[r++] = g;
        }
    }
    int64_t reduced = 1, kept = 1;
    for (int64_t i = 0; i < r; i++) {
        if (gone[i]) reduced *= n[i];
        else kept *= n[i];
    }
    double factor = op == MEAN ? 1.0 / (double)reduced : 1.0;
    if (r > 0 && gone[0] && r <= 2) { /* R or R K: partial results of every part, merged in order */
        int64_t C = r == 2 ? n[1] : 1, each = round_up(C, 8) + round_up(MARTLET_WIDE_OF(C), 16) / 2;
        double *partial = call->scratch;
        if (call->phase == 0) {
            Span s = span_of(call, n[0], C == 1 ? 64 : wide_rows(C));
            double *to = partial + call->part * each;
            if (C == 1) to[0] = reduce_run(op, x + s.from, s.to - s.from);
            else reduce_columns(op, x + s.from * C, s.to - s.from, C, (float *)(to + round_up(C, 8)), to);
            return;
        }
        Span s = span_of(call, C, 16);
        for (int64_t c = s.from; c < s.to; c++) {
            double total = partial[c];
            for (int64_t i = 1; i < call->parts; i++) {
                double v = partial[i * each + c];
                total = op == MAXIMUM ? (v > total ? v : total) : op == MINIMUM ? (v < total ? v : total) : op == PRODUCT ? total * v : total + v;
            }
            y[c] = (float)(total * factor);
        }
        return;
    }
    if (call->phase == 1) return;
    if (r == 0 || (r == 1 && !gone[0])) {
        Span s = span_of(call, kept, 16);
        for (int64_t i = s.from; i < s.to; i++) y[i] = op == SUM_SQUARES ? x[i] * x[i] : x[i];
    } else if (r == 2) { /* K R */
        Span s = span_of(call, kept, 1);
        for (int64_t i = s.from; i < s.to; i++) y[i] = (float)(reduce_run(op, x + i * reduced, reduced) * factor);
    } else if (r == 3 && !gone[0]) { /* K R K */
        int64_t C = n[2], each = round_up(C, 8) + round_up(MARTLET_WIDE_OF(C), 16) / 2;
        double *to = (double *)call->scratch + call->part * each;
        Span s = span_of(call, n[0], 1);
        for (int64_t i = s.from; i < s.to; i++) {
            reduce_columns(op, x + i * reduced * C, reduced, C, (float *)(to + round_up(C, 8)), to);
            for (int64_t c = 0; c < C; c++) y[i * C + c] = (float)(to[c] * factor);
        }
    } else {
        int64_t stride[MARTLET_MAX_RANK], step = 1;
        for (int64_t d = r - 1; d >= 0; d--) {
            stride[d] = step;
            step *= n[d];
        }
        Span s = span_of(call, kept, 1);
        for (int64_t i = s.from; i < s.to; i++) {
            int64_t base = 0, index = i;
            for (int64_t d = r - 1; d >= 0; d--)
                if (!gone[d]) {
                    base += index % n[d] * stride[d];
                    index /= n[d];
                }
            double total = (double)reduce_start(op);
            for (int64_t j = 0; j < reduced; j++) {
                int64_t at = base, inner = j;
                for (int64_t d = r - 1; d >= 0; d--)
                    if (gone[d]) {
                        at += inner % n[d] * stride[d];
                        inner /= n[d];
                    }
                double v = (double)x[at];
                total = op == MAXIMUM ? (v > total ? v : total)
                        : op == MINIMUM ? (v < total ? v : total)
                        : op == SUM_SQUARES ? total + v * v
                        : op == PRODUCT ? total * v : total + v;
            }
            y[i] = (float)(total * factor);
        }
    }
}
