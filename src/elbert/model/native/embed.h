// Hidden values at depth 0: the sum of a token's embeddings, its norm and, in ALBERT, a product.
#pragma once
#include "head.h"

typedef struct {
    const Embedding *e;
    const int64_t *ids, *types, *bounds;
    char *out, *own;     // scratch of each thread
    Long rows, tokens, own_bytes;
} Embedded;

INLINE const char *entry(const Embedding *e, const void *table, Long row) {
    return (const char *)table + row * e->inner * hidden_bytes(e->half);
}

INLINE void embed_as(const int half, const Embedding *e, Long id, Long position, Long type, float *sums, void *out) {
    const char *word = entry(e, e->word_table, id), *place = entry(e, e->position_table, position);
    const char *segment = e->segments ? entry(e, e->segment_table, type) : NULL;
    const Long n = e->inner;
    vf total = vset(0), squares = vset(0);
    for (Long i = 0; i < n; i += LANES) {
        vf value = vadd(load_as(half, word, i), load_as(half, place, i));
        if (segment) value = vadd(value, load_as(half, segment, i));
        vstore(sums + i, value);
        total = vadd(total, value);
    }
    const vf mean = vset(vsum(total) / n);
    for (Long i = 0; i < n; i += LANES) {
        const vf apart = vsub(vload(sums + i), mean);
        squares = vfma(apart, apart, squares);
    }
    const vf by = vset(1 / sqrtf(vsum(squares) / n + e->eps));
    for (Long i = 0; i < n; i += LANES)
        store_as(half, out, i, vfma(vmul(vsub(vload(sums + i), mean), by), vload(e->weight + i), vload(e->bias + i)));
}

static void embed_block(void *what, int stage, Long task, int thread) {
    const Embedded *p = what;
    const Embedding *e = p->e;
    const Long begin = task * BLOCK, until = begin + BLOCK < p->tokens ? begin + BLOCK : p->tokens;
    const Long size = hidden_bytes(e->half), has_map = e->map.out > 0;
    char *own = p->own + thread * p->own_bytes, *normed = own + up(e->inner * 4, PAD);
    for (Long r = 0; r < p->rows; r++) {
        const Long start = p->bounds[r], end = p->bounds[r + 1];
        if (end <= begin || start >= until) continue;
        Long counted = 0;
        for (Long t = start; t < end && t < until; t++) {
            const int is_padding = e->padding >= 0 && p->ids[t] == e->padding;
            const Long position = e->padding < 0 ? t - start : is_padding ? e->padding : e->padding + 1 + counted;
            counted += !is_padding;
            if (t < begin) continue;
            char *to = has_map ? normed + (t - begin) * e->inner * size : p->out + t * e->width * size;
            const Long type = e->segments ? p->types[t] : 0;
            if (e->half) embed_as(1, e, p->ids[t], position, type, (float *)own, to);
            else embed_as(0, e, p->ids[t], position, type, (float *)own, to);
        }
    }
    if (!has_map) return;
    Target target = {.stride = e->width};
    if (e->half) target.half = (uint16_t *)p->out + begin * e->width;
    else target.single = (float *)p->out + begin * e->width;
    multiply(e->half ? HALVES : SINGLE, &e->map, normed, e->inner * size, until - begin, 0, e->width / 16, target);
}

static int elbert_embed(const Embedding *e, const int64_t *ids, const int64_t *types, void *out, const int64_t *bounds,
                        Long rows, Long tokens, Long size, int threads, char *scratch, Long scratch_bytes,
                        Long *needed) {
    if (check_bounds(bounds, rows, tokens, size) < 0) return BAD_BOUNDS;
    for (Long r = 0; r < rows; r++)
        if (bounds[r + 1] - bounds[r] + e->padding + 1 > e->positions) return BAD_BOUNDS;
    for (Long t = 0; t < tokens; t++) {
        if (ids[t] < 0 || ids[t] >= e->words) return BAD_IDS;
        if (e->segments && (types[t] < 0 || types[t] >= e->segments)) return BAD_IDS;
    }
    const Long bytes = e->width * hidden_bytes(e->half);
    if (threads < 1 || (double)tokens * e->inner * e->width < 10 * MIN_WORK) threads = 1;
    Embedded p = {.e = e, .ids = ids, .types = types, .bounds = bounds, .out = out, .rows = rows, .tokens = tokens};
    p.own_bytes = up(up(e->inner * 4, PAD) + BLOCK * e->inner * 4, 4096);
    *needed = threads * p.own_bytes + PAD;
    if (*needed > scratch_bytes) return NO_MEMORY;
    p.own = (char *)up((Long)(uintptr_t)scratch, PAD);
    Job job = {.stages = 1, .tasks = {(tokens + BLOCK - 1) / BLOCK}, .run = embed_block, .what = &p};
    elbert_run(&job, threads);
    memset((char *)out + tokens * bytes, 0, (size - tokens) * bytes);
    return OK;
}
