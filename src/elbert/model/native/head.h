// The exit head: pooler and classifier for some rows, and what their logits become.
#pragma once
#include "product.h"

#define PAD 64  // bytes at whose multiples the parts of scratch memory begin
INLINE Long up(Long n, Long to) { return (n + to - 1) / to * to; }
INLINE char *take(char **from, Long bytes) {
    char *at = *from;
    *from += up(bytes, PAD);
    return at;
}

typedef struct {
    const Head *head;
    Live *live;             // or NULL: only logits
    float *logits;          // [rows][classes]
    const char *hidden;
    const int64_t *bounds;
    Long rows, count;       // rows, and those that are read
    Long tasks;
    Long *picks;            // [rows]
    char *pooled_from;      // [count][width]
    float *pooled, *raw;    // [count][pooler.out], [count][classifier.out]
    float *space;           // of decisions
} Reading;

// The longest row, or -1 where bounds do not rise from 0 to the number of tokens.
static Long check_bounds(const int64_t *bounds, Long rows, Long tokens, Long size) {
    Long longest = 0;
    if (bounds[0] != 0 || bounds[rows] != tokens || tokens > size) return -1;
    for (Long r = 0; r < rows; r++) {
        const Long n = bounds[r + 1] - bounds[r];
        if (n < 0 || n > tokens) return -1;
        if (n > longest) longest = n;
    }
    return longest;
}

INLINE Long hidden_bytes(const Long half) { return half ? 2 : 4; }

static char *lay_out_head(const Head *h, Long rows, char *from, Reading *r) {
    r->picks = (Long *)take(&from, rows * sizeof(Long));
    r->pooled_from = take(&from, rows * h->width * hidden_bytes(h->half));
    r->pooled = (float *)take(&from, rows * h->pooler.out * 4);
    r->raw = (float *)take(&from, rows * h->classifier.out * 4);
    r->space = (float *)take(&from, 2 * h->classes * 4);
    return from;
}

INLINE vf load_as(const int half, const void *from, Long i) {
    return half ? vload_half((const uint16_t *)from + i) : vload((const float *)from + i);
}
INLINE void store_as(const int half, void *to, Long i, vf value) {
    if (half) vstore_half((uint16_t *)to + i, value);
    else vstore((float *)to + i, value);
}

INLINE void mean_as(const int half, const char *tokens, Long count, Long width, void *out) {
    for (Long i = 0; i < width; i += LANES) {
        vf sum = vset(0);
        for (Long t = 0; t < count; t++) sum = vadd(sum, load_as(half, tokens, t * width + i));
        store_as(half, out, i, vdiv(sum, vset(count)));
    }
}

// The head's input for the rows that are read.
static void gather(Reading *r) {
    const Head *h = r->head;
    const Long size = h->width * hidden_bytes(h->half);
    for (Long i = 0; i < r->count; i++) {
        const Long row = r->picks[i], begin = r->bounds[row], tokens = r->bounds[row + 1] - begin;
        char *to = r->pooled_from + i * size;
        if (tokens == 0) memset(to, 0, size);
        else if (!h->mean) memcpy(to, r->hidden + begin * size, size);
        else if (h->half) mean_as(1, r->hidden + begin * size, tokens, h->width, to);
        else mean_as(0, r->hidden + begin * size, tokens, h->width, to);
    }
}

// Columns of the pooler: task i is always the same columns, so that a thread finds them in its own cache.
static void pool_columns(Reading *r, Long task) {
    const Head *h = r->head;
    const Long panels = h->pooler.out / 16, begin = panels * task / r->tasks, end = panels * (task + 1) / r->tasks;
    multiply(h->mode, &h->pooler, r->pooled_from, h->width * hidden_bytes(h->half), r->count, begin, end,
             (Target){r->pooled, NULL, h->pooler.out, NULL});
}

// logits [classes, padded to LANES] -> probabilities, in place
INLINE void soften_logits(float *logits, Long classes) {
    vf largest = vset(-INFINITY), sum = vset(0);
    Long end = up(classes, LANES);
    for (Long i = classes; i < end; i++) logits[i] = -INFINITY;
    for (Long i = 0; i < end; i += LANES) largest = vmax(largest, vload(logits + i));
    const vf top = vset(vtop(largest));
    for (Long i = 0; i < end; i += LANES) {
        const vf value = exponential(vsub(vload(logits + i), top));
        vstore(logits + i, value);
    }
    for (Long i = classes; i < end; i++) logits[i] = 0;
    for (Long i = 0; i < end; i += LANES) sum = vadd(sum, vload(logits + i));
    const vf total = vset(vsum(sum));
    for (Long i = 0; i < end; i += LANES) vstore(logits + i, vdiv(vload(logits + i), total));
}

// Logits, probabilities and, for live rows, the decision.
static void finish_head(Reading *r) {
    const Head *h = r->head;
    const Long classes = h->classes, padded = h->classifier.out;
    if (r->count)
        multiply(SINGLE, &h->classifier, r->pooled, h->pooler.out * 4, r->count, 0, padded / 16,
                 (Target){r->raw, NULL, padded, NULL});
    for (Long i = 0; i < r->count; i++) {
        float *raw = r->raw + i * padded;
        const Long row = r->picks[i];
        memcpy(r->logits + row * classes, raw, classes * 4);
        if (!r->live) continue;
        if (r->live->task == SOFTMAX) soften_logits(raw, classes);
        else if (r->live->task == SIGMOID)
            for (Long c = 0; c < padded; c += LANES) vstore(raw + c, logistic2(vmul(vload(raw + c), vset(LOG2E))));
        memcpy(r->live->trace + (row * r->live->depths + r->live->depth[row]) * classes, raw, classes * 4);
    }
    if (r->live) elbert_decide(r->live, r->rows, r->space);
}
