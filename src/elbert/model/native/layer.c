// One transformer layer over packed rows: four products, attention, norms, with everything between them.
//
// Hidden values are float32 or bfloat16; sums are float32 or, of codes, int32. A token's result does not depend on the
// tokens beside it, except within its row in attention.
#include "attention.h"
#include "encode.h"
#include "head.h"
#include "pool.h"
#include "variant.h"

#define JOIN(a, b) a##_##b
#define JOINED(a, b) JOIN(a, b)
#define NAME(a) JOINED(a, VARIANT)

#define BLOCK 64   // tokens computed together by one thread: what lies between two products stays in its cache
#define SMALL 48   // tokens up to which threads share columns, not rows: each keeps its part of the weights in its cache
#define MIN_WORK 200000.0  // multiply-adds below which a second thread costs more than it brings

typedef struct {
    const Layer *layer;
    const char *in;
    char *out;
    const int64_t *bounds;
    Long rows, tokens, longest;
    Long block;              // tokens of a task of run_block
    Long chunks;
    const Long *chunk_rows;  // [chunks + 1]
    char *shared, *own;      // scratch
    Long own_bytes;
    void (*run)(void *what, int stage, Long task, int thread);
    void (*after)(void *what, int stage);
    int head_stage;          // of the exit head, behind those of the layer; -1 if none
    Reading reading;
} Step;

// Scratch for a span of tokens; every part begins at a multiple of 64 bytes.
typedef struct {
    char *qkv, *mixed, *attended, *wide, *space;
    float *sums;
    uint8_t *codes, *wide_codes;
    float *scales, *wide_scales;
} Span;

INLINE Long bytes_of(const Layer *l) { return l->half ? 2 : 4; }
INLINE int is_coded(int mode) { return mode == CODES || mode == SPLIT; }
INLINE Long code_bytes(const Layer *l) { return l->mode == CODES ? 1 : l->mode == SPLIT ? 6 : 0; }  // of a value

static char *lay_out(const Layer *l, Long tokens, Long qkv_tokens, Long longest, char *from, Span *s) {
    const Long size = bytes_of(l), codes = code_bytes(l), wide = l->mode == CODES ? 4 : size;
    const Long coded = up(tokens, 16), coded_first = up(qkv_tokens > tokens ? qkv_tokens : tokens, 16);
    s->qkv = take(&from, qkv_tokens * 3 * l->width * size);
    s->mixed = take(&from, (qkv_tokens > tokens ? qkv_tokens : tokens) * l->width * wide);
    s->attended = take(&from, tokens * l->width * size);
    s->wide = take(&from, tokens * l->inner * wide);
    s->sums = (float *)take(&from, tokens * l->width * 4);
    s->codes = (uint8_t *)take(&from, coded_first * l->width * codes);
    s->wide_codes = (uint8_t *)take(&from, coded * l->inner * codes);
    s->scales = (float *)take(&from, (qkv_tokens > tokens ? qkv_tokens : tokens) * 4);
    s->wide_scales = (float *)take(&from, tokens * 4);
    s->space = take(&from, attention_bytes(l->half, longest, l->width / l->heads));
    return from;
}

static void norm_rows(const Layer *l, int second, const char *x, float *sums, Long count, char *out, uint8_t *codes,
                      float *scales) {
    const Long width = l->width, size = bytes_of(l);
    const float *weight = second ? l->weight : l->attention_weight, *bias = second ? l->bias : l->attention_bias;
    const float eps = second ? l->eps : l->attention_eps;
    for (Long t = 0; t < count; t++) {
        const void *from = x + t * width * size;
        void *to = out + t * width * size;
        float *row = sums + t * width;
        if (l->half && codes) norm_as(1, 1, from, row, width, weight, bias, eps, to);
        else if (l->half) norm_as(1, 0, from, row, width, weight, bias, eps, to);
        else norm_as(0, 1, from, row, width, weight, bias, eps, to);
    }
    if (codes) encode_rows(l->mode, 0, sums, count, width, codes, scales);
}

