/* Scratch memory of the fused convolutions, in floats; the same for every level. Included by the levels and the dispatcher. */
#ifndef FUSED_SIZES_H
#define FUSED_SIZES_H

static inline int64_t size_up(int64_t n) { return (n + 15) / 16 * 16; }
static inline int64_t size_max(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t size_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t size_floor(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

/* Floats of a wide row: rows of C channels until they fill whole vectors, and a loop over them is long. */
static inline int64_t wide_size(int64_t C) {
    int64_t g = C & -C, rows = g >= 16 ? 1 : 16 / g;
    while (rows * C < 64) rows *= 2;
    return rows * C;
}
/* Floats of the sums of C channels by one part. */
static inline int64_t totals_size(int64_t C) { return 3 * size_up(wide_size(C)) + 4 * size_up(C) + 16; }

typedef struct FusedSizes {
    int64_t packed;                                           /* shared by all parts */
    int64_t totals, normal, denormal, source, gradient, line, pairs, partial; /* of each part, in this order */
    int64_t each;
    int64_t pixels;                                           /* pointwise: pixels of a block */
    int64_t rows, bands;                                      /* else: output rows of a band, bands of an image */
    int64_t width, gradient_width;                            /* columns of the frames */
} FusedSizes;

/* p as of conv2d, then: normalises, activation, moments (forward) or denormalises (backward), sums, wants dx, bf16. */
static inline FusedSizes fused_sizes(const int64_t *p, int backward) {
    int64_t C = p[1], H = p[2], W = p[3], O = p[4], KH = p[5], KW = p[6], SH = p[7], SW = p[8], DH = p[9], DW = p[10];
    int64_t PL = p[12], G = p[15], OH = p[16], OW = p[17], taps = KH * KW;
    int depthwise = C / G == 1 && O / G == 1 && G > 1;
    int flat = taps == 1 && SH == 1 && SW == 1 && !p[11] && !p[12] && !p[13] && !p[14];
    FusedSizes s = {0};
    if (depthwise) s.packed = taps * size_up(C);
    else s.packed = size_up(backward ? taps * O * size_up(C) : taps * C * size_up(O));
    s.normal = p[19] ? 2 * size_up(wide_size(C)) : 0;
    if (backward) {
        s.totals = p[22] ? totals_size(C) : 0;
        s.denormal = p[21] ? 3 * size_up(wide_size(O)) : 0;
        s.partial = depthwise ? taps * size_up(C) : size_up(O * taps * C);
    } else {
        s.totals = p[21] ? totals_size(O) : 0;
    }
    if (flat) {
        s.pixels = size_min(480, size_max(48, 24 * 1024 / (C + O) / 48 * 48));
        s.source = size_up(s.pixels * C);
        s.gradient = backward ? size_up(s.pixels * O) : 0;
        /* Halves of the source; or pairs of pixels of both, and halves of the gradient. */
        if (p[24]) s.pairs = backward ? size_up(s.pixels / 2 * (C + 2 * O)) : size_up(s.pixels / 2 * C);
    } else {
        int64_t left = size_floor(PL - (KW - 1) * DW, SW);
        s.width = (OW - 1) * SW + (KW - 1) * DW + 1;
        s.gradient_width = (W - 1 + PL) / SW - left + 1;
        int64_t per_row = SH * s.width * C + (backward ? s.gradient_width * O : 0);
        s.rows = size_max(1, size_min(OH, 80 * 1024 / per_row));
        if (s.rows < OH) s.rows = size_min(OH, size_max(s.rows, 4));
        s.bands = (OH + s.rows - 1) / s.rows;
        s.rows = (OH + s.bands - 1) / s.bands;
        s.bands = (OH + s.rows - 1) / s.rows;
        s.source = size_up(((s.rows - 1) * SH + (KH - 1) * DH + 1) * s.width * C);
        /* The input rows of a band, and those behind the last window. */
        int64_t inputs = size_max(s.rows * SH, H - (s.bands - 1) * s.rows * SH);
        s.gradient = backward ? size_up(((inputs - 1) / SH + ((KH - 1) * DH + SH - 1) / SH + 2) * s.gradient_width * O) : 0;
        if (p[24]) s.line = size_up(size_max(s.width * C, backward ? s.gradient_width * O : 0));
        if (p[24] && backward) s.pairs = size_up(s.rows * ((OW + 1) / 2) * O);
    }
    s.each = s.totals + s.normal + s.denormal + s.source + s.gradient + s.line + s.pairs + s.partial;
    return s;
}

/* Depthwise convolutions of one image, each with a pointwise one behind it. The integers of a call: how many, normalises,
 * activation, moments (forward) or denormalises (backward), sums, wants dx; then for every one as of conv2d, and the outputs of the
 * pointwise one. */
enum { CHAINS_HEAD = 6, CHAINS_EACH = 20 };
#define MARTLET_MAX_CHAINS 32

/* What each of them has: filters packed for all parts, and the rest for each part. */
typedef struct ChainSizes {
    int64_t packed, packed_last;
    int64_t totals, denormal, partial, partial_last;
    int64_t each;
} ChainSizes;

static inline ChainSizes chain_sizes(const int64_t *p, const int64_t *q, int backward) {
    int64_t C = q[1], taps = q[5] * q[6], K = q[CHAINS_EACH - 1];
    ChainSizes s = {0};
    s.packed = taps * size_up(C);
    s.packed_last = size_up(backward ? K * size_up(C) : C * size_up(K));
    if (backward) {
        s.denormal = p[3] ? 3 * size_up(wide_size(K)) : 0;
        s.partial = taps * size_up(C);
        s.partial_last = size_up(K * C);
    } else {
        s.totals = p[3] ? totals_size(K) : 0;
    }
    s.each = s.totals + s.denormal + s.partial + s.partial_last;
    return s;
}

typedef struct ChainsSizes {
    int64_t shared;                                         /* packed filters of all */
    int64_t totals, normal, source, between, gradient, slope; /* of each part, in this order */
    int64_t own, each;                                      /* behind them what each convolution has */
    int64_t top, left, height, width;                       /* the frame of the image: rows and columns before it, in all */
    int64_t slope_top, slope_left, slope_height, slope_width; /* the frame of the gradients of depthwise results */
} ChainsSizes;

static inline ChainsSizes chains_sizes(const int64_t *p, int backward) {
    const int64_t *q = p + CHAINS_HEAD, *end = q + p[0] * CHAINS_EACH;
    int64_t C = q[1], H = q[2], W = q[3], OH = q[16], OW = q[17], bottom = 0, right = 0, slope_bottom = OH, slope_right = OW, K = 0;
    int64_t own = 0;
    ChainsSizes s = {0};
    for (; q < end; q += CHAINS_EACH) {
        int64_t KH = q[5], KW = q[6], SH = q[7], SW = q[8], DH = q[9], DW = q[10], PT = q[11], PL = q[12];
        ChainSizes one = chain_sizes(p, q, backward);
        s.shared += one.packed + one.packed_last;
        own += one.each;
        K = size_max(K, q[CHAINS_EACH - 1]);
        s.top = size_max(s.top, PT);
        s.left = size_max(s.left, PL);
        bottom = size_max(bottom, (OH - 1) * SH + (KH - 1) * DH + 1 - PT);
        right = size_max(right, (OW - 1) * SW + (KW - 1) * DW + 1 - PL);
        s.slope_top = size_min(s.slope_top, size_floor(PT - (KH - 1) * DH, SH));
        s.slope_left = size_min(s.slope_left, size_floor(PL - (KW - 1) * DW, SW));
        slope_bottom = size_max(slope_bottom, (H - 1 + PT) / SH + 1);
        slope_right = size_max(slope_right, (W - 1 + PL) / SW + 1);
    }
    s.height = s.top + bottom;
    s.width = s.left + right;
    s.slope_height = slope_bottom - s.slope_top;
    s.slope_width = slope_right - s.slope_left;
    s.normal = p[1] ? 2 * size_up(wide_size(C)) : 0;
    s.source = size_up(s.height * s.width * C);
    s.between = size_up(OH * OW * C);
    if (backward) {
        s.totals = p[4] ? totals_size(C) : 0;
        s.gradient = size_up(OH * OW * K);
        s.slope = size_up(s.slope_height * s.slope_width * C);
    }
    s.own = s.totals + s.normal + s.source + s.between + s.gradient + s.slope;
    s.each = s.own + own;
    return s;
}
#endif
