/* The threads that run kernels: one pool, one program at a time. */
#ifndef MARTLET_THREADS_H
#define MARTLET_THREADS_H

#include "martlet_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct MartletStep {
    MartletKernel function;
    MartletCall call; /* phase, part and parts are filled in by the runner */
    int32_t phases;
    int32_t is_parallel; /* 0: thread 0 runs it alone, as part 0 of 1 */
} MartletStep;

typedef struct MartletPool MartletPool;

/* A pool of `threads` threads, of which the caller of martlet_pool_run is one. NULL when they cannot be had. */
MartletPool *martlet_pool_create(int32_t threads);
void martlet_pool_destroy(MartletPool *);
int32_t martlet_pool_threads(const MartletPool *);

/* Runs the steps in order: every phase of a step on all threads, a barrier between two phases. When `times` is given, it
 * gets the monotonic time in nanoseconds before every step and after the last: count + 1 values. One caller at a time. */
void martlet_pool_run(MartletPool *, const MartletStep *steps, int64_t count, int64_t *times);

/* The monotonic time in nanoseconds. */
int64_t martlet_now(void);

/* Memory for an arena: aligned to 64 bytes or more, in huge pages where the system has them. NULL when there is none. */
void *martlet_arena_allocate(size_t bytes);
void martlet_arena_free(void *);

#ifdef __cplusplus
}
#endif
#endif
