// Norms and quantisation, a token at a time: an answer does not depend on the tokens beside it.

#pragma once

#include "lanes.h"

// values [width] -> codes 1..255 around 128 and the step between them; a token of zeros has step 0
INLINE float encode(const float *values, float largest, uint8_t *codes, long width, const int whole) {
    const __m512 by = _mm512_set1_ps(largest > 1e-30f ? 127 / largest : 0);  // 127 / 1e-39 would be infinite
    for (long i = 0; i < width; i += LANES) {
        __mmask16 lanes = lanes_at(i, width, whole);
        __m512i code = _mm512_cvtps_epi32(_mm512_mul_ps(get(values, i, lanes, 0), by));
        __m128i bytes = _mm512_cvtepi32_epi8(_mm512_add_epi32(code, _mm512_set1_epi32(128)));
        if (lanes == 0xffff) _mm_storeu_si128((__m128i *)(codes + i), bytes);
        else _mm_mask_storeu_epi8(codes + i, lanes, bytes);
    }
    return largest > 1e-30f ? largest / 127 : 0;
}

INLINE __m512 scaled(const void *y, long i, __mmask16 lanes, __m512 scale, const float *bias, const int bf) {
    return _mm512_fmadd_ps(get(y, i, lanes, bf), scale, get(bias, i, lanes, 0));
}

typedef struct {
    const void *x, *y;
    const float *scale, *bias;  // of y: [tokens], [width]; NULL where y is what it is
    const float *weight, *shift;
    float eps;
    void *out;
    uint8_t *codes;  // NULL where not needed
    float *steps;
} Norm;

// layer_norm(x + scale y + bias) of one token, through a buffer [width] that stays in the nearest cache
INLINE void norm_token(Norm job, long token, long width, float *buffer, const int with_scale, const int with_codes,
                       const int whole, const int bf) {
    const long size = bf ? 2 : 4;
    const char *x = (const char *)job.x + token * width * size, *y = (const char *)job.y + token * width * size;
    const __m512 scale = _mm512_set1_ps(with_scale ? job.scale[token] : 1);
    __m512 total = _mm512_setzero_ps(), squares = total, largest = total;
    __m512 total_before = total, squares_before = total;  // sums in turns: an addition need not wait for the last one
    for (long i = 0; i < width; i += LANES) {
        __mmask16 lanes = lanes_at(i, width, whole);
        __m512 other = with_scale ? scaled(y, i, lanes, scale, job.bias, bf) : get(y, i, lanes, bf);
        __m512 value = _mm512_add_ps(get(x, i, lanes, bf), other);
        __m512 sum = _mm512_add_ps(total_before, value);
        total_before = total, total = sum;
        put(buffer, i, lanes, value, 0);
    }
    const __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(_mm512_add_ps(total, total_before)) / width);
    for (long i = 0; i < width; i += LANES) {
        __mmask16 lanes = lanes_at(i, width, whole);
        __m512 apart = _mm512_sub_ps(get(buffer, i, lanes, 0), mean);
        if (!whole) apart = _mm512_maskz_mov_ps(lanes, apart);
        __m512 sum = _mm512_fmadd_ps(apart, apart, squares_before);
        squares_before = squares, squares = sum;
    }
    const float variance = _mm512_reduce_add_ps(_mm512_add_ps(squares, squares_before)) / width;
    const __m512 by = _mm512_set1_ps(1 / __builtin_sqrtf(variance + job.eps));
    for (long i = 0; i < width; i += LANES) {
        __mmask16 lanes = lanes_at(i, width, whole);
        __m512 unit = _mm512_mul_ps(_mm512_sub_ps(get(buffer, i, lanes, 0), mean), by);
        __m512 value = _mm512_fmadd_ps(unit, get(job.weight, i, lanes, 0), get(job.shift, i, lanes, 0));
        put(job.out, token * width + i, lanes, value, bf);
        if (!with_codes) continue;
        largest = _mm512_max_ps(largest, _mm512_abs_ps(value));  // lanes beyond the end are 0, as their weights
        put(buffer, i, lanes, value, 0);
    }
    if (!with_codes) return;
    job.steps[token] = encode(buffer, _mm512_reduce_max_ps(largest), job.codes + token * width, width, whole);
}

