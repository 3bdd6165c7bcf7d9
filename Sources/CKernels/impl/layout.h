/* Moving elements: strided copies (transpose, slice, broadcast, shuffle, change of layout), concatenation, padding. */
INLINE void copy_elements(const char *x, int64_t sx, char *y, int64_t sy, int64_t n, int64_t size) {
    if (sx == 1 && sy == 1) {
        memcpy(y, x, (size_t)(n * size));
    } else if (size == 4) {
        const uint32_t *restrict from = (const uint32_t *)(const void *)x;
        uint32_t *restrict to = (uint32_t *)(void *)y;
        if (sx == 0 && sy == 1) for (int64_t i = 0; i < n; i++) to[i] = from[0];
        else if (sy == 1) for (int64_t i = 0; i < n; i++) to[i] = from[i * sx];
        else for (int64_t i = 0; i < n; i++) to[i * sy] = from[i * sx];
    } else if (size == 8) {
        const uint64_t *restrict from = (const uint64_t *)(const void *)x;
        uint64_t *restrict to = (uint64_t *)(void *)y;
        for (int64_t i = 0; i < n; i++) to[i * sy] = from[i * sx];
    } else if (size == 1) {
        for (int64_t i = 0; i < n; i++) y[i * sy] = x[i * sx];
    } else {
        for (int64_t i = 0; i < n; i++) memcpy(y + i * sy * size, x + i * sx * size, (size_t)size);
    }
}

/* y[i, j] = x[i, j] with x contiguous in i and y in j: blocks of 16 x 16 keep both sides' lines in the cache. */
APART void transpose_words(const uint32_t *restrict x, int64_t x_j, uint32_t *restrict y, int64_t y_i, int64_t I, int64_t J) {
    for (int64_t i0 = 0; i0 < I; i0 += 16)
        for (int64_t j0 = 0; j0 < J; j0 += 16) {
            int64_t i1 = min64(I, i0 + 16), j1 = min64(J, j0 + 16);
            for (int64_t i = i0; i < i1; i++)
                for (int64_t j = j0; j < j1; j++) y[i * y_i + j] = x[i + j * x_j];
        }
}

/* Rows of n bytes, a multiple of 64, at distances of x_row and y_row bytes. */
APART void copy_rows(const char *restrict x, int64_t x_row, char *restrict y, int64_t y_row, int64_t rows, int64_t n) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < n; j += 64)
            UNROLL for (int k = 0; k < 16; k += VL)
                vstore((float *)(void *)(y + i * y_row + j) + k, vload((const float *)(const void *)(x + i * x_row + j) + k));
}

static void copy(const MartletCall *call) {
    const char *x = call->in[0];
    char *y = call->out[0];
    int64_t size = call->p[0], rank = call->p[1], n[MARTLET_MAX_RANK], sx[MARTLET_MAX_RANK], sy[MARTLET_MAX_RANK], r = 0;
    const int64_t *dims = call->p + 4, *xs = dims + rank, *ys = xs + rank;
    x += call->p[2] * size;
    y += call->p[3] * size;
    for (int64_t i = 0; i < rank; i++) {
        if (dims[i] == 1) continue;
        if (r > 0 && sx[r - 1] == xs[i] * dims[i] && sy[r - 1] == ys[i] * dims[i]) {
            n[r - 1] *= dims[i];
            sx[r - 1] = xs[i];
            sy[r - 1] = ys[i];
        } else {
            n[r] = dims[i];
            sx[r] = xs[i];
            sy[r++] = ys[i];
        }
    }
    if (r <= 1) {
        int64_t total = r ? n[0] : 1, fx = r ? sx[0] : 0, fy = r ? sy[0] : 0;
        Span s = span_of(call, total, 64);
        if (s.to > s.from) copy_elements(x + s.from * fx * size, fx, y + s.from * fy * size, fy, s.to - s.from, size);
        return;
    }
    /* A transposition: bring the dimension along which x is contiguous next to the last one. */
    int64_t turn = -1;
    if (size == 4 && sy[r - 1] == 1 && sx[r - 1] != 1 && sx[r - 1] != 0)
        for (int64_t d = 0; d < r - 1; d++)
            if (sx[d] == 1 && n[d] > 3) turn = d;
    if (turn >= 0) {
        int64_t a = n[turn], b = sx[turn], c = sy[turn];
        for (int64_t d = turn; d + 2 < r; d++) {
            n[d] = n[d + 1];
            sx[d] = sx[d + 1];
            sy[d] = sy[d + 1];
        }
        n[r - 2] = a;
        sx[r - 2] = b;
        sy[r - 2] = c;
    }
    /* Short rows of whole lines, as a slice of an image's channels has, are taken many at a time. */
    int rows = turn < 0 && sx[r - 1] == 1 && sy[r - 1] == 1 && size >= 4 && n[r - 1] * size % 64 == 0 &&
               n[r - 1] * size <= 1024;
    int64_t inner = turn >= 0 || rows ? 2 : 1, outer = 1;
    for (int64_t d = 0; d + inner < r; d++) outer *= n[d];
    Span s = span_of(call, outer, 1), within = {0, n[r - inner]};
    if (outer < call->parts) { /* few but large pieces: split inside */
        s = (Span){0, outer};
        within = span_of(call, within.to, 16);
        if (within.from >= within.to) return;
    }
    for (int64_t i = s.from; i < s.to; i++) {
        int64_t index = i, fx = 0, fy = 0;
        for (int64_t d = r - inner - 1; d >= 0; d--) {
            fx += index % n[d] * sx[d];
            fy += index % n[d] * sy[d];
            index /= n[d];
        }
        if (turn >= 0)
            transpose_words((const uint32_t *)(const void *)(x + (fx + within.from) * 4), sx[r - 1],
                            (uint32_t *)(void *)(y + (fy + within.from * sy[r - 2]) * 4), sy[r - 2], within.to - within.from, n[r - 1]);
        else if (rows)
            copy_rows(x + (fx + within.from * sx[r - 2]) * size, sx[r - 2] * size, y + (fy + within.from * sy[r - 2]) * size,
                      sy[r - 2] * size, within.to - within.from, n[r - 1] * size);
        else
            copy_elements(x + (fx + within.from * sx[r - 1]) * size, sx[r - 1], y + (fy + within.from * sy[r - 1]) * size, sy[r - 1],
                          within.to - within.from, size);
    }
}