INLINE Target results(const Layer *l, char *to, Long stride, const float *scales) {
    Target target = {0};
    if (l->half) target.half = (uint16_t *)to;
    else target.single = (float *)to;
    target.stride = stride;
    target.scales = scales;
    return target;
}
INLINE Target singles(float *to, Long stride, const float *scales) { return (Target){to, NULL, stride, scales}; }

// The left side of a product: hidden values, or their codes.
INLINE const void *left_of(const Layer *l, const void *values, const uint8_t *codes) {
    return is_coded(l->mode) ? (const void *)codes : values;
}
INLINE Long left_bytes(const Layer *l) { return is_coded(l->mode) ? code_bytes(l) : bytes_of(l); }

static void attend_rows(const Layer *l, const char *qkv, Long n, Long head, Long heads, char *out, char *space) {
    const Long d = l->width / l->heads;
    for (Long h = head; h < heads; h++) {
        if (l->half) attend_head(1, l->mode == CODES, qkv, n, l->width, d, h, out, space);
        else attend_head(0, 0, qkv, n, l->width, d, h, out, space);
    }
}

// What follows attention, for `count` tokens; columns of a product are panels begin..end of its parts.
static void project(const Layer *l, Span *s, const char *in, char *out, Long count) {
    const Long width = l->width, inner = l->inner;
    const int codes = is_coded(l->mode);
    if (codes) encode_rows(l->mode, 0, s->mixed, count, width, s->codes, s->scales);
    multiply(l->mode, &l->dense, left_of(l, s->mixed, s->codes), width * left_bytes(l), count, 0, width / 16,
             singles(s->sums, width, s->scales));
    norm_rows(l, 0, in, s->sums, count, s->attended, codes ? s->codes : NULL, s->scales);
    multiply(l->mode, &l->widen, left_of(l, s->attended, s->codes), width * left_bytes(l), count, 0, inner / 16,
             codes ? singles((float *)s->wide, inner, s->scales) : results(l, s->wide, inner, NULL));
    if (codes) encode_rows(l->mode, 0, s->wide, count, inner, s->wide_codes, s->wide_scales);
    multiply(l->mode, &l->narrow, left_of(l, s->wide, s->wide_codes), inner * left_bytes(l), count, 0, width / 16,
             singles(s->sums, width, s->wide_scales));
    norm_rows(l, 1, s->attended, s->sums, count, out, NULL, NULL);
}

static void project_qkv(const Layer *l, Span *s, const char *in, char *qkv, Long count, Long begin, Long end) {
    if (is_coded(l->mode) && begin == 0) encode_rows(l->mode, l->half, in, count, l->width, s->codes, s->scales);
    multiply(l->mode, &l->qkv, left_of(l, in, s->codes), l->width * left_bytes(l), count, begin, end,
             results(l, qkv, 3 * l->width, s->scales));
}

// Bytes of a token of what attention makes.
INLINE Long mixed_row(const Layer *l) { return l->width * (l->mode == CODES ? 4 : bytes_of(l)); }

INLINE char *hidden_at(const Step *p, const char *from, Long token) {
    return (char *)from + token * p->layer->width * bytes_of(p->layer);
}

// A: chunks of whole rows, each from beginning to end by one thread.
static void run_chunk(void *what, int stage, Long task, int thread) {
    const Step *p = what;
    const Layer *l = p->layer;
    const Long first = p->chunk_rows[task], last = p->chunk_rows[task + 1];
    const Long begin = p->bounds[first], count = p->bounds[last] - begin;
    Span s;
    lay_out(l, BLOCK < count ? BLOCK : count, count, p->longest, p->own + thread * p->own_bytes, &s);
    project_qkv(l, &s, hidden_at(p, p->in, begin), s.qkv, count, 0, 3 * l->width / 16);
    const Long row_bytes = 3 * l->width * bytes_of(l), mixed_bytes = mixed_row(l);
    for (Long r = first; r < last; r++) {
        const Long at = p->bounds[r] - begin, n = p->bounds[r + 1] - p->bounds[r];
        attend_rows(l, s.qkv + at * row_bytes, n, 0, l->heads, s.mixed + at * mixed_bytes, s.space);
    }
    for (Long from = 0; from < count; from += BLOCK) {  // more than one for a long row
        const Long some = count - from < BLOCK ? count - from : BLOCK;
        project(l, &s, hidden_at(p, p->in, begin + from), hidden_at(p, p->out, begin + from), some);
        s.mixed += some * mixed_bytes;
    }
}

