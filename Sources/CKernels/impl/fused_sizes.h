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

/* A depthwise convolution with a pointwise one of p[24] outputs behind it. */
typedef struct ChainSizes {
    int64_t packed, packed_last; /* shared by all parts */
    int64_t totals, normal, denormal, source, between, gradient, slope, partial, partial_last;
    int64_t each, width, gradient_width;
} ChainSizes;

static inline ChainSizes chain_sizes(const int64_t *p, int backward) {
    int64_t C = p[1], H = p[2], W = p[3], KH = p[5], KW = p[6], SH = p[7], SW = p[8], DH = p[9], DW = p[10], PT = p[11], PL = p[12];
    int64_t OH = p[16], OW = p[17], K = p[24];
    ChainSizes s = {0};
    s.packed = KH * KW * size_up(C);
    s.packed_last = size_up(backward ? K * size_up(C) : C * size_up(K));
    s.normal = p[19] ? 2 * size_up(wide_size(C)) : 0;
    s.width = (OW - 1) * SW + (KW - 1) * DW + 1;
    s.source = size_up(((OH - 1) * SH + (KH - 1) * DH + 1) * s.width * C);
    s.between = size_up(OH * OW * C);
    if (backward) {
        int64_t top = size_floor(PT - (KH - 1) * DH, SH), left = size_floor(PL - (KW - 1) * DW, SW);
        s.gradient_width = (W - 1 + PL) / SW - left + 1;
        s.totals = p[22] ? totals_size(C) : 0;
        s.denormal = p[21] ? 3 * size_up(wide_size(K)) : 0;
        s.gradient = size_up(OH * OW * K);
        s.slope = size_up(((H - 1 + PT) / SH - top + 1) * s.gradient_width * C);
        s.partial = KH * KW * size_up(C);
        s.partial_last = size_up(K * C);
    } else {
        s.totals = p[21] ? totals_size(K) : 0;
    }
    s.each = s.totals + s.normal + s.denormal + s.source + s.between + s.gradient + s.slope + s.partial + s.partial_last;
    return s;
}
#endif
