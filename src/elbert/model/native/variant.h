// What Python passes to a variant, and what a variant offers. The fields are those of `bindings.py`.
#pragma once
#include <stdint.h>

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

typedef int64_t Long;  // of 64 bits on every system

enum { OK, NO_MEMORY, BAD_BOUNDS, BAD_IDS };
enum Activation { IDENTITY, GELU_TANH, GELU_ERF, RELU, TANH, SILU };

enum Mode {   // left side, right side, arithmetic
    SINGLE,   // float32, float32, float32
    HALVES,   // bfloat16, bfloat16, float32 sums of pairs, by an instruction of the processor
    WIDENED,  // float32, bfloat16, float32
    CODES,    // codes of 8 bits, int8, int32
    BRIEF,    // float32, float16, float32: in place of SINGLE where all weights are float16 numbers
    SPLIT,    // float32 as sums of bfloat16 numbers, on the matrix unit: in place of SINGLE
};

typedef struct {
    Long in, out;          // multiples of 16
    const void *panels;    // [out / 16][in / unit][16][unit]
    const uint16_t *brief; // float32 panels as float16 [out / 16][in][16] where all fit exactly, else NULL
    const uint16_t *cut;   // the same as sums of two bfloat16 numbers [out / 16][in / 32][2][16][16][2], for SPLIT; or NULL
    const float *bias;     // [out], or NULL
    const float *scales;   // [out], of int8 weights
    const int32_t *sums;   // [out], of int8 weights: what ZERO adds to each product
    Long activation;
} Product;

typedef struct {
    Long width, inner, heads;
    Long mode;            // of the products with weights
    Long half;            // hidden values are bfloat16
    Product qkv, dense, widen, narrow;
    const float *attention_weight, *attention_bias, *weight, *bias;  // of the two norms, [width]
    float attention_eps, eps;
} Layer;

typedef struct {  // the sum of three embeddings, its norm and, in ALBERT, a product
    Long inner, width;
    Long half;                             // tables and hidden values are bfloat16
    Long words, positions, segments;       // rows of the tables; 0 segments for none
    Long padding;                          // RoBERTa's id of padding, behind which positions are counted, or -1
    const void *word_table, *position_table, *segment_table;
    const float *weight, *bias;            // of the norm, [inner]
    float eps;
    Product map;                           // out is 0 where there is none
} Embedding;

typedef struct {  // classifier(activation(pooler(x))), where x is a row's first token or the mean of its tokens
    Long width, classes, mean;
    Long half, mode;         // of hidden values, and of the pooler
    Product pooler;
    Product classifier;      // in SINGLE; `out` is `classes` rounded up
} Head;

typedef struct {  // a policy as arrays, see exits/encoding.py; signals, conditions and comparisons as in decide.c
    Long conditions, rules;
    Long reads;                     // whether it reads a signal: then every depth needs the exit head
    const int32_t *numbers;         // [conditions][6]
    const float *thresholds;        // [conditions]
    const float *temperatures;      // [distinct][depths]
} Policy;

enum Task { SOFTMAX, SIGMOID, VALUES };  // what logits become

typedef struct {  // live rows, `made` layers deeper than before when the call returns
    Long depths, classes, task;
    Long keep_trace;                // whether every depth needs the exit head
    float scale;                    // the unit in which signals read values
    const Policy *const *policies;  // [rows]
    int64_t *depth;                 // [rows]
    float *trace;                   // [rows][depths][classes]
    float *logits;                  // [rows][classes], set for rows that read the exit head
    int64_t *decision;              // [rows]: the rule by which a row exits, `rules` at the last depth, or STAY
    Long exits;                     // how many rows exit
    Long steps, made;               // the most layers of a call, which ends when a row exits; those it made
} Live;

enum { STAY = -1 };

// The rows that need the exit head at their next depth: their number, and their indices in `picks` [rows].
Long elbert_pick(const Live *live, Long rows, Long *picks);
// Raise every depth by one and decide; `space` has 2 * classes floats.
void elbert_decide(Live *live, Long rows, float *space);

typedef struct {
    // A step of rows bounds [rows + 1], or several: the layer, `in` to `out` [size, width], which may not overlap, zeros behind
    // `tokens`; then the head and the decision. Without a layer the head reads `in`; with a head and without `live` it
    // writes `logits` [rows, classes] of every row. `needed` is set to the bytes of scratch memory that the call needs;
    // with fewer it returns NO_MEMORY and does nothing.
    int (*step)(const Layer *l, const Head *head, Live *live, float *logits, const void *in, void *out,
                const int64_t *bounds, Long rows, Long tokens, Long size, int threads, char *scratch,
                Long scratch_bytes, Long *needed);
    // ids, types [tokens] -> out [size, width], zeros behind `tokens`
    int (*embed)(const Embedding *e, const int64_t *ids, const int64_t *types, void *out, const int64_t *bounds,
                 Long rows, Long tokens, Long size, int threads, char *scratch, Long scratch_bytes, Long *needed);
    int zero;    // added to the codes of the left side: some processors multiply unsigned codes only
    int halves;  // whether products of bfloat16 pairs are one instruction: HALVES can be used, and hidden values be so
    int splits;  // whether SPLIT can be used
} Variant;

typedef struct {  // rows at some depth, and behind them rows that wait to start, which are embedded in the call
    Long rows, items;               // rows that have started, and that wait
    Long max_rows, max_tokens;      // that share a step; a longer row takes a step alone
    double refill;                  // the share of places that must be free before rows start
    Long drain;                     // whether the call goes on until all rows exit; else until places are free
    double seconds;                 // after which no layer begins, whatever is left
    Long depths, classes, task, keep_trace;  // as in Live, as are the next two and `trace`
    float scale;
    const Policy *const *policies;  // [rows + items]
    const int64_t *lengths;         // [rows + items]
    const int64_t *from_depth;      // [rows]
    const int64_t *ids, *types;     // [tokens of items]
    const void *hidden;             // [tokens of rows][width]
    int64_t *depth, *decision;      // [rows + items]: where a row is at the end, and why it exits, or STAY
    float *trace, *logits;          // [rows + items][depths][classes], with what rows have so far; [rows + items][classes]
    int64_t *remaining;             // [count]: rows that have started and not exited, in their order
    void *out;                      // [tokens of remaining][width]
    Long count, started;            // `started`: of the rows that waited
} Refill;
