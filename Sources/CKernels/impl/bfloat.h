/* bf16, the upper half of an f32: rounded to nearest, ties to even. Products of bf16 run on pairs: two of them that follow each
 * other in the sum, the first in the lower half of a lane. A pair's products are added to an f32 in one instruction where the
 * CPU has it; elsewhere shifts and two multiply-adds do the same. */
typedef uint16_t Half __attribute__((may_alias));
typedef uint32_t Word __attribute__((may_alias));
typedef uint32_t VW __attribute__((vector_size(VL * 4)));

INLINE Half to_half(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    if ((u & 0x7fffffff) > 0x7f800000) return (Half)(u >> 16 | 0x40); /* stays a NaN */
    return (Half)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

#if MARTLET_LEVEL == 3
INLINE V pair_dup(const float *p) { return (V)_mm512_set1_epi32((int)*(const Word *)p); }
INLINE V pair_dot(V sum, V a, V b) { return (V)_mm512_dpbf16_ps((__m512)sum, (__m512bh)b, (__m512bh)a); }
INLINE V vpair(V low, V high) {
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19,
                                           3, 18, 2, 17, 1, 16, 0);
    return (V)_mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low));
}
#else
INLINE V pair_dup(const float *p) { return (V)(*(const Word *)p + (VW){0}); }
INLINE V pair_dot(V sum, V a, V b) {
    const VW upper = 0xffff0000u + (VW){0};
    sum += (V)((VW)a & upper) * (V)((VW)b & upper);
    return sum + (V)((VW)a << 16) * (V)((VW)b << 16);
}
INLINE VW round_half(V x) {
    VW u = (VW)x, nan = (VW)(x != x);
    return (nan & (u | 0x400000)) | (~nan & (u + 0x7fff + ((u >> 16) & 1)));
}
INLINE V vpair(V low, V high) { return (V)(round_half(low) >> 16 | (round_half(high) & 0xffff0000u)); }
#endif

/* n numbers, an even number of them, in half the memory. */
static void to_halves(const float *restrict x, int64_t n, float *restrict to) {
    Half *restrict half = (Half *)(void *)to;
    int64_t i = 0;
#if MARTLET_LEVEL == 3
    for (; i + 32 <= n; i += 32)
        _mm512_storeu_si512(half + i, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + i + 16), _mm512_loadu_ps(x + i)));
#endif
    for (; i < n; i++) half[i] = to_half(x[i]);
}

/* Every `stride`-th of n pixels with the one `next` behind it, zero beyond the last: to[k, c] = (x[k stride, c], x[k stride + next, c]). */
static void to_pairs(const float *restrict x, int64_t n, int64_t C, int64_t stride, int64_t next, float *restrict to) {
    for (int64_t i = 0; i < n; i += stride, to += C)
        for (int64_t c = 0; c < C; c += VL) {
            const float *from = x + i * C + c;
            V second = i + next < n ? vload_part(from + next * C, C - c) : (V){0};
            vstore_part(to + c, vpair(vload_part(from, C - c), second), C - c);
        }
}

/* The same for pixels 0, 2, 4 … that are halves already. */
static void halves_to_pairs(const float *restrict x, int64_t n, int64_t C, float *restrict to) {
    Word *restrict pair = (Word *)(void *)to;
    for (int64_t i = 0; i < n; i += 2, pair += C) {
        const Half *from = (const Half *)(const void *)x + i * C;
        if (i + 1 < n)
            for (int64_t c = 0; c < C; c++) pair[c] = from[c] | (uint32_t)from[C + c] << 16;
        else
            for (int64_t c = 0; c < C; c++) pair[c] = from[c];
    }
}