// B: for rows that are few and long, in three stages: blocks of tokens, heads, blocks of tokens. A head packs the keys
// and values of a row once, for all its queries.
static void run_block(void *what, int stage, Long task, int thread) {
    const Step *p = what;
    const Layer *l = p->layer;
    const Long begin = task * p->block, count = p->tokens - begin < p->block ? p->tokens - begin : p->block;
    const Long row_bytes = 3 * l->width * bytes_of(l), mixed_bytes = mixed_row(l);
    char *mixed = p->shared + up(p->tokens * row_bytes, 64);
    Span s;
    lay_out(l, p->block, 0, p->longest, p->own + thread * p->own_bytes, &s);
    if (stage == 0)
        project_qkv(l, &s, hidden_at(p, p->in, begin), p->shared + begin * row_bytes, count, 0, 3 * l->width / 16);
    else if (stage == 1)
        for (Long r = 0; r < p->rows; r++) {
            const Long start = p->bounds[r], n = p->bounds[r + 1] - start;
            attend_rows(l, p->shared + start * row_bytes, n, task, task + 1, mixed + start * mixed_bytes, s.space);
        }
    else {
        s.mixed = mixed + begin * mixed_bytes;
        project(l, &s, hidden_at(p, p->in, begin), hidden_at(p, p->out, begin), count);
    }
}

// C: columns in four stages, for a few tokens. Task i is always the same columns, so that a thread finds its part of
// the weights in its own cache at the next depth.
static void run_columns(void *what, int stage, Long task, int thread) {
    const Step *p = what;
    const Layer *l = p->layer;
    const Long d = l->width / l->heads, tasks = p->chunks, width = l->width, inner = l->inner;
    Span s;
    lay_out(l, p->tokens, p->tokens, p->longest, p->shared, &s);
    const Long n = p->tokens;
    if (stage == 0) {
        const Long per = d % 16 ? 16 / (d % 8 ? (d % 4 ? (d % 2 ? 1 : 2) : 4) : 8) : 1, groups = l->heads / per;
        const Long from = groups * task / tasks * per, until = groups * (task + 1) / tasks * per;
        for (int third = 0; third < 3; third++)
            multiply(l->mode, &l->qkv, left_of(l, p->in, s.codes), width * left_bytes(l), n,
                     (third * width + from * d) / 16, (third * width + until * d) / 16,
                     results(l, s.qkv, 3 * width, s.scales));
        char *space = p->own + thread * p->own_bytes;
        const Long row_bytes = 3 * width * bytes_of(l), mixed_bytes = mixed_row(l);
        for (Long r = 0; r < p->rows; r++) {
            const Long at = p->bounds[r], count = p->bounds[r + 1] - at;
            attend_rows(l, s.qkv + at * row_bytes, count, from, until, s.mixed + at * mixed_bytes, space);
        }
        return;
    }
    const Product *w = stage == 1 ? &l->dense : stage == 2 ? &l->widen : &l->narrow;
    const Long panels = w->out / 16, begin = panels * task / tasks, end = panels * (task + 1) / tasks;
    if (stage == 1)
        multiply(l->mode, w, left_of(l, s.mixed, s.codes), width * left_bytes(l), n, begin, end,
                 singles(s.sums, width, s.scales));
    else if (stage == 2)
        multiply(l->mode, w, left_of(l, s.attended, s.codes), width * left_bytes(l), n, begin, end,
                 is_coded(l->mode) ? singles((float *)s.wide, inner, s.scales) : results(l, s.wide, inner, NULL));
    else
        multiply(l->mode, w, left_of(l, s.wide, s.wide_codes), inner * left_bytes(l), n, begin, end,
                 singles(s.sums, width, s.wide_scales));
}

