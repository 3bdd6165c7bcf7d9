/* Register tiles of matrix products.
 *
 * `tile`:   C[m, n] (+)= bias[n] + sum over taps t and k of A[m, t, k] B[t, k, n], with A[m, t, k] = a[m lda + taps[t].a + k]
 *           (a pixel's channels are contiguous) and B packed in panels of NV vectors: row r of the panel at b + r NV VL, tap t
 *           starting at row taps[t].b.
 * `tile_t`: C[m, n] += sum over rows r and columns k of A[r, k, m] B[r, k, n]: both operands have m or n contiguous;
 *           this is the weight gradient, its sum running over pixels.
 *
 * Sizes are literals: arrays indexed by run-time sizes do not stay in registers. */
typedef struct Tap {
    int64_t a, b;
} Tap;

typedef void (*Tile)(const float *a, int64_t lda, const Tap *taps, int64_t count, int64_t K, const float *b, float *c,
                     int64_t ldc, int64_t lanes, const float *bias, int add);

#define DEFINE_TILE(NAME, DUP, DOT, MR, NV)                                                                              \
    APART void NAME##_##MR##x##NV(const float *restrict a, int64_t lda, const Tap *restrict taps, int64_t count, int64_t K, \
                                const float *restrict b, float *restrict c, int64_t ldc, int64_t lanes,                   \
                                const float *restrict bias, int add) {                                                    \
        V acc[MR][NV];                                                                                                    \
        UNROLL for (int n = 0; n < NV; n++) {                                                                             \
            V v = {0};                                                                                                    \
            if (bias) v = n == NV - 1 ? vload_part(bias + n * VL, lanes) : vload(bias + n * VL);                          \
            UNROLL for (int m = 0; m < MR; m++) acc[m][n] = v;                                                            \
        }                                                                                                                 \
        for (int64_t t = 0; t < count; t++) {                                                                             \
            const float *restrict a0 = a + taps[t].a;                                                                     \
            const float *restrict a1 = a0 + 3 * lda, *restrict a2 = a1 + 3 * lda, *restrict a3 = a2 + 3 * lda;            \
            const float *restrict a4 = a3 + 3 * lda;                                                                      \
            const float *restrict bt = b + taps[t].b * (NV * VL);                                                         \
            for (int64_t k = 0; k < K; k++, bt += NV * VL) {                                                              \
                V bv[NV];                                                                                                 \
                UNROLL for (int n = 0; n < NV; n++) bv[n] = vload(bt + n * VL);                                           \
                UNROLL for (int m = 0; m < MR; m++) {                                                                     \
                    const float *row = m < 3 ? a0 : m < 6 ? a1 : m < 9 ? a2 : m < 12 ? a3 : a4;                           \
                    V s = DUP(row + m % 3 * lda + k);                                                                     \
                    UNROLL for (int n = 0; n < NV; n++) acc[m][n] = DOT(acc[m][n], s, bv[n]);                             \
                }                                                                                                         \
            }                                                                                                             \
        }                                                                                                                 \
        UNROLL for (int m = 0; m < MR; m++) {                                                                             \
            float *restrict row = c + m * ldc;                                                                            \
            UNROLL for (int n = 0; n < NV; n++) {                                                                         \
                V v = acc[m][n];                                                                                          \
                if (n == NV - 1 && lanes < VL) {                                                                          \
                    if (add) v += vload_n(row + n * VL, lanes);                                                           \
                    vstore_n(row + n * VL, v, lanes);                                                                     \
                } else {                                                                                                  \
                    if (add) v += vload(row + n * VL);                                                                    \
                    vstore(row + n * VL, v);                                                                              \
                }                                                                                                         \
            }                                                                                                             \
        }                                                                                                                 \
    }

typedef void (*TileT)(const float *a, int64_t a_row, int64_t a_k, const float *b, int64_t b_row, int64_t b_k, int64_t rows,
                      int64_t K, float *c, int64_t ldc, int64_t lanes);

#define TILE_T_LOOP(DUP, DOT, MR, NV, LAST)                                                                                        \
    for (int64_t r = 0; r < rows; r++) {                                                                                 \
        const float *restrict ar = a + r * a_row;                                                                        \
        const float *restrict br = b + r * b_row;                                                                        \
        for (int64_t k = 0; k < K; k++, ar += a_k, br += b_k) {                                                          \
            V bv[NV];                                                                                                    \
            UNROLL for (int n = 0; n < NV; n++) bv[n] = n == NV - 1 ? (LAST) : vload(br + n * VL);                       \
            UNROLL for (int m = 0; m < MR; m++) {                                                                        \
                V s = DUP(ar + m);                                                                                       \
                UNROLL for (int n = 0; n < NV; n++) acc[m][n] = DOT(acc[m][n], s, bv[n]);                                \
            }                                                                                                            \
        }                                                                                                                \
    }

