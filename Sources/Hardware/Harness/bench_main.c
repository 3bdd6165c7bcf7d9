/* Times the program that martlet_program.h describes and prints one JSON line.
 *
 * Options, each followed by a number: --warmup-ms, --time-ms, --min-runs, --max-runs.
 * A sample is one inference, or a batch of them where a single one is too short for the clock.
 */
#define _POSIX_C_SOURCE 200112L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "martlet_program.h"

#ifdef MARTLET_BARE_METAL
unsigned long long martlet_nanoseconds(void);
static double now_ms(void) { return (double)martlet_nanoseconds() * 1e-6; }
#else
#include <time.h>
static double now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}
#endif

enum { MAX_SAMPLES = 4096 };
static double samples[MAX_SAMPLES];

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double option(int count, char **words, const char *name, double otherwise) {
    for (int i = 1; i + 1 < count; i++)
        if (strcmp(words[i], name) == 0) return atof(words[i + 1]);
    return otherwise;
}

int main(int count, char **words) {
    double warmup = option(count, words, "--warmup-ms", 50), budget = option(count, words, "--time-ms", 200);
    int least = (int)option(count, words, "--min-runs", 5), most = (int)option(count, words, "--max-runs", MAX_SAMPLES);
    if (most > MAX_SAMPLES) most = MAX_SAMPLES;
    if (most < 1) most = 1;
    if (least > most) least = most;
    if (program_start()) {
        fprintf(stderr, "error: threads cannot be started\n");
        return 1;
    }
    program_fill_inputs();

    double start = now_ms(), single = 0;
    int runs = 0;
    if (warmup > 0) do {
        double before = now_ms();
        int status = program_run();
        if (status != 0) {
            fprintf(stderr, "error: the program's run function returned %d\n", status);
            return 1;
        }
        double took = now_ms() - before;
        if (runs == 0 || took < single) single = took;
        runs++;
    } while (now_ms() - start < warmup);

    /* Twenty microseconds hide the clock's own cost of some tens of nanoseconds. */
    int batch = runs > 0 && single < 0.02 ? (int)(0.02 / (single > 2e-5 ? single : 2e-5)) + 1 : 1;
    int taken = 0;
    start = now_ms();
    while (taken < most && (taken < least || now_ms() - start < budget)) {
        int status = 0;
        double before = now_ms();
        for (int i = 0; i < batch; i++) status |= program_run();
        samples[taken++] = (now_ms() - before) / batch;
        if (status != 0) {
            fprintf(stderr, "error: the program's run function returned %d\n", status);
            return 1;
        }
    }

    qsort(samples, (size_t)taken, sizeof samples[0], ascending);
    double median = taken % 2 ? samples[taken / 2] : 0.5 * (samples[taken / 2 - 1] + samples[taken / 2]);
    int rank = (95 * taken + 99) / 100 - 1;
    printf("{\"min_ms\":%.6f,\"median_ms\":%.6f,\"p95_ms\":%.6f,\"runs\":%d,\"batch\":%d,\"samples_ms\":[",
           samples[0], median, samples[rank], taken, batch);
    for (int i = 0; i < taken; i++) printf("%s%.6f", i ? "," : "", samples[i]);
    printf("]}\n");
    return 0;
}