static void after_columns(void *what, int stage) {
    const Step *p = what;
    const Layer *l = p->layer;
    Span s;
    lay_out(l, p->tokens, p->tokens, p->longest, p->shared, &s);
    const int codes = is_coded(l->mode);
    if (stage == 0 && codes) encode_rows(l->mode, 0, s.mixed, p->tokens, l->width, s.codes, s.scales);
    if (stage == 1) norm_rows(l, 0, p->in, s.sums, p->tokens, s.attended, codes ? s.codes : NULL, s.scales);
    if (stage == 2 && codes) encode_rows(l->mode, 0, s.wide, p->tokens, l->inner, s.wide_codes, s.wide_scales);
    if (stage == 3) norm_rows(l, 1, s.attended, s.sums, p->tokens, p->out, NULL, NULL);
}

static void run_stage(void *what, int stage, Long task, int thread) {
    Step *p = what;
    if (stage == p->head_stage) pool_columns(&p->reading, task);
    else p->run(p, stage, task, thread);
}

static void after_stage(void *what, int stage) {
    Step *p = what;
    if (stage == p->head_stage) finish_head(&p->reading);
    else if (p->after) p->after(p, stage);
    if (stage + 1 == p->head_stage) gather(&p->reading);
}

// How the layer's work is divided; returns the bytes of shared scratch memory.
static Long plan_layer(Step *p, Job *job, Long *chunk_rows, int threads) {
    const Layer *l = p->layer;
    const Long rows = p->rows, tokens = p->tokens, longest = p->longest, *bounds = (const Long *)p->bounds;
    // Chunks of whole rows, nearly even and as large as BLOCK allows: each reads all weights once.
    const Long parts = (tokens + BLOCK - 1) / BLOCK, even = (parts + threads - 1) / threads * threads;
    Long chunks = 0, largest = 0, shared_bytes = 0;
    for (Long r = 0; r < rows;) {
        Long end = r + 1;
        const Long until = (chunks + 1) * tokens / even;  // where an even chunk would end
        while (end < rows && bounds[end + 1] - bounds[r] <= BLOCK && bounds[end] + bounds[end + 1] <= 2 * until) end++;
        if (bounds[end] - bounds[r] > largest) largest = bounds[end] - bounds[r];
        chunk_rows[chunks++] = r;
        r = end;
    }
    chunk_rows[chunks] = rows;
    p->chunks = chunks;
    p->chunk_rows = chunk_rows;
    Span s;
    if (threads > 1 && tokens <= SMALL) {
        job->stages = 4;
        p->chunks = threads;
        for (int i = 0; i < 4; i++) job->tasks[i] = threads;
        p->run = run_columns;
        p->after = after_columns;
        shared_bytes = lay_out(l, tokens, tokens, longest, NULL, &s) - (char *)NULL;
        p->own_bytes = attention_bytes(l->half, longest, l->width / l->heads);
    } else if (threads > 1 && (chunks < threads || largest > tokens / threads / 2 + BLOCK)) {
        job->stages = 3;
        const Long share = up((tokens + threads - 1) / threads, 16);
        p->block = share < BLOCK ? share : BLOCK;
        job->tasks[0] = job->tasks[2] = (tokens + p->block - 1) / p->block;
        job->tasks[1] = l->heads;
        p->run = run_block;
        shared_bytes = up(tokens * 3 * l->width * bytes_of(l), 64) + up(tokens * mixed_row(l), 64);
        p->own_bytes = lay_out(l, BLOCK, BLOCK, longest, NULL, &s) - (char *)NULL;
    } else {
        job->stages = 1;
        job->tasks[0] = chunks;
        p->run = run_chunk;
        p->own_bytes = lay_out(l, BLOCK < largest ? BLOCK : largest, largest, longest, NULL, &s) - (char *)NULL;
    }
    return shared_bytes;
}