#define DEFINE_TILE_T(NAME, DUP, DOT, MR, NV)                                                                            \
    APART void NAME##_t_##MR##x##NV(const float *restrict a, int64_t a_row, int64_t a_k, const float *restrict b,          \
                                  int64_t b_row, int64_t b_k, int64_t rows, int64_t K, float *restrict c, int64_t ldc,    \
                                  int64_t lanes) {                                                                       \
        V acc[MR][NV];                                                                                                   \
        UNROLL for (int m = 0; m < MR; m++) UNROLL for (int n = 0; n < NV; n++) acc[m][n] = (V){0};                      \
        if (lanes >= VL) {                                                                                               \
            TILE_T_LOOP(DUP, DOT, MR, NV, vload(br + (NV - 1) * VL))                                                               \
        } else {                                                                                                         \
            TILE_T_LOOP(DUP, DOT, MR, NV, vload_n(br + (NV - 1) * VL, lanes))                                                      \
        }                                                                                                                \
        UNROLL for (int m = 0; m < MR; m++) UNROLL for (int n = 0; n < NV; n++) {                                        \
            float *at = c + m * ldc + n * VL;                                                                            \
            if (n == NV - 1 && lanes < VL) vstore_n(at, vload_n(at, lanes) + acc[m][n], lanes);                          \
            else vstore(at, vload(at) + acc[m][n]);                                                                      \
        }                                                                                                                \
    }

/* Numbers are f32, or pairs of bf16 (see bfloat.h) whose sizes and distances count pairs; the result is f32. */
#define NUMBER_DUP(p) vdup(*(p))
#define NUMBER_DOT(sum, a, b) ((sum) + (a) * (b))
#define DEFINE_BOTH(MR, NV)                                  \
    DEFINE_TILE(tile, NUMBER_DUP, NUMBER_DOT, MR, NV)        \
    DEFINE_TILE_T(tile, NUMBER_DUP, NUMBER_DOT, MR, NV)      \
    DEFINE_TILE(pair, pair_dup, pair_dot, MR, NV)            \
    DEFINE_TILE_T(pair, pair_dup, pair_dot, MR, NV)
#define NAMES(KIND, NV) \
    KIND##_1x##NV, KIND##_2x##NV, KIND##_3x##NV, KIND##_4x##NV
