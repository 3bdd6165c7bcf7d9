/* Chooses the widest level the CPU has, once, and forwards every kernel to it. */
#include "kernel_table.h"

#include "impl/fused_sizes.h"

static const KernelTable *table;

int martlet_kernels_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return MARTLET_LEVEL_BASELINE;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        return __builtin_cpu_supports("avx512bf16") ? MARTLET_LEVEL_AVX512_BF16 : MARTLET_LEVEL_AVX512;
    return MARTLET_LEVEL_AVX2;
#else
    return MARTLET_LEVEL_BASELINE;
#endif
}

static const KernelTable *table_of(int level) {
#if defined(__x86_64__)
    if (level == MARTLET_LEVEL_AVX512_BF16) return &martlet_table_avx512_bf16;
    if (level == MARTLET_LEVEL_AVX512) return &martlet_table_avx512;
    if (level == MARTLET_LEVEL_AVX2) return &martlet_table_avx2;
#endif
    return level == MARTLET_LEVEL_BASELINE ? &martlet_table_baseline : NULL;
}

static const KernelTable *current(void) {
    const KernelTable *t = __atomic_load_n(&table, __ATOMIC_ACQUIRE);
    if (t) return t;
    t = table_of(martlet_kernels_level()); /* every thread that gets here stores the same value */
    __atomic_store_n(&table, t, __ATOMIC_RELEASE);
    return t;
}

#define FORWARD(NAME) \
    void martlet_##NAME(const MartletCall *call) { current()->NAME(call); }
MARTLET_KERNELS(FORWARD)

