/* Vectors of one instruction set. A level file sets MARTLET_LEVEL, includes the system headers, pushes the target
 * attribute and then includes every file of this folder; all functions here are static, so each level has its own. */
#if MARTLET_LEVEL >= 2
#define VL 16
#define REGISTERS 32
#elif MARTLET_LEVEL == 1
#define VL 8
#define REGISTERS 16
#else
#define VL 4
#if defined(__aarch64__)
#define REGISTERS 32
#else
#define REGISTERS 16
#endif
#endif

#define INLINE static inline __attribute__((always_inline))
#define APART static __attribute__((noinline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

typedef float V __attribute__((vector_size(VL * 4)));
typedef float VU __attribute__((vector_size(VL * 4), aligned(4), may_alias));
typedef int32_t VI __attribute__((vector_size(VL * 4)));

INLINE V vload(const float *p) { return *(const VU *)p; }
INLINE void vstore(float *p, V v) { *(VU *)p = v; }
INLINE V vdup(float s) { return s - (V){0}; } /* s - 0 is s, also for -0 */

#if MARTLET_LEVEL >= 2
INLINE V vload_n(const float *p, int64_t n) { return (V)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p); }
INLINE void vstore_n(float *p, V v, int64_t n) { _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v); }
INLINE V vmax(V a, V b) { return (V)_mm512_max_ps((__m512)a, (__m512)b); } /* a > b ? a : b */
#elif MARTLET_LEVEL == 1
static const int32_t lane_masks[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
INLINE V vload_n(const float *p, int64_t n) {
    return (V)_mm256_maskload_ps(p, _mm256_loadu_si256((const __m256i *)(const void *)(lane_masks + 8 - n)));
}
INLINE void vstore_n(float *p, V v, int64_t n) {
    _mm256_maskstore_ps(p, _mm256_loadu_si256((const __m256i *)(const void *)(lane_masks + 8 - n)), (__m256)v);
}
INLINE V vmax(V a, V b) { return (V)_mm256_max_ps((__m256)a, (__m256)b); }
#else
INLINE V vload_n(const float *p, int64_t n) {
    float t[VL] = {0};
    for (int64_t i = 0; i < n; i++) t[i] = p[i];
    return vload(t);
}
INLINE void vstore_n(float *p, V v, int64_t n) {
    float t[VL];
    vstore(t, v);
    for (int64_t i = 0; i < n; i++) p[i] = t[i];
}
INLINE V vmax(V a, V b) {
    VI m = a > b;
    return (V)((m & (VI)a) | (~m & (VI)b));
}
#endif

/* n lanes of a vector: all of them on the common path. */
INLINE V vload_part(const float *p, int64_t n) { return n >= VL ? vload(p) : vload_n(p, n); }
INLINE void vstore_part(float *p, V v, int64_t n) {
    if (n >= VL) vstore(p, v);
    else vstore_n(p, v, n);
}

INLINE int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
INLINE int64_t round_up(int64_t n, int64_t m) { return (n + m - 1) / m * m; }
INLINE int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

typedef struct Span {
    int64_t from, to;
} Span;

/* This part's share of 0 ..< n, in units of `grain`. */
INLINE Span span_of(const MartletCall *call, int64_t n, int64_t grain) {
    int64_t units = (n + grain - 1) / grain;
    Span s = {units * call->part / call->parts * grain, units * (call->part + 1) / call->parts * grain};
    s.from = min64(s.from, n);
    s.to = min64(s.to, n);
    return s;
}

/* Rows of C channels are taken `rows` at a time, so that a loop over them is long and a whole number of vectors. */
INLINE int64_t wide_rows(int64_t C) {
    int64_t size = wide_size(C);
    return size <= MARTLET_WIDE ? size / C : 1;
}

/* Asks for share `i` of `shares` of n floats ahead of their use: the next image lies too far for the hardware to see. */
INLINE void prefetch_share(const float *p, int64_t n, int64_t i, int64_t shares) {
    if (!p) return;
    for (int64_t at = n * i / shares & ~15; at < n * (i + 1) / shares; at += 16) __builtin_prefetch(p + at, 0, 2);
}
/* The same ahead of a write. */
INLINE void prefetch_write_share(float *p, int64_t n, int64_t i, int64_t shares) {
    if (!p) return;
    for (int64_t at = n * i / shares & ~15; at < n * (i + 1) / shares; at += 16) __builtin_prefetch(p + at, 1, 2);
}
