// The operations between a layer's matrix products, over packed rows, each in one pass over memory.
//
// Hidden values are float32 or bfloat16 (`bf`); all is computed in float32. Functions with a constant `bf` are inlined,
// so that one text makes both types. Every function returns OK, or says why it did nothing.
// GOMP_parallel and omp_* are left open: torch's own runtime, already in the process, fills them. Two pools of threads
// would spin against each other.

#include "attend.h"
#include "tokens.h"

#define DOORS(TYPE, BF)                                                                                               \
    int attend_##TYPE(const void *qkv, const int64_t *starts, long tokens, long rows, long heads, long width,         \
                      void *out, int threads) {                                                                       \
        return attend(qkv, starts, tokens, rows, heads, width, out, threads, BF);                                     \
    }                                                                                                                 \
    int norm_##TYPE(const void *x, const void *y, const float *scale, const float *bias, const float *weight,         \
                    const float *shift, float eps, void *out, uint8_t *codes, float *steps, long tokens, long width,  \
                    int threads) {                                                                                    \
        return norm((Norm){x, y, scale, bias, weight, shift, eps, out, codes, steps}, tokens, width, threads, BF);    \
    }                                                                                                                 \
    int quantise_##TYPE(const void *x, const float *scale, const float *bias, uint8_t *codes, float *steps,           \
                        long tokens, long width, int threads) {                                                       \
        return quantise(x, scale, bias, codes, steps, tokens, width, threads, BF);                                    \
    }                                                                                                                 \
    int dequantise_##TYPE(const void *y, const float *scale, const float *bias, void *out, long tokens, long width,   \
                          int threads) {                                                                              \
        return dequantise(y, scale, bias, out, tokens, width, threads, BF);                                           \
    }

DOORS(f32, 0)
#ifdef __AVX512BF16__
DOORS(bf16, 1)
#endif