MartletKernel martlet_kernel_variant(MartletKernel kernel, int level) {
    const KernelTable *t = level <= martlet_kernels_level() ? table_of(level) : NULL;
    if (!t) return NULL;
#define VARIANT(NAME) \
    if (kernel == martlet_##NAME) return t->NAME;
    MARTLET_KERNELS(VARIANT)
    return NULL;
}

/* ---- scratch sizes, the same for every level ---- */

static int64_t rounded(int64_t n) { return (n + 15) / 16 * 16; }

/* Floats of a zero-bordered image, or of a row of zeros where the kernel is depthwise. */
static int64_t frame_floats(const int64_t *p, int gradient, int depthwise) {
    int64_t H = p[2], W = p[3], height, width;
    if (depthwise) return rounded(W * p[1]);
    if (gradient) { /* an upper bound of the window of dy that any pixel of x asks for */
        height = (H - 1 + p[11]) / p[7] + ((p[5] - 1) * p[9] + p[7] - 1) / p[7] + 2;
        width = (W - 1 + p[12]) / p[8] + ((p[6] - 1) * p[10] + p[8] - 1) / p[8] + 2;
    } else {
        height = (p[16] - 1) * p[7] + (p[5] - 1) * p[9] + 1;
        width = (p[17] - 1) * p[8] + (p[6] - 1) * p[10] + 1;
    }
    return rounded(height * width * (gradient ? p[4] : p[1]));
}

size_t martlet_conv2d_scratch(const int64_t *p, int32_t parts) {
    int64_t G = p[15], taps = p[5] * p[6], Cg = p[1] / G, Og = p[4] / G, depthwise = Cg == 1 && Og == 1 && G > 1;
    int64_t packed = depthwise ? taps * rounded(p[1]) : G * taps * Cg * rounded(Og);
    return (size_t)(rounded(packed) + parts * frame_floats(p, 0, (int)depthwise)) * sizeof(float);
}

size_t martlet_conv2d_input_gradient_scratch(const int64_t *p, int32_t parts) {
    int64_t G = p[15], taps = p[5] * p[6], Cg = p[1] / G, Og = p[4] / G, depthwise = Cg == 1 && Og == 1 && G > 1;
    int64_t packed = depthwise ? taps * rounded(p[1]) : G * taps * Og * rounded(Cg);
    return (size_t)(rounded(packed) + parts * frame_floats(p, 1, (int)depthwise)) * sizeof(float);
}

size_t martlet_conv2d_filter_gradient_scratch(const int64_t *p, int32_t parts) {
    int64_t G = p[15], taps = p[5] * p[6], Cg = p[1] / G, Og = p[4] / G, depthwise = Cg == 1 && Og == 1 && G > 1;
    int64_t partial = depthwise ? taps * rounded(p[1]) : rounded(p[4] * taps * Cg);
    return (size_t)(parts * (rounded(partial) + frame_floats(p, 0, (int)depthwise))) * sizeof(float);
}

size_t martlet_batch_norm_scratch(int64_t channels, int32_t parts) {
    int64_t sums = 2 * ((channels + 7) / 8 * 8), rows = MARTLET_NORM_ROWS * rounded(MARTLET_WIDE_OF(channels));
    return (size_t)parts * ((size_t)sums * sizeof(double) + (size_t)rows * sizeof(float));
}

size_t martlet_weighted_sum_dots_scratch(int64_t count, int32_t parts) {
    return (size_t)parts * (size_t)((count + 7) / 8 * 8) * sizeof(double);
}

size_t martlet_reduce_scratch(const int64_t *p, int32_t parts) {
    int64_t C = 1; /* dimensions after the last reduced one form a row */
    for (int64_t i = p[1] - 1; i >= 0 && (!p[2 + p[1] + i] || p[2 + i] == 1); i--) C *= p[2 + i];
    return (size_t)parts * ((size_t)((C + 7) / 8 * 8) + (size_t)rounded(MARTLET_WIDE_OF(C)) / 2) * sizeof(double);
}

size_t martlet_cross_entropy_scratch(int64_t classes, int32_t parts) {
    return (size_t)parts * (64 + (size_t)rounded(classes) * sizeof(float));
}

size_t martlet_matmul_scratch(const int64_t *p, int32_t parts) {
    (void)parts;
    int64_t packed = (p[7] ? p[0] : 1) * p[3] * rounded(p[2]), rows = p[4] ? (p[6] ? p[0] : 1) * p[1] * p[3] : 0;
    return (size_t)(rounded(packed) + rounded(rows)) * sizeof(float);
}

int martlet_fused_channels(int64_t channels) { return channels > 0 && wide_size(channels) <= MARTLET_WIDE; }

size_t martlet_normalized_conv2d_scratch(const int64_t *p, int32_t parts) {
    FusedSizes s = fused_sizes(p, 0);
    return (size_t)(s.packed + parts * s.each) * sizeof(float);
}

size_t martlet_normalized_conv2d_gradient_scratch(const int64_t *p, int32_t parts) {
    FusedSizes s = fused_sizes(p, 1);
    return (size_t)(s.packed + parts * s.each) * sizeof(float);
}

size_t martlet_channel_moments_scratch(int64_t channels, int32_t parts) {
    return (size_t)(parts * totals_size(channels)) * sizeof(float);
}

size_t martlet_normalized_sum_scratch(int64_t terms, int64_t channels, int32_t parts) {
    return (size_t)(parts * (terms + 1) * wide_size(channels)) * sizeof(float);
}

size_t martlet_normalized_dots_scratch(int64_t terms, int64_t channels, int32_t parts) {
    return (size_t)(parts * (2 * (terms + 1) * size_up(channels) + 2 * wide_size(channels))) * sizeof(float);
}

size_t martlet_pool_scratch(const int64_t *p, int32_t parts) {
    int64_t places = size_up((p[2] + 2) * (p[3] + 2) * p[1] + 16);
    return (size_t)(parts * places) * sizeof(float);
}

int martlet_fused_chains(const int64_t *p) {
    if (p[0] < 1 || p[0] > MARTLET_MAX_CHAINS) return 0;
    for (int64_t i = 0; i < p[0]; i++) {
        const int64_t *q = p + CHAINS_HEAD + i * CHAINS_EACH;
        if (!martlet_fused_channels(q[1]) || !martlet_fused_channels(q[CHAINS_EACH - 1])) return 0;
    }
    ChainsSizes s = chains_sizes(p, 1);
    /* Further ones have to leave room for their own filters and gradients. */
    return (p[0] == 1 ? s.each : s.each + s.shared) * (int64_t)sizeof(float) <= (p[0] == 1 ? 900 : 640) * 1024;
}

size_t martlet_normalized_chains_scratch(const int64_t *p, int32_t parts) {
    ChainsSizes s = chains_sizes(p, 0);
    return (size_t)(s.shared + parts * s.each) * sizeof(float);
}

size_t martlet_normalized_chains_gradient_scratch(const int64_t *p, int32_t parts) {
    ChainsSizes s = chains_sizes(p, 1);
    return (size_t)(s.shared + parts * s.each) * sizeof(float);
}
