// One transformer layer over packed rows: four products, attention, norms, with everything between them.
//
// Hidden values are float32 or bfloat16; sums are float32 or, of codes, int32. A token's result does not depend on the
// tokens beside it, except within its row in attention.
#include "attention.h"
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
    Long chunks;
    const Long *chunk_rows;  // [chunks + 1]
    char *shared, *own;      // scratch
    Long own_bytes;
} Step;

// Scratch for a span of tokens; every part begins at a multiple of 64 bytes.
typedef struct {
    char *qkv, *mixed, *attended, *wide, *space;
    float *sums;
    uint8_t *codes, *wide_codes;
    float *scales, *wide_scales;
} Span;

INLINE Long bytes_of(const Layer *l) { return l->half ? 2 : 4; }
INLINE char *take(char **from, Long bytes) {
    char *at = *from;
    *from += up(bytes, 64);
    return at;
}

static char *lay_out(const Layer *l, Long tokens, Long qkv_tokens, Long longest, char *from, Span *s) {
    const Long size = bytes_of(l), codes = l->mode == CODES;
    s->qkv = take(&from, qkv_tokens * 3 * l->width * size);
    s->mixed = take(&from, tokens * l->width * (codes ? 4 : size));
    s->attended = take(&from, tokens * l->width * size);
    s->wide = take(&from, tokens * l->inner * (codes ? 4 : size));
    s->sums = (float *)take(&from, tokens * l->width * 4);
    s->codes = (uint8_t *)take(&from, codes ? (qkv_tokens > tokens ? qkv_tokens : tokens) * l->width : 0);
    s->wide_codes = (uint8_t *)take(&from, codes ? tokens * l->inner : 0);
    s->scales = (float *)take(&from, (qkv_tokens > tokens ? qkv_tokens : tokens) * 4);
    s->wide_scales = (float *)take(&from, tokens * 4);
    s->space = take(&from, attention_bytes(l->half, longest, l->width / l->heads));
    return from;
}

INLINE vf load_as(const int half, const void *from, Long i) {
    return half ? vload_half((const uint16_t *)from + i) : vload((const float *)from + i);
}

INLINE float quantise_as(const int half, const void *row, Long width, uint8_t *codes) {
    vf largest = vset(0);
    for (Long i = 0; i < width; i += LANES) largest = vmax(largest, vabs(load_as(half, row, i)));
    const float top = vtop(largest), by = top > 0 ? 127 / top : 0;
    for (Long i = 0; i < width; i += LANES) vstore_codes(codes + i, vmul(load_as(half, row, i), vset(by)), ZERO);
    return top / 127;
}

static void quantise_rows(int half, const void *rows, Long count, Long width, uint8_t *codes, float *scales) {
    for (Long t = 0; t < count; t++) {
        if (half) scales[t] = quantise_as(1, (const uint16_t *)rows + t * width, width, codes + t * width);
        else scales[t] = quantise_as(0, (const float *)rows + t * width, width, codes + t * width);
    }
}

// out = norm(x + sums); with codes also its quantised form, before rounding
INLINE void norm_as(const int half, const void *x, float *sums, Long width, const float *weight, const float *bias,
                    float eps, void *out, uint8_t *codes, float *scale) {
    vf total = vset(0);
    for (Long i = 0; i < width; i += LANES) {
        vf value = vadd(load_as(half, x, i), vload(sums + i));
        vstore(sums + i, value);
        total = vadd(total, value);
    }
    const vf mean = vset(vsum(total) / width);
    vf squares = vset(0);
    for (Long i = 0; i < width; i += LANES) {
        vf apart = vsub(vload(sums + i), mean);
        squares = vfma(apart, apart, squares);
    }
    const vf by = vset(1 / sqrtf(vsum(squares) / width + eps));
    for (Long i = 0; i < width; i += LANES) {
        vf value = vfma(vmul(vsub(vload(sums + i), mean), by), vload(weight + i), vload(bias + i));
        if (half) vstore_half((uint16_t *)out + i, value);
        else vstore((float *)out + i, value);
        if (codes) vstore(sums + i, value);
    }
    if (codes) *scale = quantise_as(0, sums, width, codes);
}

static void norm_rows(const Layer *l, int second, const char *x, float *sums, Long count, char *out, uint8_t *codes,
                      float *scales) {
    const Long width = l->width, size = bytes_of(l);
    const float *weight = second ? l->weight : l->attention_weight, *bias = second ? l->bias : l->attention_bias;
    const float eps = second ? l->eps : l->attention_eps;
    for (Long t = 0; t < count; t++) {
        uint8_t *to = codes ? codes + t * width : NULL;
        float *scale = codes ? scales + t : NULL;
        const void *from = x + t * width * size;
        if (l->half) norm_as(1, from, sums + t * width, width, weight, bias, eps, out + t * width * size, to, scale);
        else norm_as(0, from, sums + t * width, width, weight, bias, eps, out + t * width * size, to, scale);
    }
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
    return l->mode == CODES ? (const void *)codes : values;
}
INLINE Long left_bytes(const Layer *l) { return l->mode == CODES ? 1 : bytes_of(l); }

