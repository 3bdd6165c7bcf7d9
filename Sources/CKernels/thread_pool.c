/* All threads walk the same list of steps, each doing its part of every phase, and meet at a barrier. Waiting spins for some
 * tens of microseconds (phases are that short, and the threads are of equal speed), then sleeps in the kernel, so that a
 * busy machine loses a time slice and not more. */
#define _GNU_SOURCE
#include "martlet_threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#ifdef __linux__
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum { SPINS = 3000 };

typedef struct {
    _Alignas(64) atomic_int value;
    atomic_int sleepers;
} Signal;

struct MartletPool {
    int32_t threads;
    pthread_t *handles;
    /* What to run; written by the caller before `start` changes. */
    const MartletStep *steps;
    int64_t count;
    int64_t *times;
    int stops;
    Signal start;   /* changes with every program */
    Signal barrier; /* changes whenever all threads have arrived */
    _Alignas(64) atomic_int arrived;
};

typedef struct {
    MartletPool *pool;
    int32_t part;
} Worker;

static inline void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Returns once the signal no longer has the value `old`. */
static void await(Signal *signal, int old) {
    for (int i = 0; i < SPINS; ++i) {
        if (atomic_load_explicit(&signal->value, memory_order_acquire) != old) return;
        relax();
    }
    atomic_fetch_add(&signal->sleepers, 1);
    while (atomic_load(&signal->value) == old) {
#ifdef __linux__
        syscall(SYS_futex, &signal->value, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
#else
        nanosleep(&(struct timespec){0, 50000}, NULL);
#endif
    }
    atomic_fetch_sub(&signal->sleepers, 1);
}

static void announce(Signal *signal) {
    atomic_fetch_add(&signal->value, 1);
#ifdef __linux__
    if (atomic_load(&signal->sleepers) > 0) syscall(SYS_futex, &signal->value, FUTEX_WAKE_PRIVATE, 1 << 30, NULL, NULL, 0);
#endif
}

static void meet(MartletPool *pool) {
    if (pool->threads == 1) return;
    int old = atomic_load_explicit(&pool->barrier.value, memory_order_relaxed);
    if (atomic_fetch_add(&pool->arrived, 1) == pool->threads - 1) {
        atomic_store(&pool->arrived, 0);
        announce(&pool->barrier);
    } else {
        await(&pool->barrier, old);
    }
}

int64_t martlet_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void run(MartletPool *pool, int32_t part) {
    int64_t *times = part == 0 ? pool->times : NULL;
    const MartletStep *steps = pool->steps;
    int64_t count = pool->count;
    for (int64_t i = 0; i < count; ++i) {
        /* A copy: behind the last barrier the caller may already have freed the steps. */
        MartletStep step = steps[i];
        MartletCall call = step.call;
        if (times) times[i] = martlet_now();
        call.part = part;
        call.parts = step.is_parallel ? pool->threads : 1;
        for (int32_t phase = 0; phase < step.phases; ++phase) {
            call.phase = phase;
            if (step.is_parallel || part == 0) step.function(&call);
            if (step.is_parallel || phase == step.phases - 1) meet(pool);
        }
    }
    if (times) times[count] = martlet_now();
}

static void *work(void *argument) {
    Worker worker = *(Worker *)argument;
    free(argument);
    MartletPool *pool = worker.pool;
    for (int seen = 0;; ++seen) {
        await(&pool->start, seen);
        if (pool->stops) return NULL;
        run(pool, worker.part);
    }
}

static void stop(MartletPool *pool, int32_t started) {
    pool->stops = 1;
    announce(&pool->start);
    for (int32_t i = 0; i < started; ++i) pthread_join(pool->handles[i], NULL);
    free(pool->handles);
    free(pool);
}

MartletPool *martlet_pool_create(int32_t threads) {
    MartletPool *pool = aligned_alloc(64, (sizeof *pool + 63) / 64 * 64);
    if (!pool) return NULL;
    *pool = (MartletPool){.threads = threads < 1 ? 1 : threads};
    pool->handles = calloc((size_t)pool->threads, sizeof *pool->handles);
    if (!pool->handles) {
        free(pool);
        return NULL;
    }
    for (int32_t part = 1; part < pool->threads; ++part) {
        Worker *worker = malloc(sizeof *worker);
        if (worker) *worker = (Worker){pool, part};
        if (!worker || pthread_create(&pool->handles[part - 1], NULL, work, worker)) {
            free(worker);
            stop(pool, part - 1);
            return NULL;
        }
    }
    return pool;
}

void martlet_pool_destroy(MartletPool *pool) {
    if (pool) stop(pool, pool->threads - 1);
}

int32_t martlet_pool_threads(const MartletPool *pool) { return pool->threads; }

void martlet_pool_run(MartletPool *pool, const MartletStep *steps, int64_t count, int64_t *times) {
    pool->steps = steps;
    pool->count = count;
    pool->times = times;
    /* The last barrier of the previous program was the workers' last look at it. */
    if (pool->threads > 1 && count > 0) announce(&pool->start);
    run(pool, 0);
}

void *martlet_arena_allocate(size_t bytes) {
    size_t page = bytes >= (1u << 22) ? 1u << 21 : 64;
    size_t rounded = (bytes + page - 1) / page * page;
    void *memory = aligned_alloc(page, rounded ? rounded : page);
#ifdef __linux__
    if (memory && page > 64) madvise(memory, rounded, MADV_HUGEPAGE);
#endif
    return memory;
}

void martlet_arena_free(void *memory) { free(memory); }
