/* martlet_pool.h: POSIX threads that share the steps of a network.
 *
 *     static martlet_pool pool;
 *     if (martlet_pool_start(&pool, 2)) ...                  two threads: the caller's and one more
 *     NAME_parallel parallel = {martlet_pool_run, &pool};
 *     inputs.parallel = &parallel;                           any number of runs, one at a time for each pool
 *     martlet_pool_stop(&pool);
 *
 * With MARTLET_POOL_PIN (Linux, and _GNU_SOURCE before the first header), each thread stays on one core of those that the
 * caller may use.
 *
 * Nothing is allocated. A thread without work spins for a moment, since steps follow each other within microseconds, and
 * then sleeps. Whoever calls takes over every share that no thread has begun, so that it never waits for a sleeper. */
#ifndef MARTLET_POOL_H
#define MARTLET_POOL_H
#if !defined(__GNUC__)
#error "martlet_pool.h needs the atomics of GNU C; hand in a parallel-for of your own instead"
#endif

#include <pthread.h>
#include <sched.h>
#include <string.h>

/* The most threads of a pool and shares of a step, and how often an idle thread looks for work before it sleeps. */
#ifndef MARTLET_POOL_THREADS
#define MARTLET_POOL_THREADS 64
#endif
#ifndef MARTLET_POOL_SPINS
#define MARTLET_POOL_SPINS 4000
#endif

struct martlet_pool;

typedef struct {
    /* Names the last work of which this share was begun; a cache line of its own. */
    unsigned long begun;
    char room[64 - sizeof(unsigned long)];
} martlet_pool_share;

typedef struct {
    struct martlet_pool *pool;
    int number;
    pthread_t thread;
} martlet_pool_worker;

typedef struct martlet_pool {
    /* Names the current work: its number times 256, and how many parts it has. One word, so that no thread sees the parts
     * of another work. */
    unsigned long work __attribute__((aligned(64)));
    void (*task)(void *argument, int part);
    void *argument;
    int ended __attribute__((aligned(64)));
    int sleepers __attribute__((aligned(64)));
    int stop, workers;
    martlet_pool_share shares[MARTLET_POOL_THREADS] __attribute__((aligned(64)));
    martlet_pool_worker worker[MARTLET_POOL_THREADS];
    pthread_mutex_t mutex;
    pthread_cond_t wake;
} martlet_pool;

static inline void martlet_pool_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Whether this thread is the first to begin a share of the work. */
static inline int martlet_pool_begin(martlet_pool *pool, int part, unsigned long work)
{
    unsigned long begun = __atomic_load_n(&pool->shares[part].begun, __ATOMIC_RELAXED);
    return (long)(work - begun) > 0
        && __atomic_compare_exchange_n(&pool->shares[part].begun, &begun, work, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void *martlet_pool_serve(void *argument)
{
    martlet_pool_worker *const self = argument;
    martlet_pool *const pool = self->pool;
    unsigned long seen = 0;
    for (;;) {
        unsigned long work;
        int spins = 0, part;
        while ((work = __atomic_load_n(&pool->work, __ATOMIC_ACQUIRE)) == seen) {
            if (++spins < MARTLET_POOL_SPINS) {
                martlet_pool_pause();
                continue;
            }
            pthread_mutex_lock(&pool->mutex);
            __atomic_add_fetch(&pool->sleepers, 1, __ATOMIC_SEQ_CST);
            while (__atomic_load_n(&pool->work, __ATOMIC_SEQ_CST) == seen) pthread_cond_wait(&pool->wake, &pool->mutex);
            __atomic_sub_fetch(&pool->sleepers, 1, __ATOMIC_SEQ_CST);
            pthread_mutex_unlock(&pool->mutex);
            spins = 0;
        }
        seen = work;
        if (__atomic_load_n(&pool->stop, __ATOMIC_ACQUIRE)) return 0;
        /* Its own share first, whose memory it may still have in its cache. Only a share that was begun keeps the work from
         * changing, so nothing else is read before. */
        for (part = self->number; part < (int)(work & 255); ++part) {
            if (!martlet_pool_begin(pool, part, work)) continue;
            pool->task(pool->argument, part);
            __atomic_add_fetch(&pool->ended, 1, __ATOMIC_RELEASE);
        }
    }
}

/* Ends the threads. */
static inline void martlet_pool_stop(martlet_pool *pool)
{
    int i;
    pthread_mutex_lock(&pool->mutex);
    __atomic_store_n(&pool->stop, 1, __ATOMIC_RELEASE);
    __atomic_store_n(&pool->work, (pool->work | 255) + 1, __ATOMIC_SEQ_CST);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
    for (i = 0; i < pool->workers; ++i) pthread_join(pool->worker[i].thread, 0);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
}

/* Keeps a thread on the core with that number among those of the set. */
static inline void martlet_pool_pin(pthread_t thread, int number, const void *permitted)
{
#if defined(MARTLET_POOL_PIN) && defined(__linux__)
    const cpu_set_t *const set = permitted;
    int core, place = 0;
    for (core = 0; core < CPU_SETSIZE; ++core) {
        if (!CPU_ISSET(core, set) || place++ != number) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(core, &one);
        pthread_setaffinity_np(thread, sizeof one, &one);
    }
#else
    (void)thread;
    (void)number;
    (void)permitted;
#endif
}

/* Starts threads beside the caller's own. Returns 0, or an error number when they cannot be had. */
static inline int martlet_pool_start(martlet_pool *pool, int threads)
{
    const void *permitted = 0;
#if defined(MARTLET_POOL_PIN) && defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) >= threads) permitted = &set;
#endif
    memset(pool, 0, sizeof *pool);
    if (threads < 1 || threads > MARTLET_POOL_THREADS) return -1;
    pthread_mutex_init(&pool->mutex, 0);
    pthread_cond_init(&pool->wake, 0);
    while (pool->workers < threads - 1) {
        martlet_pool_worker *const worker = &pool->worker[pool->workers];
        int status;
        worker->pool = pool;
        worker->number = pool->workers + 1;
        status = pthread_create(&worker->thread, 0, martlet_pool_serve, worker);
        if (status) {
            martlet_pool_stop(pool);
            return status;
        }
        ++pool->workers;
        if (permitted) martlet_pool_pin(worker->thread, worker->number, permitted);
    }
    if (permitted) martlet_pool_pin(pthread_self(), 0, permitted);
    return 0;
}

/* The parallel-for: calls the task once for every part. `context` is the pool. */
static inline void martlet_pool_run(void *context, void (*task)(void *argument, int part), void *argument, int parts)
{
    martlet_pool *const pool = context;
    const unsigned long work = ((pool->work | 255) + 1) | (unsigned long)parts;
    int part, others = 0, spins = 0;
    if (pool->workers == 0 || parts < 2 || parts > MARTLET_POOL_THREADS) {
        for (part = 0; part < parts; ++part) task(argument, part);
        return;
    }
    pool->task = task;
    pool->argument = argument;
    __atomic_store_n(&pool->ended, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&pool->work, work, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&pool->sleepers, __ATOMIC_SEQ_CST) > 0) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->mutex);
    }
    task(argument, 0);
    for (part = 1; part < parts; ++part) {
        if (martlet_pool_begin(pool, part, work)) task(argument, part);
        else ++others;
    }
    while (__atomic_load_n(&pool->ended, __ATOMIC_ACQUIRE) != others) {
        if (++spins < MARTLET_POOL_SPINS) martlet_pool_pause();
        else sched_yield();
    }
}

#endif
