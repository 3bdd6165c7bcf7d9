/* The calling convention of every kernel of the executor, and the kernels themselves.
 *
 * A kernel is a pure function of one call record: no allocation, no I/O. The executor runs `phases`
 * (stated by the operator) one after another, with a barrier between two, and every phase `parts` times, once a
 * thread. A kernel splits its work by `part` alone, always in the same way for the same `parts`, and adds partial
 * sums in order of `part`, so that a run is reproducible bit for bit. */
#ifndef MARTLET_KERNELS_H
#define MARTLET_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct MartletCall {
    const void *const *in; /* operands, 64-byte aligned, contiguous in the layout of their type */
    void *const *out;      /* results, likewise */
    const int64_t *p;      /* integers: dimensions and attributes, as the kernel's comment lists them */
    const double *f;       /* real attributes */
    void *scratch;         /* 64-byte aligned, shared by all parts and phases of one call, not cleared */
    int32_t phase;         /* 0 ..< phases */
    int32_t part, parts;   /* this thread's share: part of 0 ..< parts */
} MartletCall;

typedef void (*MartletKernel)(const MartletCall *);

/* Every kernel is compiled for several instruction sets; the widest one of the CPU is used. Results of two levels agree to
 * rounding. For tests, `martlet_kernel_variant` gives a kernel's function at one level, or null where the CPU lacks it; all
 * phases of a call have to run at one level. */
enum { MARTLET_LEVEL_BASELINE, MARTLET_LEVEL_AVX2, MARTLET_LEVEL_AVX512, MARTLET_LEVEL_AVX512_BF16 };
int martlet_kernels_level(void);
MartletKernel martlet_kernel_variant(MartletKernel kernel, int level);

/* All tensors are f32 unless said otherwise. Image tensors [N, C, H, W] are channels last in memory (N H W C), filters plain
 * ([O, C / groups, KH, KW]). "Phases 2" means phases = 2; otherwise 1. Scratch is 0 bytes unless a size is named.
 * A result must not overlap an operand, except that elementwise results (unary, binary of equal shapes, add_n, sgd, adam,
 * blend, dropout, drop_path) may be their own first operand. */
#define MARTLET_MAX_TAPS 1024 /* KH KW of a convolution or pool */
#define MARTLET_MAX_RANK 12

/* ---- convolution: phases 2, KH KW <= MARTLET_MAX_TAPS ----
 * p: N C H W  O KH KW  strideH strideW  dilationH dilationW  padTop padLeft padBottom padRight  groups  OH OW  hasBias
 *
 *   conv2d                   x, w[, bias]   -> y    scratch martlet_conv2d_scratch
 *   conv2d_input_gradient    dy, w          -> dx   scratch martlet_conv2d_input_gradient_scratch
 *   conv2d_filter_gradient   dy, x          -> dw   scratch martlet_conv2d_filter_gradient_scratch */
size_t martlet_conv2d_scratch(const int64_t *p, int32_t parts);
size_t martlet_conv2d_input_gradient_scratch(const int64_t *p, int32_t parts);
size_t martlet_conv2d_filter_gradient_scratch(const int64_t *p, int32_t parts);

/* ---- batch normalisation of M = N H W rows of C channels (also of a plain [N, C]); variance is the biased one ----
 * p: M C affine    f: epsilon    scratch martlet_batch_norm_scratch(C, parts)
 *
 *   batch_norm_training   x[, scale, bias]                    -> y, mean, variance            phases 2
 *   batch_norm_gradient   x, dy, mean, variance[, scale]      -> dx[, dscale, dbias]          phases 2
 *   batch_norm_inference  x, mean, variance[, scale, bias]    -> y                            phases 1
 * with scale, bias and their gradients where affine = 1. */
size_t martlet_batch_norm_scratch(int64_t channels, int32_t parts);

