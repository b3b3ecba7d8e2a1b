// Signals of rows and the conditions of their policies, as exits/signals.py and exits/conditions.py define them.
//
// Sums, logarithms and powers are computed in double and rounded once, as numpy does there, so that both decide alike.
// A condition looks at the latest depth first and no further than it must: at most depths none holds.
#include <math.h>

#include "variant.h"

enum { RULE, CONDITION, SIGNAL, COMPARISON, SIZE, TEMPERATURES, NUMBERS };
enum { AT_DEPTH, HELD, AT_START, RISING, SPREAD };
enum { ENTROPY, CONFIDENCE, GAP, SAME, DIVERGENCE, VALUE, CHANGE };
enum { LESS, LESS_EQUAL, GREATER, GREATER_EQUAL, EQUAL };
#define TINY 1e-38  // replaces 0 under a logarithm

typedef struct {
    const Live *live;
    const float *outputs;       // [depths][classes]
    const float *temperatures;  // [depths], or NULL
    float *space;               // [2][classes]
} Row;

// The outputs of one depth as signals read them: at their temperature, in units of `scale`.
static const float *read_depth(const Row *r, Long step, float *space) {
    const Long n = r->live->classes;
    const float *found = r->outputs + step * n;
    if (r->live->task == VALUES) {
        if (r->live->scale == 1) return found;
        for (Long i = 0; i < n; i++) space[i] = found[i] / r->live->scale;
        return space;
    }
    if (!r->temperatures) return found;
    const double power = 1.0 / (double)r->temperatures[step];
    if (r->live->task == SIGMOID) {
        for (Long i = 0; i < n; i++) {
            const double yes = pow(found[i], power), no = pow(1 - found[i], power), sum = no + yes;
            space[i] = (float)(yes / (sum < TINY ? TINY : sum));
        }
        return space;
    }
    double sum = 0;
    for (Long i = 0; i < n; i++) sum += pow(found[i], power);
    if (sum < TINY) sum = TINY;
    for (Long i = 0; i < n; i++) space[i] = (float)(pow(found[i], power) / sum);
    return space;
}

static double entropy_term(double p) { return -p * log(p > TINY ? p : TINY); }

static float entropy(const float *now, Long n) {
    double sum = 0;
    for (Long i = 0; i < n; i++) sum += entropy_term(now[i]);
    return (float)(sum * (n > 1 ? 1 / log((double)n) : 0));
}

static float divergence(const float *now, const float *before, Long n) {
    double sum = 0;
    for (Long i = 0; i < n; i++) {
        const double a = now[i], b = before[i];
        sum += entropy_term((a + b) / 2) - (entropy_term(a) + entropy_term(b)) / 2;
    }
    return (float)(sum < 0 ? 0 : sum);
}

static Long top(const float *now, Long n) {  // the first largest; NaN is largest
    Long best = 0;
    for (Long i = 1; i < n && !isnan(now[best]); i++)
        if (now[i] > now[best] || isnan(now[i])) best = i;
    return best;
}

static float gap(const float *now, Long n) {
    const Long first = top(now, n);
    if (n < 2) return fabsf(now[0] - (now[0] - 1));  // one option alone has nothing to be near to
    float second = -INFINITY;
    for (Long i = 0; i < n; i++)
        if (i != first && !(now[i] <= second)) second = now[i];
    return fabsf(now[first] - second);
}

static float of_question(Long signal, const float *now, const float *before, Long n) {
    switch (signal) {
        case ENTROPY: return entropy(now, n);
        case CONFIDENCE: return now[top(now, n)];
        case GAP: return gap(now, n);
        case SAME: return top(now, n) == top(before, n);
        case DIVERGENCE: return divergence(now, before, n);
        case CHANGE: return fabsf(now[0] - before[0]);
        default: return now[0];
    }
}