#define NORM(SCALE, CODES, WHOLE) \
    case (SCALE) * 4 + (CODES) * 2 + (WHOLE): norm_token(job, t, width, buffer, SCALE, CODES, WHOLE, bf); break;

INLINE int norm(Norm job, long tokens, long width, int threads, const int bf) {
    threads = threads_for(10.0 * tokens * width, threads);
    const long bytes = vectors_of(width) * 64;
    char *space = scratch(threads, bytes);
    if (!space) return NO_MEMORY;
#pragma omp parallel num_threads(threads)
    {
        float *buffer = (float *)(space + omp_get_thread_num() * bytes);
#pragma omp for schedule(static)
        for (long t = 0; t < tokens; t++)
            switch ((job.scale ? 4 : 0) + (job.codes ? 2 : 0) + (width % LANES == 0)) {
                NORM(0, 0, 0) NORM(0, 0, 1) NORM(0, 1, 0) NORM(0, 1, 1)
                NORM(1, 0, 0) NORM(1, 0, 1) NORM(1, 1, 0) NORM(1, 1, 1)
            }
    }
    free(space);
    return OK;
}

// codes of x, or with a scale of gelu(scale x + bias)
INLINE void quantise_token(const void *x, const float *scale, const float *bias, uint8_t *codes, float *steps,
                           long token, long width, float *buffer, const int with_gelu, const int whole, const int bf) {
    const void *from = (const char *)x + token * width * (bf ? 2 : 4);
    const __m512 by = _mm512_set1_ps(with_gelu ? scale[token] : 1);
    __m512 largest = _mm512_setzero_ps();
    for (long i = 0; i < width; i += LANES) {
        __mmask16 lanes = lanes_at(i, width, whole);
        __m512 value = with_gelu ? gelu(scaled(from, i, lanes, by, bias, bf)) : get(from, i, lanes, bf);
        largest = _mm512_max_ps(largest, _mm512_abs_ps(value));
        put(buffer, i, lanes, value, 0);
    }
    steps[token] = encode(buffer, _mm512_reduce_max_ps(largest), codes + token * width, width, whole);
}

#define QUANTISE(GELU, WHOLE)                                                                          \
    case (GELU) * 2 + (WHOLE):                                                                         \
        quantise_token(x, scale, bias, codes, steps, t, width, buffer, GELU, WHOLE, bf);               \
        break;

INLINE int quantise(const void *x, const float *scale, const float *bias, uint8_t *codes, float *steps, long tokens,
                    long width, int threads, const int bf) {
    threads = threads_for((scale ? 30.0 : 6.0) * tokens * width, threads);
    const long bytes = vectors_of(width) * 64;
    char *space = scratch(threads, bytes);
    if (!space) return NO_MEMORY;
#pragma omp parallel num_threads(threads)
    {
        float *buffer = (float *)(space + omp_get_thread_num() * bytes);
#pragma omp for schedule(static)
        for (long t = 0; t < tokens; t++)
            switch ((scale ? 2 : 0) + (width % LANES == 0)) {
                QUANTISE(0, 0) QUANTISE(0, 1) QUANTISE(1, 0) QUANTISE(1, 1)
            }
    }
    free(space);
    return OK;
}

INLINE void dequantise_token(const void *y, const float *scale, const float *bias, void *out, long token, long width,
                             const int whole, const int bf) {
    const void *from = (const char *)y + token * width * (bf ? 2 : 4);
    const __m512 by = _mm512_set1_ps(scale[token]);
    for (long i = 0; i < width; i += LANES) {
        __mmask16 lanes = lanes_at(i, width, whole);
        put(out, token * width + i, lanes, scaled(from, i, lanes, by, bias, bf), bf);
    }
}

INLINE int dequantise(const void *y, const float *scale, const float *bias, void *out, long tokens, long width,
                      int threads, const int bf) {
    threads = threads_for(4.0 * tokens * width, threads);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (long t = 0; t < tokens; t++)
        if (width % LANES) dequantise_token(y, scale, bias, out, t, width, 0, bf);
        else dequantise_token(y, scale, bias, out, t, width, 1, bf);
    return OK;
}