/* ---- normalisation fused with what stands around it ----
 * Only for C (and O) of which a wide row fits: martlet_fused_channels(C). Activation codes: 0 none, 1 relu, 2 clip to f's a and b,
 * 3 hard_swish. Sums are [rows, C]; products with a tensor are with it less its mean.
 *
 *   normalized_conv2d            x, w[, scale, shift] -> y[, mean, variance]      y = conv2d(act(scale x + shift), w), and its moments
 *                                p: as conv2d (no bias; groups 1, or C = O), normalises activation moments 0 0 bf16     f: a b
 *                                phases 3 with moments, else 2    scratch martlet_normalized_conv2d_scratch
 *   normalized_conv2d_gradient   g, x, w[, t, a, b, d][, scale, shift][, mean] -> [dx,] dw[, sums [2, C]]
 *                                both gradients for dy = a g + b t + d; dx has the slope of act, sums are of dx and dx (x - mean)
 *                                p: as conv2d, normalises activation denormalises sums wantsInput bf16     f: a b
 *                                phases 3    scratch martlet_normalized_conv2d_gradient_scratch
 *                                bf16 (groups 1, C and O even): operands of products are rounded to bf16, sums are f32
 *   normalized_chains            x[, scale, shift], K times: w, u -> K times: y[, mean, variance]
 *                                conv2d of act(scale x + shift) by w, depthwise, then by u, pointwise
 *                                p: K normalises activation moments 0 0, then K times: as conv2d, and the outputs of u    f: a b
 *                                phases 3 with moments, else 2    scratch martlet_normalized_chains_scratch
 *   normalized_chains_gradient   x[, scale, shift][, mean], K times: g, w, u[, t, a, b, d] -> [dx,] K times: dw, du[, sums [2, C]]
 *                                p: K normalises activation denormalises sums wantsInput, then as above    f: a b    phases 3
 *                                dx is the sum over all K    scratch martlet_normalized_chains_gradient_scratch
 *                                both for p, as of the gradient, of which martlet_fused_chains(p)
 *   channel_moments              x -> mean, variance        p: M C    phases 2    scratch martlet_channel_moments_scratch(C, parts)
 *   batch_norm_scale             mean, variance[, gain, bias] -> scale, shift         p: C affine    f: epsilon
 *   batch_norm_gradient_scale    K sums, mean, variance[, gain], w of the parts that have one -> K a, b, d[, dgain, dbias]
 *                                p: C affine M K, then for every part: row weight (-1: none)    f: epsilon
 *                                x's gradient is the sum of a g, and b x + d, when that of the normalised x is the sum of w[weight] g;
 *                                the products of each g are in `row` of its sums
 *   normalized_sum               for every term: x[, scale, shift][, w]  -> y = act(sum of w[i] (scale x + shift))
 *                                p: K M C activation, then K times: flags (1: scaled, 2: weighted) i    f: a b
 *                                scratch martlet_normalized_sum_scratch(K, C, parts)
 *   normalized_dots              g, then for every term: x[, mean, scale, shift]  -> dw [weights], sums [K + 1, C]
 *                                row 0 of sums is of g, row k of g (x_k - mean_k); dw[i] is the sum of g (scale x + shift)
 *                                p: K M C weights, then K times: flags i    phases 2
 *                                scratch martlet_normalized_dots_scratch(K, C, parts) */
#define MARTLET_MAX_TERMS 64
int martlet_fused_channels(int64_t channels);
size_t martlet_normalized_conv2d_scratch(const int64_t *p, int32_t parts);
size_t martlet_normalized_conv2d_gradient_scratch(const int64_t *p, int32_t parts);
int martlet_fused_chains(const int64_t *p);
size_t martlet_normalized_chains_scratch(const int64_t *p, int32_t parts);
size_t martlet_normalized_chains_gradient_scratch(const int64_t *p, int32_t parts);
size_t martlet_channel_moments_scratch(int64_t channels, int32_t parts);
size_t martlet_normalized_sum_scratch(int64_t terms, int64_t channels, int32_t parts);
size_t martlet_normalized_dots_scratch(int64_t terms, int64_t channels, int32_t parts);

/* ---- one operand, elementwise ----
 * p: opcode count    f: a b (may be null for functions without them)
 *
 *   unary            x      -> y
 *   unary_gradient   x, dy  -> dx = dy f'(x); f' is 0 at the kinks of relu, clip, hard_sigmoid and abs */
enum {
    MARTLET_RELU,
    MARTLET_CLIP,         /* min(max(x, a), b) */
    MARTLET_SIGMOID,
    MARTLET_TANH,
    MARTLET_HARD_SIGMOID, /* clip(a x + b, 0, 1) */
    MARTLET_HARD_SWISH,   /* x clip(x / 6 + 1 / 2, 0, 1) */
    MARTLET_SILU,
    MARTLET_GELU,         /* x Phi(x), by erf */
    MARTLET_ELU,          /* a (e^x - 1) for x <= 0 */
    MARTLET_LEAKY_RELU,   /* a x for x <= 0 */
    MARTLET_SOFTPLUS,
    MARTLET_EXP,
    MARTLET_LOG,
    MARTLET_SQRT,
    MARTLET_NEGATE,
    MARTLET_ABS,
    MARTLET_RECIPROCAL,
    MARTLET_AFFINE,       /* a x + b */
    MARTLET_SQUARE,
    MARTLET_ERF,
    MARTLET_POWER,        /* x^a */
    MARTLET_SIGN,
    MARTLET_FLOOR,
    MARTLET_CEIL,
    MARTLET_ROUND,        /* half to even */
    MARTLET_SIN,
    MARTLET_COS,
    MARTLET_LOG1P,
    MARTLET_EXPM1,
    MARTLET_IDENTITY,
    MARTLET_INDICATOR,    /* 1 where a < x < b */
};

