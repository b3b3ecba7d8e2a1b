// A job of stages; threads take the tasks of a stage one by one, and the next stage begins when all are done.
//
// No thread is waited for that holds no task: where a core is taken away, the others do its share. A wait spins for a
// short time, then yields the core. Compiled once, for every variant.
#pragma once
#include "variant.h"

#define MAX_STAGES 8
#define MAX_THREADS 256

typedef struct {
    int stages;
    Long tasks[MAX_STAGES];
    void (*run)(void *what, int stage, Long task, int thread);
    void (*after)(void *what, int stage);  // by the thread that ends a stage's last task; may be NULL
    void *what;
    int is_long;  // tasks are long and any thread may do them: a late one says nothing about the cores
} Job;

double elbert_now(void);  // seconds of a clock that only rises

// Run a job on up to `threads` threads, this one included. Returns when all tasks are done.
void elbert_run(const Job *job, int threads);
