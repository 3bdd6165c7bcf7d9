/* Vectors of VL floats. The first part says them in the compiler's vector extension, where the target has registers of that
   width; the second takes single floats for targets that have none; the third is plain C99 for every other compiler. */
#if defined(__GNUC__)
#define MT_UNUSED __attribute__((unused))
#else
#define MT_UNUSED
#endif
#if defined(__GNUC__) && !defined(MARTLET_PLAIN_C) \
    && (VL == 4 || (VL == 8 && defined(__AVX__)) || (VL == 16 && defined(__AVX512F__)))
typedef float V __attribute__((vector_size(4 * VL)));
typedef int VI __attribute__((vector_size(4 * VL)));
typedef float VM __attribute__((vector_size(4 * VL), aligned(4), may_alias));
#define MT_KERNEL static __attribute__((noinline)) MT_UNUSED MARTLET_LOOPS
#define MT_INLINE static inline __attribute__((always_inline)) MT_UNUSED
#define V_LOAD(p) ((V)*(const VM *)(const void *)(p))
#define V_STORE(p, a) (*(VM *)(void *)(p) = (VM)(a))
#define V_ZERO ((V){0})
#define V_SPLAT(s) ((V){0} + (s))
#define V_ADD(a, b) ((a) + (b))
#define V_SUB(a, b) ((a) - (b))
#define V_MUL(a, b) ((a) * (b))
#define V_DIV(a, b) ((a) / (b))
#define V_SCALE(a, s) ((a) * (s))
#define V_LANE(a, i) ((a)[i])
#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 2)
/* Compilers say these as a product and a sum, and a broadcast before them. There is no cache to fill ahead of time. */
#include <arm_mve.h>
#define MT_PREFETCH(p) ((void)(p))
#define V_FMA(acc, a, b) ((acc) = (V)vfmaq_f32((float32x4_t)(acc), (float32x4_t)(a), (float32x4_t)(b)))
#define V_FMAS(acc, s, b) ((acc) = (V)vfmaq_n_f32((float32x4_t)(acc), (float32x4_t)(b), (s)))
#else
#define MT_PREFETCH(p) __builtin_prefetch((p), 0, 2)
#define V_FMA(acc, a, b) ((acc) += (a) * (b))
#define V_FMAS(acc, s, b) ((acc) += (s) * (b))
#endif
#if defined(__AVX512F__) && VL == 16
#include <immintrin.h>
MT_INLINE V v_max(V a, V b) { return (V)_mm512_max_ps((__m512)a, (__m512)b); }
MT_INLINE V v_min(V a, V b) { return (V)_mm512_min_ps((__m512)a, (__m512)b); }
/* The lower half of a vector whose upper half is padding. */
typedef float VH __attribute__((vector_size(2 * VL)));
typedef float VHM __attribute__((vector_size(2 * VL), aligned(4), may_alias));
#define H_LOAD(p) ((VH)*(const VHM *)(const void *)(p))
#define H_FMAS(acc, s, b) ((acc) += (s) * (b))
#define H_WIDEN(a) ((V)_mm512_zextps256_ps512((__m256)(a)))
#define MT_REDUCES
MT_INLINE float v_total(V a) { return _mm512_reduce_add_ps((__m512)a); }
MT_INLINE float v_largest(V a) { return _mm512_reduce_max_ps((__m512)a); }
#elif defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 2)
MT_INLINE V v_max(V a, V b) { return (V)vmaxnmq_f32((float32x4_t)a, (float32x4_t)b); }
MT_INLINE V v_min(V a, V b) { return (V)vminnmq_f32((float32x4_t)a, (float32x4_t)b); }
#elif defined(__AVX__) && VL == 8
#include <immintrin.h>
MT_INLINE V v_max(V a, V b) { return (V)_mm256_max_ps((__m256)a, (__m256)b); }
MT_INLINE V v_min(V a, V b) { return (V)_mm256_min_ps((__m256)a, (__m256)b); }
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
#endif
#if VL == 16 && defined(__AVX512F__) && defined(__AVX512DQ__)
/* 2^t: the part above the integer below goes through the minimax polynomial of degree 5 on [0, 1] that is 1 at 0; the
   integer part scales the result, infinities included. */