/* ---- two operands with broadcasting ----
 * p: opcode rank, then rank dimensions of y in memory order, rank strides of a, rank strides of b (in elements, 0 where an
 *    operand is broadcast)
 *
 *   binary   a, b -> y */
enum { MARTLET_ADD, MARTLET_SUBTRACT, MARTLET_MULTIPLY, MARTLET_DIVIDE, MARTLET_MAXIMUM, MARTLET_MINIMUM, MARTLET_POW };

/* ---- many operands of one shape ----
 *   add_n                   x_1 ... x_K          -> y = sum x_k                     p: K count
 *   weighted_sum            w [K], x_1 ... x_K   -> y = sum w_k x_k                 p: K count
 *   weighted_sum_dots       d, x_1 ... x_K       -> y [K], y_k = sum d x_k          p: K count    phases 2
 *                           scratch martlet_weighted_sum_dots_scratch(K, parts) */
size_t martlet_weighted_sum_dots_scratch(int64_t count, int32_t parts);

/* ---- reductions: phases 2 ----
 * p: opcode rank, then rank dimensions in memory order, rank flags (1: reduced)
 *
 *   reduce   x -> y, kept dimensions in order    scratch martlet_reduce_scratch(p, parts) */
enum { MARTLET_SUM, MARTLET_MEAN, MARTLET_MAX, MARTLET_MIN, MARTLET_SUM_SQUARES, MARTLET_PRODUCT };
size_t martlet_reduce_scratch(const int64_t *p, int32_t parts);

/* ---- moving elements of any type ----
 *   copy     x -> y   y[yo + i . ys] = x[xo + i . xs] for every index i
 *            p: bytesPerElement rank xo yo, then rank dimensions, rank strides xs, rank strides ys (elements; xs may be 0)
 *   scatter  x -> y   the same into zeros; phases 2
 *            p: the same, then the elements of y
 *   concat   x_1 ... x_K -> y   y[o] = x_1[o], ..., x_K[o] joined for every o; with outer = 1 an operand may already be in its place
 *            p: bytesPerElement K outer, then K lengths (elements of x_k for one o)
 *   pad      x (4 bytes an element) -> y    p: rank, dimensions of x, elements before (may be negative: cropped), dimensions of y
 *            f: fill */

/* ---- pooling ----
 * p: N C H W  KH KW  strideH strideW  dilationH dilationW  padTop padLeft padBottom padRight  OH OW  countPadding
 *
 *   max_pool                       x      -> y
 *   max_pool_gradient              x, dy  -> dx    the first maximum of a window in row-major order takes it
 *   max_pool_selection             x, t   -> y     t where x has the first maximum of the window
 *   average_pool                   x      -> y     countPadding: taps in the padding count in the divisor (beyond it they never do)
 *   average_pool_gradient          dy     -> dx
 * Scratch of all but max_pool_selection: martlet_pool_scratch. */
size_t martlet_pool_scratch(const int64_t *p, int32_t parts);

/* ---- matrix product: phases 2 ----
 * y[b] = op(a[b]) op(b[b]) + bias, op a transposition or nothing: [M, K] x [K, N] -> [M, N], bias [N]
 * p: batches M N K  transposeA transposeB  batchedA batchedB (0: one matrix for every batch)  hasBias
 *
 *   matmul   a, b[, bias] -> y    scratch martlet_matmul_scratch(p, parts) */
size_t martlet_matmul_scratch(const int64_t *p, int32_t parts);

/* ---- classification ----
 *   softmax                  x -> y over rows                     p: rows columns logarithm (1: log-softmax)
 *   cross_entropy            logits, labels -> loss               p: rows classes wide (0: i32 labels, 1: i64)    phases 2
 *   cross_entropy_gradient   logits, labels, dloss -> dlogits     p: the same
 *   cross_entropy_soft       logits, targets -> loss              p: rows classes                                 phases 2
 * f of the two with labels: smoothing s; the target is s / classes everywhere, and 1 - s more at a label that is in range.
 * The loss is the mean over rows, [1]. Scratch of the losses: martlet_cross_entropy_scratch(classes, parts). */
