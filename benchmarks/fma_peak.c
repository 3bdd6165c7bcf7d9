/* The most multiply-adds that one core does: as many independent chains as hide their latency, in registers alone.
 * Prints GFLOP/s, the best of some bursts. */
#define _POSIX_C_SOURCE 199309L
#include <stdio.h>
#include <time.h>

#if defined(__AVX512F__)
enum { WIDTH = 16 };
#elif defined(__AVX__)
enum { WIDTH = 8 };
#else
enum { WIDTH = 4 };
#endif
typedef float vector __attribute__((vector_size(4 * WIDTH)));
enum { CHAINS = 12, STEPS = 200000, BURSTS = 40 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(void)
{
    double best = 0;
    float sink = 0;
    for (int burst = 0; burst < BURSTS; ++burst) {
        vector a[CHAINS], x = (vector){0} + 0.999999f, y = (vector){0} + 1e-6f;
        for (int i = 0; i < CHAINS; ++i) a[i] = (vector){0} + (float)i;
        const double start = now();
        for (long step = 0; step < STEPS; ++step) {
            /* The compiler must not see through the loop, nor keep the chains in memory. */
            __asm__ volatile("" : "+m"(x), "+m"(y));
#pragma GCC unroll 12
            for (int i = 0; i < CHAINS; ++i) a[i] = a[i] * x + y;
        }
        const double rate = 2.0 * WIDTH * CHAINS * STEPS / (now() - start) * 1e-9;
        if (rate > best) best = rate;
        for (int i = 0; i < CHAINS; ++i) sink += a[i][0];
    }
    if (sink == 12345.0f) puts("");
    printf("%.1f\n", best);
    return 0;
}