static int elbert_step(const Layer *l, const Head *head, Live *live, float *logits, const void *in, void *out,
                       const int64_t *bounds, Long rows, Long tokens, Long size, int threads, char *scratch,
                       Long scratch_bytes, Long *needed) {
    Layer own;
    if (l) {
        own = *l;
#ifdef __AMX_TILE__
        if (l->qkv.cut && l->dense.cut && l->widen.cut && l->narrow.cut) own.mode = SPLIT;
#endif
        l = &own;
    }
    const Long longest = check_bounds(bounds, rows, tokens, size);
    if (longest < 0) return BAD_BOUNDS;
    for (Long r = 0; live && r < rows; r++)
        if (live->depth[r] < 0 || live->depth[r] >= live->depths) return BAD_BOUNDS;
    const double work = l ? tokens * ((double)l->width * (4 * l->width + 2 * l->inner)) : (double)rows * head->width * head->width;
    if (work < MIN_WORK || threads < 1) threads = 1;
    Step p = {.layer = l, .in = in, .out = out, .bounds = bounds, .rows = rows, .tokens = tokens, .longest = longest};
    p.head_stage = -1;
    Job job = {.what = &p, .run = run_stage, .after = after_stage};
    Long shared_bytes = 0, head_bytes = 0, *chunk_rows = NULL;
    if (l && tokens) {
        chunk_rows = malloc((rows + 2) * sizeof(Long));
        if (!chunk_rows) return NO_MEMORY;
        shared_bytes = plan_layer(&p, &job, chunk_rows, threads);
    }
    if (head) head_bytes = lay_out_head(head, rows, NULL, &p.reading) - (char *)NULL;
    p.own_bytes = up(p.own_bytes, 4096);
    const Long steps = l && live && live->steps > 1 ? live->steps : 1;
    const Long bytes = l ? tokens * l->width * bytes_of(l) : 0, other_bytes = steps > 1 ? up(bytes, 64) : 0;
    *needed = shared_bytes + threads * p.own_bytes + head_bytes + other_bytes + 64;
    int code = OK;
    if (*needed > scratch_bytes) code = NO_MEMORY;
    else {
        p.shared = (char *)up((Long)(uintptr_t)scratch, PAD);
        p.own = p.shared + shared_bytes;
        char *head_space = p.own + threads * p.own_bytes, *other = head_space + head_bytes;
        const int layer_stages = job.stages;
        for (Long made = 1;; made++) {
            job.stages = layer_stages;
            p.head_stage = -1;
            if (head) {
                Reading *r = &p.reading;
                lay_out_head(head, rows, head_space, r);
                *r = (Reading){head, live, live ? live->logits : logits, l ? p.out : p.in, bounds, rows, 0, 0, r->picks,
                               r->pooled_from, r->pooled, r->raw, r->space};
                if (live) r->count = elbert_pick(live, rows, r->picks);
                else
                    for (; r->count < rows; r->count++) r->picks[r->count] = r->count;
                if (r->count) {
                    p.head_stage = job.stages;
                    r->tasks = threads;
                    job.tasks[job.stages++] = threads;
                }
            }
            if (p.run == run_columns && is_coded(l->mode)) {
                Span s;
                lay_out(l, tokens, tokens, longest, p.shared, &s);
                encode_rows(l->mode, l->half, p.in, tokens, l->width, s.codes, s.scales);
            }
            if (p.head_stage == 0) gather(&p.reading);
            if (job.stages) elbert_run(&job, threads);
            if (head && !p.reading.count) finish_head(&p.reading);
            if (live) live->made = made;
            if (made == steps || live->exits) break;
            p.in = p.out;
            p.out = p.out == out ? other : out;
        }
        if (l && p.out != out) memcpy(out, p.out, bytes);
        if (l) memset((char *)out + bytes, 0, (size - tokens) * l->width * bytes_of(l));
    }
    free(chunk_rows);
    return code;
}

#include "embed.h"

#ifdef HALF_DOT
#define HAS_HALVES 1
#else
#define HAS_HALVES 0
#endif
#ifdef __AMX_TILE__
#define HAS_SPLITS 1
#else
#define HAS_SPLITS 0
#endif
const Variant NAME(elbert) = {elbert_step, elbert_embed, ZERO, HAS_HALVES, HAS_SPLITS};