DEFINE_BOTH(1, 1) DEFINE_BOTH(2, 1) DEFINE_BOTH(3, 1) DEFINE_BOTH(4, 1) DEFINE_BOTH(5, 1) DEFINE_BOTH(6, 1)
DEFINE_BOTH(7, 1) DEFINE_BOTH(8, 1) DEFINE_BOTH(9, 1) DEFINE_BOTH(10, 1) DEFINE_BOTH(11, 1) DEFINE_BOTH(12, 1)
DEFINE_BOTH(1, 2) DEFINE_BOTH(2, 2) DEFINE_BOTH(3, 2) DEFINE_BOTH(4, 2) DEFINE_BOTH(5, 2) DEFINE_BOTH(6, 2)
DEFINE_BOTH(1, 3) DEFINE_BOTH(2, 3) DEFINE_BOTH(3, 3) DEFINE_BOTH(4, 3)
#if REGISTERS == 32
DEFINE_BOTH(7, 2) DEFINE_BOTH(8, 2) DEFINE_BOTH(9, 2) DEFINE_BOTH(10, 2) DEFINE_BOTH(11, 2) DEFINE_BOTH(12, 2)
DEFINE_BOTH(5, 3) DEFINE_BOTH(6, 3) DEFINE_BOTH(7, 3) DEFINE_BOTH(8, 3)
#define WIDE2(KIND) , KIND##_7x2, KIND##_8x2, KIND##_9x2, KIND##_10x2, KIND##_11x2, KIND##_12x2
#define WIDE3(KIND) , KIND##_5x3, KIND##_6x3, KIND##_7x3, KIND##_8x3
static const int64_t tile_rows[4] = {0, 12, 12, 8};
#else
#define WIDE2(KIND)
#define WIDE3(KIND)
static const int64_t tile_rows[4] = {0, 12, 6, 4};
#endif
#define TILE_TABLE(KIND)                                                                                     \
    {{0},                                                                                                    \
     {0, NAMES(KIND, 1), KIND##_5x1, KIND##_6x1, KIND##_7x1, KIND##_8x1, KIND##_9x1, KIND##_10x1, KIND##_11x1, \
      KIND##_12x1},                                                                                          \
     {0, NAMES(KIND, 2), KIND##_5x2, KIND##_6x2 WIDE2(KIND)},                                                \
     {0, NAMES(KIND, 3) WIDE3(KIND)}}
typedef struct Tiles {
    Tile straight[4][13];
    TileT crossed[4][13];
} Tiles;
static const Tiles number_tiles = {TILE_TABLE(tile), TILE_TABLE(tile_t)};
static const Tiles pair_tiles = {TILE_TABLE(pair), TILE_TABLE(pair_t)};

/* Vectors in the next panel when `left` are left: pairs, with one panel of three when the number is odd. */
INLINE int64_t panel_vectors(int64_t left) { return left == 1 ? 1 : left % 2 ? 3 : 2; }

/* Floats of one packed K x N operand. */
INLINE int64_t packed_size(int64_t K, int64_t N) { return K * round_up(N, 16); }

/* Packs rows k (k = (t, c), tap major) of B[t, c, n] = w[n w_n + c w_c + taps t w_t] into panels; this part's share. */
static void pack_panels(const MartletCall *call, const float *restrict w, int64_t w_n, int64_t w_c, int64_t w_t,
                        int64_t taps, int64_t C, int64_t N, float *restrict to) {
    int64_t rows = taps * C, left = (N + VL - 1) / VL;
    Span s = span_of(call, rows, 1);
    for (int64_t n0 = 0; left > 0;) {
        int64_t nv = panel_vectors(left), width = nv * VL, valid = min64(width, N - n0);
        for (int64_t k = s.from; k < s.to; k++) {
            const float *restrict from = w + k / C * w_t + k % C * w_c + n0 * w_n;
            float *restrict row = to + k * width;
            for (int64_t n = 0; n < valid; n++) row[n] = from[n * w_n];
            for (int64_t n = valid; n < width; n++) row[n] = 0;
        }
        to += rows * width;
        n0 += width;
        left -= nv;
    }
}

/* The same in pairs of bf16; C is even. */
static void pack_pair_panels(const MartletCall *call, const float *restrict w, int64_t w_n, int64_t w_c, int64_t w_t,
                             int64_t taps, int64_t C, int64_t N, float *restrict to) {
    int64_t rows = taps * (C / 2), left = (N + VL - 1) / VL;
    Span s = span_of(call, rows, 1);
    for (int64_t n0 = 0; left > 0;) {
        int64_t nv = panel_vectors(left), width = nv * VL, valid = min64(width, N - n0);
        for (int64_t k = s.from; k < s.to; k++) {
            const float *restrict from = w + k / (C / 2) * w_t + k % (C / 2) * 2 * w_c + n0 * w_n;
            Half *restrict row = (Half *)(void *)(to + k * width);
            for (int64_t n = 0; n < valid; n++) row[2 * n] = to_half(from[n * w_n]), row[2 * n + 1] = to_half(from[n * w_n + w_c]);
            for (int64_t n = valid; n < width; n++) row[2 * n] = row[2 * n + 1] = 0;
        }
        to += rows * width;
        n0 += width;
        left -= nv;
    }
}

/* C[rows, N] = A[rows, taps, K] B, `total` being the rows of B in all. Rows of a run even out over its tiles. */
static void gemm_of(const Tiles *tiles, const float *a, int64_t lda, int64_t rows, const Tap *taps, int64_t count, int64_t K, int64_t total,
                 const float *b, int64_t N, float *c, int64_t ldc, const float *bias, int add) {
    int64_t left = (N + VL - 1) / VL;
    for (int64_t n0 = 0; left > 0;) {
        int64_t nv = panel_vectors(left), width = nv * VL, lanes = min64(VL, N - n0 - (nv - 1) * VL);
        int64_t pieces = (rows + tile_rows[nv] - 1) / tile_rows[nv];
        for (int64_t i = 0; i < pieces; i++) {
            int64_t m = rows * i / pieces, m1 = rows * (i + 1) / pieces;
            tiles->straight[nv][m1 - m](a + m * lda, lda, taps, count, K, b, c + m * ldc + n0, ldc, lanes, bias ? bias + n0 : 0, add);
        }
        b += total * width;
        n0 += width;
        left -= nv;
    }
}

/* C[M, N] += A' B over `rows` x K pixels. */
static void gemm_t_of(const Tiles *tiles, const float *a, int64_t a_row, int64_t a_k, int64_t M, const float *b, int64_t b_row, int64_t b_k,
                   int64_t N, int64_t rows, int64_t K, float *c, int64_t ldc) {
    int64_t left = (N + VL - 1) / VL;
    for (int64_t n0 = 0; left > 0;) {
        int64_t nv = panel_vectors(left), lanes = min64(VL, N - n0 - (nv - 1) * VL);
        int64_t pieces = (M + tile_rows[nv] - 1) / tile_rows[nv];
        for (int64_t i = 0; i < pieces; i++) {
            int64_t m = M * i / pieces, m1 = M * (i + 1) / pieces;
            tiles->crossed[nv][m1 - m](a + m, a_row, a_k, b + n0, b_row, b_k, rows, K, c + m * ldc + n0, ldc, lanes);
        }
        n0 += nv * VL;
        left -= nv;
    }
}

INLINE void gemm(const float *a, int64_t lda, int64_t rows, const Tap *taps, int64_t count, int64_t K, int64_t total,
                 const float *b, int64_t N, float *c, int64_t ldc, const float *bias, int add) {
    gemm_of(&number_tiles, a, lda, rows, taps, count, K, total, b, N, c, ldc, bias, add);
}
INLINE void gemm_t(const float *a, int64_t a_row, int64_t a_k, int64_t M, const float *b, int64_t b_row, int64_t b_k,
                   int64_t N, int64_t rows, int64_t K, float *c, int64_t ldc) {
    gemm_t_of(&number_tiles, a, a_row, a_k, M, b, b_row, b_k, N, rows, K, c, ldc);
}