/* The copy into a result that is zero elsewhere; its size is the last integer. */
static void scatter(const MartletCall *call) {
    if (call->phase == 1) {
        copy(call);
        return;
    }
    Span s = span_of(call, call->p[4 + 3 * call->p[1]], 64);
    if (s.to > s.from) memset((char *)call->out[0] + s.from * call->p[0], 0, (size_t)((s.to - s.from) * call->p[0]));
}

static void concat(const MartletCall *call) {
    int64_t size = call->p[0], K = call->p[1], outer = call->p[2], width = 0;
    const int64_t *inner = call->p + 3;
    char *y = call->out[0];
    for (int64_t k = 0; k < K; k++) width += inner[k];
    if (outer == 1) {
        for (int64_t k = 0, at = 0; k < K; at += inner[k++]) {
            Span s = span_of(call, inner[k], 64);
            if ((const char *)call->in[k] == y + at * size) continue; /* made in place */
            if (s.to > s.from) memcpy(y + (at + s.from) * size, (const char *)call->in[k] + s.from * size, (size_t)((s.to - s.from) * size));
        }
        return;
    }
    Span s = span_of(call, outer, 1);
    for (int64_t i0 = s.from; i0 < s.to; i0 += 64)
        for (int64_t k = 0, at = 0; k < K; at += inner[k++])
            for (int64_t i = i0; i < min64(s.to, i0 + 64); i++)
                memcpy(y + (i * width + at) * size, (const char *)call->in[k] + i * inner[k] * size, (size_t)(inner[k] * size));
}

static void pad(const MartletCall *call) {
    int64_t rank = call->p[0];
    const int64_t *from = call->p + 1, *before = from + rank, *to = before + rank;
    const float *x = call->in[0];
    float *y = call->out[0], fill = (float)call->f[0];
    int64_t rows = 1, W = rank ? to[rank - 1] : 1, w = rank ? from[rank - 1] : 1, b = rank ? before[rank - 1] : 0;
    for (int64_t d = 0; d + 1 < rank; d++) rows *= to[d];
    int64_t low = min64(W, max64(0, b)), high = max64(low, min64(W, b + w));
    Span s = span_of(call, rows, 1);
    for (int64_t i = s.from; i < s.to; i++) {
        int64_t index = i, at = 0, step = 1, inside = 1;
        for (int64_t d = rank - 2; d >= 0; d--) {
            int64_t j = index % to[d] - before[d];
            index /= to[d];
            inside &= j >= 0 && j < from[d];
            at += j * step;
            step *= from[d];
        }
        float *restrict row = y + i * W;
        int64_t l = inside ? low : W, h = inside ? high : W;
        for (int64_t j = 0; j < l; j++) row[j] = fill;
        if (h > l) memcpy(row + l, x + at * w + l - b, (size_t)(h - l) * sizeof(float));
        for (int64_t j = h; j < W; j++) row[j] = fill;
    }
}
