// Many rows in one call: places that rows free are filled with rows that wait. Compiled once, for every variant.
//
// Which rows start, and when, is the rule of engine/scheduler.py for one call at a time. Where there are enough rows, every
// thread has a share of the places, and no layer is shared: a thread whose core is taken away delays its own rows only.
// What is left in the end is one batch, whose layers all threads share.
#include <stdatomic.h>
#include <string.h>

#include "pool.h"
#include "variant.h"

enum { ALIGN = 64, SHARE_TOKENS = 128 };  // places of a thread's share at least: two blocks of a layer

typedef struct {  // the rows of the next step, in order; arrays are in scratch memory
    Long rows, tokens;
    Long *numbers;            // [rows]: of each row, in the order of `lengths`
    int64_t *bounds;          // [rows + 1]
    const Policy **policies;  // [rows]
    int64_t *depth, *decision;
    float *trace, *logits;
    char *hidden, *other;     // [tokens][width]: of this step, and of the next
} Batch;

static void *cut(char **from, Long bytes) {
    char *at = *from;
    *from += (bytes + ALIGN - 1) / ALIGN * ALIGN;
    return at;
}

static char *lay_out(const Refill *r, Long rows, Long tokens, Long token_bytes, char *from, Batch *b) {
    b->numbers = cut(&from, rows * sizeof(Long));
    b->bounds = cut(&from, (rows + 1) * sizeof(int64_t));
    b->policies = cut(&from, rows * sizeof(Policy *));
    b->depth = cut(&from, rows * sizeof(int64_t));
    b->decision = cut(&from, rows * sizeof(int64_t));
    b->trace = cut(&from, rows * r->depths * r->classes * 4);
    b->logits = cut(&from, rows * r->classes * 4);
    b->hidden = cut(&from, tokens * token_bytes);
    b->other = cut(&from, tokens * token_bytes);
    return from;
}

static void add_row(const Refill *r, Batch *b, Long number, int64_t depth) {
    const Long values = r->depths * r->classes;
    b->numbers[b->rows] = number;
    b->policies[b->rows] = r->policies[number];
    b->depth[b->rows] = depth;
    memcpy(b->trace + b->rows * values, r->trace + number * values, values * 4);
    b->tokens += r->lengths[number];
    b->bounds[++b->rows] = b->tokens;
}

static void move_row(const Refill *r, Batch *b, Long from, Long to, Long token_bytes) {
    const Long values = r->depths * r->classes, begin = b->bounds[from], count = b->bounds[from + 1] - begin;
    b->numbers[to] = b->numbers[from];
    b->policies[to] = b->policies[from];
    b->depth[to] = b->depth[from];
    memmove(b->trace + to * values, b->trace + from * values, values * 4);
    memmove(b->hidden + b->tokens * token_bytes, b->hidden + begin * token_bytes, count * token_bytes);
    b->tokens += count;
}

static void write_row(Refill *r, const Batch *b, Long row, int64_t decision) {
    const Long number = b->numbers[row], values = r->depths * r->classes;
    r->depth[number] = b->depth[row];
    r->decision[number] = decision;
    memcpy(r->trace + number * values, b->trace + row * values, values * 4);
    if (decision != STAY) memcpy(r->logits + number * r->classes, b->logits + row * r->classes, r->classes * 4);
}

// Take out the rows that exit; the others keep their order.
static void remove_exits(Refill *r, Batch *b, Long token_bytes) {
    const Long rows = b->rows;
    b->rows = b->tokens = 0;
    for (Long i = 0; i < rows; i++) {
        if (b->decision[i] != STAY) {
            write_row(r, b, i, b->decision[i]);
            continue;
        }
        if (b->rows == i) b->tokens = b->bounds[i + 1];  // no row before it exits
        else move_row(r, b, i, b->rows, token_bytes);
        b->bounds[++b->rows] = b->tokens;
    }
}

typedef struct {  // places of one thread, or of all together
    Batch batch;
    Long rows, tokens;        // that its arrays can hold
    Long max_rows, max_tokens;
    int threads, code;
    char *own;                // scratch memory of its calls
    Long own_bytes, needed;
} Share;

