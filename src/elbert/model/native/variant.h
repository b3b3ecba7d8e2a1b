// What Python passes to a variant, and what a variant offers. The fields are those of `bindings.py`.
#pragma once
#include <stdint.h>

typedef int64_t Long;  // of 64 bits on every system

enum { OK, NO_MEMORY, BAD_BOUNDS };
enum Activation { IDENTITY, GELU_TANH, GELU_ERF, RELU, TANH, SILU };

enum Mode {   // left side, right side, arithmetic
    SINGLE,   // float32, float32, float32
    HALVES,   // bfloat16, bfloat16, float32 sums of pairs, by an instruction of the processor
    WIDENED,  // float32, bfloat16, float32
    CODES,    // codes of 8 bits, int8, int32
};

typedef struct {
    Long in, out;          // multiples of 16
    const void *panels;    // [out / 16][in / unit][16][unit]
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

typedef struct {
    // in, out [tokens, width]: the layer applied to rows bounds [rows + 1]; in and out may not overlap. `needed` is set
    // to the bytes of scratch memory that the call needs; with fewer it returns NO_MEMORY and does nothing.
    int (*layer)(const Layer *l, const void *in, void *out, const int64_t *bounds, Long rows, Long tokens, int threads,
                 char *scratch, Long scratch_bytes, Long *needed);
    int zero;    // added to the codes of the left side: some processors multiply unsigned codes only
    int halves;  // whether products of bfloat16 pairs are one instruction: HALVES can be used, and hidden values be so
} Variant;
