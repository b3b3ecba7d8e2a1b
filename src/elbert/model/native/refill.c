// Many rows in one call: places that rows free are filled with rows that wait. Compiled once, for every variant.
//
// Which rows start, and when, is the rule of engine/scheduler.py for one call at a time.
#include <string.h>

#include "variant.h"

enum { ALIGN = 64 };

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

static int has_free_places(const Refill *r, const Batch *b) {
    const double most = 1 - r->refill;
    const int is_full = b->rows >= r->max_rows || b->tokens >= r->max_tokens;
    return b->rows == 0 || (!is_full && b->rows <= most * r->max_rows && b->tokens <= most * r->max_tokens);
}

static int has_place(const Refill *r, const Batch *b, Long length) {
    return b->rows == 0 || (b->rows < r->max_rows && b->tokens + length <= r->max_tokens);
}

EXPORT int elbert_refill(const Variant *variant, const Embedding *e, const Layer *l, const Head *h, Refill *r,
                         int threads, char *scratch, Long scratch_bytes, Long *needed) {
    const Long all = r->rows + r->items, token_bytes = l->width * (l->half ? 2 : 4);
    Long most_rows = r->max_rows > r->rows ? r->max_rows : r->rows, most_tokens = r->max_tokens, present = 0, total = 0;
    for (Long i = 0; i < all; i++) {
        if (r->lengths[i] < 1) return BAD_BOUNDS;
        if (r->lengths[i] > most_tokens) most_tokens = r->lengths[i];
        total += r->lengths[i];
        if (i < r->rows) present = total;
    }
    if (present > most_tokens) most_tokens = present;
    if (total < most_tokens) most_tokens = total;
    if (all < most_rows) most_rows = all;
    Batch b = {0};
    const Long used = (Long)(uintptr_t)lay_out(r, most_rows, most_tokens, token_bytes, NULL, &b) + ALIGN;
    *needed = used;
    if (used > scratch_bytes) return NO_MEMORY;
    char *own = lay_out(r, most_rows, most_tokens, token_bytes, scratch + -(uintptr_t)scratch % ALIGN, &b);
    const Long own_bytes = scratch + scratch_bytes - own;
    Long next = r->rows, taken = 0, inner = 0;  // the first row that waits, and the tokens of those before it
    int code = OK;
    b.bounds[0] = 0;
    for (Long i = 0; i < r->rows; i++) add_row(r, &b, i, r->from_depth[i]);
    if (present) memcpy(b.hidden, r->hidden, present * token_bytes);
    for (;;) {
        const Long rows = b.rows, tokens = b.tokens;
        if (has_free_places(r, &b))
            while (next < all && has_place(r, &b, r->lengths[next])) add_row(r, &b, next++, 0);
        if (b.rows > rows) {
            const Long count = b.rows - rows, some = b.tokens - tokens;
            int64_t *bounds = b.bounds + rows;  // of the new rows, from 0 while they are embedded
            for (Long i = 0; i <= count; i++) bounds[i] -= tokens;
            code = variant->embed(e, r->ids + taken, r->types + taken, b.hidden + tokens * token_bytes, bounds, count,
                                  some, some, threads, own, own_bytes, &inner);
            for (Long i = 0; i <= count; i++) bounds[i] += tokens;
            taken += some;
        }
        if (code || b.rows == 0 || (next == all && !r->drain && has_free_places(r, &b))) break;
        Live live = {r->depths, r->classes, r->task,  r->keep_trace, r->scale, b.policies,
                     b.depth,   b.trace,    b.logits, b.decision,    0,        r->depths, 0};
        code = variant->step(l, h, &live, NULL, b.hidden, b.other, b.bounds, b.rows, b.tokens, b.tokens, threads, own,
                             own_bytes, &inner);
        if (code) break;
        char *deeper = b.other;
        b.other = b.hidden;
        b.hidden = deeper;
        remove_exits(r, &b, token_bytes);
    }
    if (code == NO_MEMORY) *needed = used + inner;
    if (code) return code;
    for (Long i = 0; i < b.rows; i++) {
        write_row(r, &b, i, STAY);
        r->remaining[i] = b.numbers[i];
    }
    r->count = b.rows;
    memcpy(r->out, b.hidden, b.tokens * token_bytes);
    return OK;
}