MT_INLINE V v_exp2(V t)
{
    V f = (V)_mm512_reduce_ps((__m512)t, 9);
    V p = f * 1.86713e-3f + 9.01703e-3f;
    p = p * f + 5.579991e-2f;
    p = p * f + 2.4016445e-1f;
    p = p * f + 6.9315131e-1f;
    p = p * f + 1.0f;
    return (V)_mm512_scalef_ps((__m512)p, (__m512)t);
}
#else
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
#endif
#else
#define MT_PREFETCH(p) ((void)(p))
#if VL == 1
typedef float V;
#if defined(__GNUC__)
#define MT_KERNEL static __attribute__((noinline)) MT_UNUSED MARTLET_LOOPS
#else
#define MT_KERNEL static
#endif
#define MT_INLINE static inline MT_UNUSED
#define V_LOAD(p) (*(p))
#define V_STORE(p, a) (*(p) = (a))
#define V_ZERO 0.0f
#define V_SPLAT(s) (s)
#define V_ADD(a, b) ((a) + (b))
#define V_SUB(a, b) ((a) - (b))
#define V_MUL(a, b) ((a) * (b))
#define V_DIV(a, b) ((a) / (b))
#define V_SCALE(a, s) ((a) * (s))
#define V_FMA(acc, a, b) ((acc) += (a) * (b))
#define V_FMAS(acc, s, b) ((acc) += (s) * (b))
#define V_LANE(a, i) (a)
#define MT_REDUCES
MT_INLINE float v_total(V a) { return a; }
MT_INLINE float v_largest(V a) { return a; }
MT_INLINE V v_max(V a, V b) { return a > b ? a : b; }
MT_INLINE V v_min(V a, V b) { return a < b ? a : b; }
#else
typedef struct { float e[VL]; } V;
#define MT_KERNEL static MT_UNUSED
#define MT_INLINE static MT_UNUSED
#define V_LOAD(p) v_load(p)
#define V_STORE(p, a) v_store(p, a)
#define V_ZERO v_splat(0.0f)
#define V_SPLAT(s) v_splat(s)
#define V_ADD(a, b) v_add(a, b)
#define V_SUB(a, b) v_sub(a, b)
#define V_MUL(a, b) v_mul(a, b)
#define V_DIV(a, b) v_div(a, b)
#define V_SCALE(a, s) v_mul(a, v_splat(s))
#define V_FMA(acc, a, b) ((acc) = v_fma(acc, a, b))
#define V_FMAS(acc, s, b) ((acc) = v_fma(acc, v_splat(s), b))
#define V_LANE(a, i) ((a).e[i])
typedef struct { float e[VL / 2]; } VH;
#define H_LOAD(p) h_load(p)
#define H_FMAS(acc, s, b) ((acc) = h_fma(acc, s, b))
#define H_WIDEN(a) h_widen(a)
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
MT_INLINE V v_div(V a, V b) { MT_EACH(a.e[i] / b.e[i]); }
MT_INLINE VH h_load(const float *p)
{
    VH r;
    int i;
    for (i = 0; i < VL / 2; ++i) r.e[i] = p[i];
    return r;
}
MT_INLINE VH h_fma(VH c, float s, VH b)
{
    int i;
    for (i = 0; i < VL / 2; ++i) c.e[i] += s * b.e[i];
    return c;
}
MT_INLINE V h_widen(VH a) { MT_EACH(i < VL / 2 ? a.e[i] : 0.0f); }
MT_INLINE void v_store(float *p, V a)
{
    int i;
    for (i = 0; i < VL; ++i) p[i] = a.e[i];
}
#endif
MT_INLINE float v_exp2_lane(float t)
{
    union {
        float real;
        int bits;
    } p;
    t = t < -126.0f ? -126.0f : t > 127.0f ? 127.0f : t;
    {
        const int n = (int)(t < 0.0f ? t - 0.5f : t + 0.5f);
        const float f = t - (float)n;
        p.real = ((((f * 1.339887440e-3f + 9.618437357e-3f) * f + 5.550332548e-2f) * f + 2.402264791e-1f) * f + 6.931472028e-1f) * f + 1.0f;
        p.bits += n * 8388608;
    }
    return p.real;
}
#if VL == 1
MT_INLINE V v_exp2(V a) { return v_exp2_lane(a); }
#else
MT_INLINE V v_exp2(V a) { MT_EACH(v_exp2_lane(a.e[i])); }
#endif
#endif
#if !defined(MT_REDUCES)
/* Sum and largest of the lanes. */
MT_INLINE float v_total(V x)
{
    float s = V_LANE(x, 0);
    int i;
    for (i = 1; i < VL; ++i) s += V_LANE(x, i);
    return s;
}
MT_INLINE float v_largest(V x)
{
    float s = V_LANE(x, 0);
    int i;
    for (i = 1; i < VL; ++i) s = V_LANE(x, i) > s ? V_LANE(x, i) : s;
    return s;
}
#endif
MT_INLINE long mt_least(long a, long b) { return a < b ? a : b; }
MT_INLINE long mt_most(long a, long b) { return a > b ? a : b; }
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
    return V_DIV(V_SPLAT(1.0f), V_ADD(v_exp2(V_SCALE(x, -1.442695041f)), V_SPLAT(1.0f)));
}
MT_INLINE V v_silu(V x) { return V_DIV(x, V_ADD(v_exp2(V_SCALE(x, -1.442695041f)), V_SPLAT(1.0f))); }
/* 1 - 2 / (e^2x + 1). */
MT_INLINE V v_tanh(V x)
{
    return V_SUB(V_SPLAT(1.0f), V_DIV(V_SPLAT(2.0f), V_ADD(v_exp2(V_SCALE(x, 2.885390082f)), V_SPLAT(1.0f))));
}
/* x / 2 + |x| erf(|x| / sqrt 2) / 2, with Abramowitz and Stegun's 7.1.26 for erf: its error stays below 1.5e-7. */
MT_INLINE V v_gelu(V x)
{
    V a = v_max(x, V_SCALE(x, -1.0f));
    V t = V_SPLAT(1.0f), p;
    V_FMAS(t, 0.3275911f * 0.707106781f, a);
    t = V_DIV(V_SPLAT(1.0f), t);
    p = V_SPLAT(-1.453152027f);
    V_FMAS(p, 1.061405429f, t);
    p = V_ADD(V_MUL(p, t), V_SPLAT(1.421413741f));
    p = V_ADD(V_MUL(p, t), V_SPLAT(-0.284496736f));
    p = V_ADD(V_MUL(p, t), V_SPLAT(0.254829592f));
    p = V_MUL(V_MUL(p, t), v_exp2(V_SCALE(V_MUL(x, x), -0.721347520f)));
    return V_SCALE(V_SUB(V_ADD(x, a), V_MUL(a, p)), 0.5f);
}