typedef struct {
    const Variant *variant;
    const Embedding *embedding;
    const Layer *layer;
    const Head *head;
    Refill *r;
    Long all, total, longest; // rows, their tokens, and the tokens of the longest
    Long token_bytes;
    Long *before;             // [items + 1]: the tokens before each row that waits
    atomic_llong next;        // the first row that waits
    atomic_int has_failed;
    atomic_int is_ending;     // a share has few rows and none wait: the rest is for all threads together
    double until;             // the time at which no more is begun
    Share *shares;
} Work;

static int has_free_places(const Work *w, const Share *s) {
    const Batch *b = &s->batch;
    const double most = 1 - w->r->refill;
    const int is_full = b->rows >= s->max_rows || b->tokens >= s->max_tokens;
    return b->rows == 0 || (!is_full && b->rows <= most * s->max_rows && b->tokens <= most * s->max_tokens);
}

// Take rows that wait, as many as there are places for, and embed them.
static int start_rows(Work *w, Share *s) {
    const Refill *r = w->r;
    Batch *b = &s->batch;
    long long next = atomic_load(&w->next), end;
    do {
        Long rows = b->rows, tokens = b->tokens;
        for (end = next; end < w->all; end++) {
            if (rows && (rows >= s->max_rows || tokens + r->lengths[end] > s->max_tokens)) break;
            rows++;
            tokens += r->lengths[end];
        }
        if (end == next) return OK;
    } while (!atomic_compare_exchange_weak(&w->next, &next, end));
    const Long rows = b->rows, tokens = b->tokens, count = end - next, from = w->before[next - r->rows];
    for (Long i = next; i < end; i++) add_row(r, b, i, 0);
    const Long some = b->tokens - tokens;
    int64_t *bounds = b->bounds + rows;  // of the new rows, from 0 while they are embedded
    for (Long i = 0; i <= count; i++) bounds[i] -= tokens;
    const int code = w->variant->embed(w->embedding, r->ids + from, r->types + from, b->hidden + tokens * w->token_bytes,
                                       bounds, count, some, some, s->threads, s->own, s->own_bytes, &s->needed);
    for (Long i = 0; i <= count; i++) bounds[i] += tokens;
    return code;
}

static Live live_rows(const Refill *r, const Batch *b) {
    return (Live){r->depths, r->classes, r->task,   r->keep_trace, r->scale, b->policies,
                  b->depth,  b->trace,   b->logits, b->decision,   0,        r->depths, 0};
}

static int step_rows(Work *w, Share *s) {
    const Refill *r = w->r;
    Batch *b = &s->batch;
    Live live = live_rows(r, b);
    const int code = w->variant->step(w->layer, w->head, &live, NULL, b->hidden, b->other, b->bounds, b->rows, b->tokens,
                                      b->tokens, s->threads, s->own, s->own_bytes, &s->needed);
    if (code) return code;
    char *deeper = b->other;
    b->other = b->hidden;
    b->hidden = deeper;
    remove_exits(w->r, b, w->token_bytes);
    return OK;
}

// Whether a share, or all rows together, are done: all rows have started and places are free; with `drain` a share has too
// few rows for a thread of its own.
static int is_done(Work *w, const Share *s, int is_part) {
    if (s->batch.rows == 0) return 1;
    if (atomic_load(&w->next) < w->all) return 0;
    if (!w->r->drain) return has_free_places(w, s);
    if (is_part && s->batch.tokens < SHARE_TOKENS) atomic_store(&w->is_ending, 1);
    return is_part && atomic_load(&w->is_ending);
}

// Start rows, and make layer after layer, until it is done or, after one layer, time is over.
static void advance(Work *w, Share *s, int is_part) {
    do {
        if (has_free_places(w, s)) s->code = start_rows(w, s);
        if (s->code || is_done(w, s, is_part)) break;
        s->code = step_rows(w, s);
    } while (!s->code && !atomic_load(&w->has_failed) && elbert_now() < w->until);
    if (s->code) atomic_store(&w->has_failed, 1);
    if (is_part && s->batch.rows == 0) atomic_store(&w->is_ending, 1);
}