static void attend_rows(const Layer *l, const char *qkv, Long n, Long from, Long until, Long head, Long heads, char *out,
                        char *space) {
    const Long d = l->width / l->heads;
    for (Long h = head; h < heads; h++) {
        if (l->half) attend_head(1, l->mode == CODES, qkv, n, l->width, d, h, from, until, out, space);
        else attend_head(0, 0, qkv, n, l->width, d, h, from, until, out, space);
    }
}

// What follows attention, for `count` tokens; columns of a product are panels begin..end of its parts.
static void project(const Layer *l, Span *s, const char *in, char *out, Long count) {
    const Long width = l->width, inner = l->inner;
    if (l->mode == CODES) quantise_rows(0, s->mixed, count, width, s->codes, s->scales);
    multiply(l->mode, &l->dense, left_of(l, s->mixed, s->codes), width * left_bytes(l), count, 0, width / 16,
             singles(s->sums, width, s->scales));
    norm_rows(l, 0, in, s->sums, count, s->attended, l->mode == CODES ? s->codes : NULL, s->scales);
    if (l->mode == CODES) {
        multiply(CODES, &l->widen, s->codes, width, count, 0, inner / 16, singles((float *)s->wide, inner, s->scales));
        quantise_rows(0, s->wide, count, inner, s->wide_codes, s->wide_scales);
    } else
        multiply(l->mode, &l->widen, s->attended, width * bytes_of(l), count, 0, inner / 16,
                 results(l, s->wide, inner, NULL));
    multiply(l->mode, &l->narrow, left_of(l, s->wide, s->wide_codes), inner * left_bytes(l), count, 0, width / 16,
             singles(s->sums, width, s->wide_scales));
    norm_rows(l, 1, s->attended, s->sums, count, out, NULL, NULL);
}

static void project_qkv(const Layer *l, Span *s, const char *in, char *qkv, Long count, Long begin, Long end) {
    if (l->mode == CODES && begin == 0) quantise_rows(l->half, in, count, l->width, s->codes, s->scales);
    multiply(l->mode, &l->qkv, left_of(l, in, s->codes), l->width * left_bytes(l), count, begin, end,
             results(l, qkv, 3 * l->width, s->scales));
}

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
    const Long row_bytes = 3 * l->width * bytes_of(l), mixed_bytes = l->width * (l->mode == CODES ? 4 : bytes_of(l));
    if (count <= BLOCK) {
        for (Long r = first; r < last; r++) {
            const Long at = p->bounds[r] - begin, n = p->bounds[r + 1] - p->bounds[r];
            attend_rows(l, s.qkv + at * row_bytes, n, 0, n, 0, l->heads, s.mixed + at * mixed_bytes, s.space);
        }
        project(l, &s, hidden_at(p, p->in, begin), hidden_at(p, p->out, begin), count);
        return;
    }
    for (Long from = 0; from < count; from += BLOCK) {  // one Long row
        const Long some = count - from < BLOCK ? count - from : BLOCK;
        attend_rows(l, s.qkv, count, from, from + some, 0, l->heads, s.mixed, s.space);
        project(l, &s, hidden_at(p, p->in, begin + from), hidden_at(p, p->out, begin + from), some);
    }
}

// B: blocks of tokens in two stages, for rows that are few and Long.
static void run_block(void *what, int stage, Long task, int thread) {
    const Step *p = what;
    const Layer *l = p->layer;
    const Long begin = task * BLOCK, until = begin + BLOCK < p->tokens ? begin + BLOCK : p->tokens;
    const Long row_bytes = 3 * l->width * bytes_of(l), mixed_bytes = l->width * (l->mode == CODES ? 4 : bytes_of(l));
    Span s;
    lay_out(l, BLOCK, 0, p->longest, p->own + thread * p->own_bytes, &s);
    if (stage == 0) {
        project_qkv(l, &s, hidden_at(p, p->in, begin), p->shared + begin * row_bytes, until - begin, 0, 3 * l->width / 16);
        return;
    }
    for (Long r = 0; r < p->rows; r++) {
        const Long start = p->bounds[r], end = p->bounds[r + 1];
        if (end <= begin || start >= until) continue;
        const Long from = start > begin ? start : begin, to = end < until ? end : until;
        attend_rows(l, p->shared + start * row_bytes, end - start, from - start, to - start, 0, l->heads,
                    s.mixed + (from - begin) * mixed_bytes, s.space);
    }
    project(l, &s, hidden_at(p, p->in, begin), hidden_at(p, p->out, begin), until - begin);
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
        const Long row_bytes = 3 * width * bytes_of(l), mixed_bytes = width * (l->mode == CODES ? 4 : bytes_of(l));
        for (Long r = 0; r < p->rows; r++) {
            const Long at = p->bounds[r], count = p->bounds[r + 1] - at;
            attend_rows(l, s.qkv + at * row_bytes, count, 0, count, from, until, s.mixed + at * mixed_bytes, space);
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
                 l->mode == CODES ? singles((float *)s.wide, inner, s.scales) : results(l, s.wide, inner, NULL));
    else
        multiply(l->mode, w, left_of(l, s.wide, s.wide_codes), inner * left_bytes(l), n, begin, end,
                 singles(s.sums, width, s.wide_scales));
}