// A signal at depth `step` (from 0): that of the least settled question.
static float signal_at(const Row *r, Long signal, Long step) {
    const Long n = r->live->classes, has_before = signal == SAME || signal == DIVERGENCE || signal == CHANGE;
    if (has_before && step == 0) return signal == SAME ? 0 : INFINITY;
    const float *now = read_depth(r, step, r->space);
    const float *before = has_before ? read_depth(r, step - 1, r->space + n) : now;
    if (r->live->task == SOFTMAX) return of_question(signal, now, before, n);
    const int is_largest = signal == ENTROPY || signal == DIVERGENCE || signal == VALUE || signal == CHANGE;
    float worst = 0;
    for (Long i = 0; i < n; i++) {
        float value;
        if (r->live->task == SIGMOID) {
            const float options[2] = {1 - now[i], now[i]}, earlier[2] = {1 - before[i], before[i]};
            value = of_question(signal, options, earlier, 2);
        } else
            value = of_question(signal, now + i, before + i, 1);
        if (i == 0 || isnan(value) || (is_largest ? value > worst : value < worst)) worst = value;
        if (isnan(worst)) break;
    }
    return worst;
}

static int compare(Long comparison, float value, float threshold) {
    switch (comparison) {
        case LESS: return value < threshold;
        case LESS_EQUAL: return value <= threshold;
        case GREATER: return value > threshold;
        case GREATER_EQUAL: return value >= threshold;
        default: return value == threshold;
    }
}

static int holds(const Row *r, const int32_t *c, float threshold, Long depth) {
    const Long size = c[SIZE], signal = c[SIGNAL], oldest = depth - size;
    if (oldest < 0) return 0;
    if (c[CONDITION] == AT_DEPTH) return 1;
    if (c[CONDITION] == AT_START) return compare(c[COMPARISON], signal_at(r, signal, oldest), threshold);
    float most = -INFINITY, least = INFINITY, later = NAN;
    for (Long step = depth - 1; step >= oldest; step--) {
        const float value = signal_at(r, signal, step);
        if (c[CONDITION] == HELD) {
            if (!compare(c[COMPARISON], value, threshold)) return 0;
        } else if (c[CONDITION] == RISING) {
            if (step < depth - 1 && !compare(c[COMPARISON], later, value)) return 0;
            later = value;
        } else {
            if (isnan(value)) return 0;
            if (value > most) most = value;
            if (value < least) least = value;
        }
    }
    return c[CONDITION] != SPREAD || compare(c[COMPARISON], most - least, threshold);
}

// The first rule of which all conditions hold, or STAY.
static Long decide_row(Row *r, const Policy *policy, Long depth) {
    for (Long i = 0; i < policy->conditions;) {
        const int32_t rule = policy->numbers[i * NUMBERS + RULE];
        int fires = 1;
        for (; i < policy->conditions && policy->numbers[i * NUMBERS + RULE] == rule; i++) {
            const int32_t *numbers = policy->numbers + i * NUMBERS;
            const int32_t row = numbers[TEMPERATURES];
            r->temperatures = row < 0 ? 0 : policy->temperatures + row * r->live->depths;
            fires = fires && holds(r, numbers, policy->thresholds[i], depth);
        }
        if (fires) return rule;
    }
    return STAY;
}

Long elbert_pick(const Live *live, Long rows, Long *picks) {
    Long count = 0;
    for (Long i = 0; i < rows; i++) {
        const Policy *policy = live->policies[i];
        const Long depth = live->depth[i] + 1;
        Row row = {.live = live};
        // A policy without signals depends on the depth only.
        if (live->keep_trace || policy->reads || depth >= live->depths || decide_row(&row, policy, depth) != STAY)
            picks[count++] = i;
    }
    return count;
}

void elbert_decide(Live *live, Long rows, float *space) {
    live->exits = 0;
    for (Long i = 0; i < rows; i++) {
        const Policy *policy = live->policies[i];
        const Long depth = ++live->depth[i];
        Row row = {.live = live, .outputs = live->trace + i * live->depths * live->classes, .space = space};
        live->decision[i] = depth >= live->depths ? policy->rules : decide_row(&row, policy, depth);
        live->exits += live->decision[i] != STAY;
    }
}