// The scratch memory of the calls of a share, and some to spare, where its arrays are full and one row is the longest: a
// call that ends for lack of memory has to begin again.
static Long guess_needed(const Work *w, Share *s) {
    const Refill *r = w->r;
    Batch *b = &s->batch;
    const Long rest = s->tokens - w->longest, rows = rest < s->rows - 1 ? rest + 1 : s->rows;
    Long needed = 0;
    b->bounds[0] = 0;
    for (Long i = 0; i < rows; i++) {
        b->bounds[i + 1] = w->longest + (i ? rest * i / (rows - 1) : 0);
        b->depth[i] = 0;
    }
    const Long tokens = b->bounds[rows];
    Live live = live_rows(r, b);
    w->variant->step(w->layer, w->head, &live, NULL, b->hidden, b->other, b->bounds, rows, tokens, tokens, s->threads, NULL,
                     0, &needed);
    return (needed + needed / 4) / ALIGN * ALIGN + 2 * ALIGN;
}

static void run_share(void *what, int stage, Long task, int thread) {
    Work *w = what;
    advance(w, &w->shares[task], 1);
}

// Move the rows of the other shares behind those of the first.
static void join_shares(Work *w, int count) {
    const Long values = w->r->depths * w->r->classes;
    Batch *b = &w->shares[0].batch;
    for (int k = 1; k < count; k++) {
        const Batch *from = &w->shares[k].batch;
        memcpy(b->numbers + b->rows, from->numbers, from->rows * sizeof(Long));
        memcpy(b->policies + b->rows, from->policies, from->rows * sizeof(Policy *));
        memcpy(b->depth + b->rows, from->depth, from->rows * sizeof(int64_t));
        memcpy(b->trace + b->rows * values, from->trace, from->rows * values * 4);
        memcpy(b->hidden + b->tokens * w->token_bytes, from->hidden, from->tokens * w->token_bytes);
        for (Long i = 1; i <= from->rows; i++) b->bounds[b->rows + i] = b->tokens + from->bounds[i];
        b->rows += from->rows;
        b->tokens += from->tokens;
    }
}

// The places and memory of each share, and the rows at some depth that it begins with, `first` [count + 1] and their
// `tokens`. The first share has memory for the rows of all.
static char *lay_out_shares(Work *w, int count, const Long *first, const Long *tokens, char *from) {
    const Refill *r = w->r;
    Long rows = 0, all = 0;
    w->before = cut(&from, (r->items + 1) * sizeof(Long));
    for (int k = count - 1; k >= 0; k--) {
        Share *s = &w->shares[k];
        *s = (Share){.max_rows = (r->max_rows + count - 1) / count, .max_tokens = r->max_tokens / count, .threads = 1};
        const Long even = w->total / count + w->longest / 2;  // where no row has to wait for a place
        if (count > 1 && s->max_tokens > even) s->max_tokens = even;
        const Long own_rows = first[k + 1] - first[k], own_tokens = tokens[k + 1] - tokens[k];
        s->rows = own_rows > s->max_rows ? own_rows : s->max_rows;
        s->tokens = s->max_tokens > w->longest ? s->max_tokens : w->longest;
        if (own_tokens > s->tokens) s->tokens = own_tokens;
        rows += s->rows;
        all += s->tokens;
        if (k == 0) s->rows = rows, s->tokens = all;
        if (s->rows > w->all) s->rows = w->all;
        if (s->tokens > w->total) s->tokens = w->total;
        from = lay_out(r, s->rows, s->tokens, w->token_bytes, from, &s->batch);
    }
    return from;
}

