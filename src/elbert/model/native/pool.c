#define _GNU_SOURCE
#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#define PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define PAUSE() __asm__ volatile("yield")
#else
#define PAUSE() ((void)0)
#endif

enum { SPINS = 1000 };  // pauses, some 10 to 50 microseconds; then the core is offered to others
#define LATE 200e-6   // seconds of waiting for a task that others hold, beyond twice a task: a core was taken away
#define MOST_ALONE 1024

typedef struct {
    const Job *job;
    int threads;
    atomic_int open;                   // threads that may still join: 0 when the job is closed
    atomic_int inside;                 // threads that have joined and not finished, the caller not included
    atomic_long next[MAX_STAGES], done[MAX_STAGES];
    atomic_int ready;                  // stages whose tasks are all done, `after` included
} Shared;

static struct {
    pthread_mutex_t lock;              // held while a job runs: a second caller computes alone
    pthread_mutex_t sleep;
    pthread_cond_t wake;
    atomic_uint number;                // of the current job, odd while it can be joined
    atomic_int joined;                 // threads that look at `shared`
    int workers;
    Long process;
    int alone, next_alone;             // jobs to run on one thread because cores are taken away
    Shared shared;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .sleep = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

double elbert_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void rest(int *spins) {
    if (++*spins < SPINS) PAUSE();
    else sched_yield();
}

// Take tasks until none is left; returns the seconds of waiting beyond what tasks of different sizes explain.
static double work(Shared *s, int thread) {
    double waited = 0, longest = 0;
    for (int stage = 0; stage < s->job->stages; stage++) {
        const Long tasks = s->job->tasks[stage];
        for (;;) {
            const Long task = atomic_fetch_add(&s->next[stage], 1);
            if (task >= tasks) break;
            const double begin = elbert_now();
            s->job->run(s->job->what, stage, task, thread);
            const double taken = elbert_now() - begin;
            if (taken > longest) longest = taken;
            if (atomic_fetch_add(&s->done[stage], 1) + 1 == tasks) {
                if (s->job->after) s->job->after(s->job->what, stage);
                atomic_store(&s->ready, stage + 1);
            }
        }
        if (atomic_load(&s->ready) > stage) continue;
        int spins = 0;
        double begin = 0;
        while (atomic_load(&s->ready) <= stage) {
            rest(&spins);
            if (spins == SPINS) begin = elbert_now();
        }
        if (begin) waited += elbert_now() - begin;
    }
    return waited > 2 * longest ? waited - 2 * longest : 0;
}

static void *live(void *argument) {
    const int thread = (int)(intptr_t)argument;
    unsigned seen = 0;
    for (;;) {
        int spins = 0;
        unsigned number;
        while (number = atomic_load(&pool.number), number == seen || number % 2 == 0) {
            if (++spins < SPINS) {
                PAUSE();
                continue;
            }
            pthread_mutex_lock(&pool.sleep);
            while (number = atomic_load(&pool.number), number == seen || number % 2 == 0)
                pthread_cond_wait(&pool.wake, &pool.sleep);
            pthread_mutex_unlock(&pool.sleep);
        }
        seen = number;
        // Announced first, looked at second: the caller closes the job first and counts the announced second.
        atomic_fetch_add(&pool.joined, 1);
        if (atomic_load(&pool.number) == number && thread < pool.shared.threads) work(&pool.shared, thread);
        atomic_fetch_sub(&pool.joined, 1);
    }
    return NULL;
}

static void start(int threads) {
    if (pool.process != (Long)getpid()) {  // after a fork no worker exists
        pool.process = getpid();
        pool.workers = 0;
        atomic_store(&pool.joined, 0);
        atomic_store(&pool.number, 0);
        pthread_mutex_init(&pool.sleep, NULL);
        pthread_cond_init(&pool.wake, NULL);
    }
    while (pool.workers < threads - 1 && pool.workers < MAX_THREADS - 1) {
        pthread_t thread;
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        const int failed = pthread_create(&thread, &attributes, live, (void *)(intptr_t)(pool.workers + 1));
        pthread_attr_destroy(&attributes);
        if (failed) break;
        pool.workers++;
    }
}

static void run_alone(const Job *job) {
    for (int stage = 0; stage < job->stages; stage++) {
        for (Long task = 0; task < job->tasks[stage]; task++) job->run(job->what, stage, task, 0);
        if (job->after) job->after(job->what, stage);
    }
}

void elbert_run(const Job *job, int threads) {
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    if (threads < 2 || pthread_mutex_trylock(&pool.lock)) {
        run_alone(job);
        return;
    }
    if (pool.alone > 0 && !job->is_long) {
        pool.alone--;
        pthread_mutex_unlock(&pool.lock);
        run_alone(job);
        return;
    }
    start(threads);
    Shared *s = &pool.shared;
    s->job = job;
    s->threads = threads;
    for (int stage = 0; stage < job->stages; stage++) {
        atomic_store(&s->next[stage], 0);
        atomic_store(&s->done[stage], 0);
    }
    atomic_store(&s->ready, 0);
    pthread_mutex_lock(&pool.sleep);
    atomic_fetch_add(&pool.number, 1);  // odd: open
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.sleep);
    double waited = work(s, 0);
    atomic_fetch_add(&pool.number, 1);  // even: closed
    int spins = 0;
    const double begin = elbert_now();
    while (atomic_load(&pool.joined)) rest(&spins);
    waited += elbert_now() - begin;
    if (waited > LATE && !job->is_long) {
        pool.next_alone = pool.next_alone ? pool.next_alone * 2 : 16;
        if (pool.next_alone > MOST_ALONE) pool.next_alone = MOST_ALONE;
        pool.alone = pool.next_alone;
    } else if (pool.next_alone > 1 && !job->is_long)
        pool.next_alone -= pool.next_alone / 16 + 1;
    pthread_mutex_unlock(&pool.lock);
}