static void after_columns(void *what, int stage) {
    const Step *p = what;
    const Layer *l = p->layer;
    Span s;
    lay_out(l, p->tokens, p->tokens, p->longest, p->shared, &s);
    const int codes = l->mode == CODES;
    if (stage == 0 && codes) quantise_rows(0, s.mixed, p->tokens, l->width, s.codes, s.scales);
    if (stage == 1) norm_rows(l, 0, p->in, s.sums, p->tokens, s.attended, codes ? s.codes : NULL, s.scales);
    if (stage == 2 && codes) quantise_rows(0, s.wide, p->tokens, l->inner, s.wide_codes, s.wide_scales);
    if (stage == 3) norm_rows(l, 1, s.attended, s.sums, p->tokens, p->out, NULL, NULL);
}

// in, out [tokens, width]: the layer applied to rows bounds [rows + 1]; in and out may not overlap.
static int elbert_layer(const Layer *l, const void *in, void *out, const int64_t *bounds, Long rows, Long tokens,
                       int threads, char *scratch, Long scratch_bytes, Long *needed) {
    Long longest = 0;
    if (bounds[0] != 0 || bounds[rows] != tokens) return BAD_BOUNDS;
    for (Long r = 0; r < rows; r++) {
        const Long n = bounds[r + 1] - bounds[r];
        if (n < 0 || n > tokens) return BAD_BOUNDS;
        if (n > longest) longest = n;
    }
    if (!tokens) return OK;
    const double work = tokens * ((double)l->width * (4 * l->width + 2 * l->inner));
    if (work < MIN_WORK || threads < 1) threads = 1;
    Step p = {.layer = l, .in = in, .out = out, .bounds = bounds, .rows = rows, .tokens = tokens, .longest = longest};
    Long *chunk_rows = malloc((rows + 2) * sizeof(Long));
    if (!chunk_rows) return NO_MEMORY;
    // Chunks of whole rows, of about BLOCK tokens or fewer, so that every thread gets several.
    const Long share = tokens / (threads * 4) + 1, size = threads > 1 && share < BLOCK ? (share < 16 ? 16 : share) : BLOCK;
    Long chunks = 0, largest = 0;
    for (Long r = 0; r < rows;) {
        Long end = r + 1;
        while (end < rows && bounds[end + 1] - bounds[r] <= size) end++;
        if (bounds[end] - bounds[r] > largest) largest = bounds[end] - bounds[r];
        chunk_rows[chunks++] = r;
        r = end;
    }
    chunk_rows[chunks] = rows;
    p.chunks = chunks;
    p.chunk_rows = chunk_rows;
    Span s;
    Job job = {.what = &p, .after = NULL};
    Long shared_bytes = 0;
    if (threads > 1 && tokens <= SMALL) {
        job.stages = 4;
        p.chunks = threads;
        for (int i = 0; i < 4; i++) job.tasks[i] = threads;
        job.run = run_columns;
        job.after = after_columns;
        shared_bytes = lay_out(l, tokens, tokens, longest, NULL, &s) - (char *)NULL;
        p.own_bytes = attention_bytes(l->half, longest, l->width / l->heads);
    } else if (threads > 1 && (chunks < 2 * threads || largest > tokens / threads / 2 + BLOCK)) {
        job.stages = 2;
        job.tasks[0] = job.tasks[1] = (tokens + BLOCK - 1) / BLOCK;
        job.run = run_block;
        shared_bytes = up(tokens * 3 * l->width * bytes_of(l), 64);
        p.own_bytes = lay_out(l, BLOCK, BLOCK, longest, NULL, &s) - (char *)NULL;
    } else {
        job.stages = 1;
        job.tasks[0] = chunks;
        job.run = run_chunk;
        p.own_bytes = lay_out(l, BLOCK < largest ? BLOCK : largest, largest, longest, NULL, &s) - (char *)NULL;
    }
    p.own_bytes = up(p.own_bytes, 4096);
    *needed = shared_bytes + threads * p.own_bytes + 64;
    int code = OK;
    if (*needed > scratch_bytes) code = NO_MEMORY;
    else {
        p.shared = (char *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63);
        p.own = p.shared + shared_bytes;
        if (job.run == run_columns && l->mode == CODES) {
            lay_out(l, tokens, tokens, longest, p.shared, &s);
            quantise_rows(l->half, in, tokens, l->width, s.codes, s.scales);
        }
        elbert_run(&job, threads);
    }
    free(chunk_rows);
    return code;
}

#ifdef HALF_DOT
#define HAS_HALVES 1
#else
#define HAS_HALVES 0
#endif
const Variant NAME(elbert) = {elbert_layer, ZERO, HAS_HALVES};