EXPORT int elbert_refill(const Variant *variant, const Embedding *e, const Layer *l, const Head *h, Refill *r,
                         int threads, char *scratch, Long scratch_bytes, Long *needed) {
    Share shares[MAX_THREADS];
    Long first[MAX_THREADS + 1] = {0}, tokens[MAX_THREADS + 1] = {0}, present = 0;
    Work w = {.variant = variant, .embedding = e, .layer = l, .head = h, .r = r, .all = r->rows + r->items,
              .token_bytes = l->width * (l->half ? 2 : 4), .shares = shares};
    for (Long i = 0; i < w.all; i++) {
        if (r->lengths[i] < 1) return BAD_BOUNDS;
        if (r->lengths[i] > w.longest) w.longest = r->lengths[i];
        w.total += r->lengths[i];
        if (i < r->rows) present = w.total;
    }
    r->count = r->started = 0;
    if (!w.all) return OK;
    const int waits = w.all > r->max_rows || w.total > r->max_tokens;
    const Long most = w.total < r->max_tokens ? w.total : r->max_tokens;
    const int can_part = threads > 1 && threads <= MAX_THREADS && r->max_rows >= 2 * threads && w.all >= 2 * threads &&
                         most >= (Long)SHARE_TOKENS * threads;
    const int is_long = waits || (r->drain && w.total >= 4 * (Long)SHARE_TOKENS * threads);  // so that parting pays
    const int count = is_long && can_part ? threads : 1;
    for (Long i = 0, k = 1, sum = 0; k <= count; k++) {
        while (i < r->rows && sum * count < present * k) sum += r->lengths[i++];
        first[k] = i;
        tokens[k] = sum;
    }
    const Long used = (Long)(uintptr_t)lay_out_shares(&w, count, first, tokens, NULL) + ALIGN;
    *needed = used;
    if (used > scratch_bytes) return NO_MEMORY;
    char *own = lay_out_shares(&w, count, first, tokens, scratch + -(uintptr_t)scratch % ALIGN);
    const Long own_bytes = scratch + scratch_bytes - own, part = own_bytes / count / ALIGN * ALIGN;
    Long inner = 0;
    for (int k = 0; k < count; k++) {
        const Long guessed = count * guess_needed(&w, &shares[k]);
        if (guessed > inner) inner = guessed;
    }
    shares[0].threads = threads;
    const Long together = guess_needed(&w, &shares[0]);
    shares[0].threads = 1;
    if (together > inner) inner = together;
    *needed = used + inner;
    if (*needed > scratch_bytes) return NO_MEMORY;
    w.before[0] = 0;
    for (Long i = 0; i < r->items; i++) w.before[i + 1] = w.before[i] + r->lengths[r->rows + i];
    for (int k = 0; k < count; k++) {
        Share *s = &shares[k];
        s->own = own + k * part;
        s->own_bytes = part;
        s->batch.rows = s->batch.tokens = s->batch.bounds[0] = 0;
        for (Long i = first[k]; i < first[k + 1]; i++) add_row(r, &s->batch, i, r->from_depth[i]);
        if (s->batch.tokens)
            memcpy(s->batch.hidden, (const char *)r->hidden + tokens[k] * w.token_bytes, s->batch.tokens * w.token_bytes);
    }
    atomic_init(&w.next, r->rows);
    atomic_init(&w.has_failed, 0);
    atomic_init(&w.is_ending, 0);
    w.until = elbert_now() + r->seconds;
    int code = OK;
    if (count > 1) {
        const Job job = {.stages = 1, .tasks = {count}, .run = run_share, .what = &w, .is_long = 1};
        elbert_run(&job, threads);
        for (int k = 0; k < count; k++) {
            if (shares[k].code && code != NO_MEMORY) code = shares[k].code;
            if (count * (shares[k].needed + 2 * ALIGN) > inner) inner = count * (shares[k].needed + 2 * ALIGN);
        }
    }
    Share *s = &shares[0];
    if (!code) {
        join_shares(&w, count);
        s->max_rows = r->max_rows;
        s->max_tokens = r->max_tokens;
        s->threads = threads;
        s->own_bytes = own_bytes;
        if (count == 1 || elbert_now() < w.until) advance(&w, s, 0);
        code = s->code;
        if (s->needed > inner) inner = s->needed;
    }
    if (code == NO_MEMORY) *needed = used + inner;
    if (code) return code;
    for (Long i = 0; i < s->batch.rows; i++) {
        write_row(r, &s->batch, i, STAY);
        r->remaining[i] = s->batch.numbers[i];
    }
    r->count = s->batch.rows;
    r->started = atomic_load(&w.next) - r->rows;
    memcpy(r->out, s->batch.hidden, s->batch.tokens * w.token_bytes);
    return OK;
}
