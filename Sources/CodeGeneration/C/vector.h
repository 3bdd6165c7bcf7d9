/* Vectors of VL floats. The first half says them in the compiler's vector extension, the second in plain C99. */
#if defined(__GNUC__) && !defined(MARTLET_PLAIN_C)
typedef float V __attribute__((vector_size(4 * VL), may_alias));
typedef int VI __attribute__((vector_size(4 * VL), may_alias));
#define MT_KERNEL static __attribute__((noinline, unused))
#define MT_INLINE static inline __attribute__((always_inline, unused))
#define MT_PREFETCH(p) __builtin_prefetch((p), 0, 2)
#define V_LOAD(p) (*(const V *)(const void *)(p))
#define V_STORE(p, a) (*(V *)(void *)(p) = (a))
#define V_ZERO ((V){0})
#define V_SPLAT(s) ((V){0} + (s))
#define V_ADD(a, b) ((a) + (b))
#define V_SUB(a, b) ((a) - (b))
#define V_MUL(a, b) ((a) * (b))
#define V_SCALE(a, s) ((a) * (s))
#define V_FMA(acc, a, b) ((acc) += (a) * (b))
#define V_FMAS(acc, s, b) ((acc) += (s) * (b))
#define V_LANE(a, i) ((a)[i])
#if defined(__AVX512F__) && VL == 16
#include <immintrin.h>
MT_INLINE V v_max(V a, V b) { return (V)_mm512_max_ps((__m512)a, (__m512)b); }
MT_INLINE V v_min(V a, V b) { return (V)_mm512_min_ps((__m512)a, (__m512)b); }
MT_INLINE V v_reciprocal(V a)
{
    V r = (V)_mm512_rcp14_ps((__m512)a);
    return r + r * (1.0f - a * r);
}
#elif defined(__AVX__) && VL == 8
#include <immintrin.h>
MT_INLINE V v_max(V a, V b) { return (V)_mm256_max_ps((__m256)a, (__m256)b); }
MT_INLINE V v_min(V a, V b) { return (V)_mm256_min_ps((__m256)a, (__m256)b); }
MT_INLINE V v_reciprocal(V a) { return 1.0f / a; }
#else
MT_INLINE V v_max(V a, V b)
{
    VI m = a > b;
    return (V)(((VI)a & m) | ((VI)b & ~m));
}
MT_INLINE V v_min(V a, V b)
{
    VI m = a < b;
    return (V)(((VI)a & m) | ((VI)b & ~m));
}
MT_INLINE V v_reciprocal(V a) { return 1.0f / a; }
#endif
/* 2^t: the integer part goes into the exponent, the rest through the minimax polynomial of degree 5 on [-1/2, 1/2]. */
MT_INLINE V v_exp2(V t)
{
    t = v_min(v_max(t, V_SPLAT(-126.0f)), V_SPLAT(127.0f));
    V u = t + 12582912.0f;
    V f = t - (u - 12582912.0f);
    V p = f * 1.339887440e-3f + 9.618437357e-3f;
    p = p * f + 5.550332548e-2f;
    p = p * f + 2.402264791e-1f;
    p = p * f + 6.931472028e-1f;
    p = p * f + 1.0f;
    return (V)((VI)p + ((VI)u << 23));
}
#else
typedef struct { float e[VL]; } V;
#define MT_KERNEL static
#define MT_INLINE static
#define MT_PREFETCH(p) ((void)(p))
#define V_LOAD(p) v_load(p)
#define V_STORE(p, a) v_store(p, a)
#define V_ZERO v_splat(0.0f)
#define V_SPLAT(s) v_splat(s)
#define V_ADD(a, b) v_add(a, b)
#define V_SUB(a, b) v_sub(a, b)
#define V_MUL(a, b) v_mul(a, b)
#define V_SCALE(a, s) v_mul(a, v_splat(s))
#define V_FMA(acc, a, b) ((acc) = v_fma(acc, a, b))
#define V_FMAS(acc, s, b) ((acc) = v_fma(acc, v_splat(s), b))
#define V_LANE(a, i) ((a).e[i])
#define MT_EACH(expression) \
    V r; \
    int i; \
    for (i = 0; i < VL; ++i) r.e[i] = (expression); \
    return r
MT_INLINE V v_load(const float *p) { MT_EACH(p[i]); }
MT_INLINE V v_splat(float s) { MT_EACH(s); }
MT_INLINE V v_add(V a, V b) { MT_EACH(a.e[i] + b.e[i]); }
MT_INLINE V v_sub(V a, V b) { MT_EACH(a.e[i] - b.e[i]); }
MT_INLINE V v_mul(V a, V b) { MT_EACH(a.e[i] * b.e[i]); }
MT_INLINE V v_fma(V c, V a, V b) { MT_EACH(c.e[i] + a.e[i] * b.e[i]); }
MT_INLINE V v_max(V a, V b) { MT_EACH(a.e[i] > b.e[i] ? a.e[i] : b.e[i]); }
MT_INLINE V v_min(V a, V b) { MT_EACH(a.e[i] < b.e[i] ? a.e[i] : b.e[i]); }
MT_INLINE V v_reciprocal(V a) { MT_EACH(1.0f / a.e[i]); }
MT_INLINE V v_exp2(V a) { MT_EACH(exp2f(a.e[i])); }
MT_INLINE void v_store(float *p, V a)
{
    int i;
    for (i = 0; i < VL; ++i) p[i] = a.e[i];
}
#endif
MT_INLINE V v_relu(V x) { return v_max(x, V_ZERO); }
MT_INLINE V v_clip(V x, float low, float high) { return v_min(v_max(x, V_SPLAT(low)), V_SPLAT(high)); }
MT_INLINE V v_hard_sigmoid(V x, float slope, float offset)
{
    V t = V_SPLAT(offset);
    V_FMAS(t, slope, x);
    return v_clip(t, 0.0f, 1.0f);
}
MT_INLINE V v_hard_swish(V x) { return V_MUL(x, v_hard_sigmoid(x, 0.166666672f, 0.5f)); }
MT_INLINE V v_sigmoid(V x)
{
    return v_reciprocal(V_ADD(v_exp2(V_SCALE(x, -1.442695041f)), V_SPLAT(1.0f)));
}
MT_INLINE V v_silu(V x) { return V_MUL(x, v_sigmoid(x)); }