size_t martlet_cross_entropy_scratch(int64_t classes, int32_t parts);

/* ---- dropout ----
 *   dropout   x, key (u32 [2]) -> y        p: count site    f: rate      (its gradient is the same kernel on dy)
 * Element i is zero when word i % 4 of Philox 4x32-10, with this key and the counter (i / 4, site, 0, 0), is less than
 * floor(rate 2^32), else it is multiplied by 1 / (1 - rate).
 *   drop_path x, key, progress -> y        p: examples size site    f: rate      (its gradient is the same kernel on dy)
 * The same for all of example n at once, with word n % 4 at the counter (n / 4, site, 1, 0) and the rate times progress. */

/* ---- updates of flat arrays ----
 *   sgd     w, g, v -> w', v'           p: count nesterov decoupled    f: rate momentum decay gradientScale
 *           d = scale g + decay w; v' = momentum v + d; w' = w - rate (nesterov ? d + momentum v' : v')
 *   adam    w, g, m, v -> w', m', v'    p: count decoupled     f: rate beta1 beta2 epsilon decay gradientScale 1-beta1^t 1-beta2^t
 *   blend   x, y -> z = a x + b y       p: count               f: a b       (moving average: z = average)
 * decoupled: decay acts on w alone, w' -= rate decay w. */

#define MARTLET_KERNELS(X)                                                                              \
    X(conv2d) X(conv2d_input_gradient) X(conv2d_filter_gradient)                                        \
    X(batch_norm_training) X(batch_norm_gradient) X(batch_norm_inference)                               \
    X(unary) X(unary_gradient) X(binary) X(add_n) X(weighted_sum) X(weighted_sum_dots)                  \
    X(reduce) X(copy) X(scatter) X(concat) X(pad) X(matmul)                                             \
    X(max_pool) X(max_pool_gradient) X(max_pool_selection) X(average_pool) X(average_pool_gradient)     \
    X(softmax) X(cross_entropy) X(cross_entropy_gradient) X(cross_entropy_soft)                         \
    X(dropout) X(drop_path) X(sgd) X(adam) X(blend)                                                                  \
    X(normalized_conv2d) X(normalized_conv2d_gradient) X(channel_moments) X(batch_norm_scale)           \
    X(batch_norm_gradient_scale) X(normalized_sum) X(normalized_dots)                                     \
    X(normalized_chains) X(normalized_chains_gradient)

void martlet_conv2d(const MartletCall *);
void martlet_conv2d_input_gradient(const MartletCall *);
void martlet_conv2d_filter_gradient(const MartletCall *);
void martlet_batch_norm_training(const MartletCall *);
void martlet_batch_norm_gradient(const MartletCall *);
void martlet_batch_norm_inference(const MartletCall *);
void martlet_unary(const MartletCall *);
void martlet_unary_gradient(const MartletCall *);
void martlet_binary(const MartletCall *);
void martlet_add_n(const MartletCall *);
void martlet_weighted_sum(const MartletCall *);
void martlet_weighted_sum_dots(const MartletCall *);
void martlet_reduce(const MartletCall *);
void martlet_copy(const MartletCall *);
void martlet_scatter(const MartletCall *);
void martlet_concat(const MartletCall *);
void martlet_pad(const MartletCall *);
void martlet_max_pool(const MartletCall *);
void martlet_max_pool_gradient(const MartletCall *);
void martlet_average_pool(const MartletCall *);
void martlet_average_pool_gradient(const MartletCall *);
void martlet_max_pool_selection(const MartletCall *);
void martlet_matmul(const MartletCall *);
void martlet_softmax(const MartletCall *);
void martlet_cross_entropy(const MartletCall *);
void martlet_cross_entropy_gradient(const MartletCall *);
void martlet_cross_entropy_soft(const MartletCall *);
void martlet_dropout(const MartletCall *);
void martlet_drop_path(const MartletCall *);
void martlet_sgd(const MartletCall *);
void martlet_adam(const MartletCall *);
void martlet_blend(const MartletCall *);
void martlet_normalized_conv2d(const MartletCall *);
void martlet_normalized_conv2d_gradient(const MartletCall *);
void martlet_normalized_chains(const MartletCall *);
void martlet_normalized_chains_gradient(const MartletCall *);
void martlet_channel_moments(const MartletCall *);
void martlet_batch_norm_scale(const MartletCall *);
void martlet_batch_norm_gradient_scale(const MartletCall *);
void martlet_normalized_sum(const MartletCall *);
void martlet_normalized_dots(const MartletCall *);

#ifdef __cplusplus
}
#endif
#endif
