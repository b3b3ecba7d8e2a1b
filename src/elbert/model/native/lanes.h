// One vector of 16 floats: in and out of memory in both types, and the functions that softmax and gelu need.

#pragma once

#include <immintrin.h>
#include <omp.h>
#include <stdint.h>
#include <stdlib.h>

#define INLINE static inline __attribute__((always_inline))
#define LANES 16
enum { OK, NO_MEMORY, BAD_STARTS };

// Below this many floating-point operations a second thread costs more than it brings.
#define SMALL 500000

INLINE long least(long a, long b) { return a < b ? a : b; }
INLINE long vectors_of(long n) { return (n + LANES - 1) / LANES; }
INLINE int threads_for(double work, int threads) { return work < SMALL ? 1 : threads; }
INLINE __mmask16 first(long n) { return n >= LANES ? 0xffff : n <= 0 ? 0 : (1u << n) - 1; }

// The lanes at place i of n; where n is `whole`, a constant, loops are without masks, which halves their time.
INLINE __mmask16 lanes_at(long i, long n, const int whole) { return whole ? 0xffff : first(n - i); }

static void *scratch(long threads, long bytes) { return aligned_alloc(64, (threads * bytes + 64) & ~63L); }

INLINE __m512 get(const void *from, long i, __mmask16 lanes, const int bf) {
    const float *single = (const float *)from + i;
    if (!bf) return lanes == 0xffff ? _mm512_loadu_ps(single) : _mm512_maskz_loadu_ps(lanes, single);
    const uint16_t *place = (const uint16_t *)from + i;
    __m256i half = lanes == 0xffff ? _mm256_loadu_si256((const __m256i *)place) : _mm256_maskz_loadu_epi16(lanes, place);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

INLINE void put(void *to, long i, __mmask16 lanes, __m512 value, const int bf) {
    if (!bf) {
        if (lanes == 0xffff) _mm512_storeu_ps((float *)to + i, value);  // masked stores are slower
        else _mm512_mask_storeu_ps((float *)to + i, lanes, value);
        return;
    }
#ifdef __AVX512BF16__
    __m256i half = (__m256i)_mm512_cvtneps_pbh(value);
    if (lanes == 0xffff) _mm256_storeu_si256((__m256i *)((uint16_t *)to + i), half);
    else _mm256_mask_storeu_epi16((uint16_t *)to + i, lanes, half);
#endif
}

// sum + a * b, where a lane of a and b is one float or two bfloat16.
INLINE __m512 multiply_add(__m512 sum, __m512 a, __m512 b, const int bf) {
#ifdef __AVX512BF16__
    if (bf) return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
#endif
    return _mm512_fmadd_ps(a, b, sum);
}

// 2^t to 1e-7 of its size: the best polynomial of degree 5 on [-1/2, 1/2].
INLINE __m512 power_of_two(__m512 t) {
    __m512 whole = _mm512_roundscale_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 rest = _mm512_sub_ps(t, whole);
    __m512 value = _mm512_set1_ps(1.3276471518651328e-3f);
    value = _mm512_fmadd_ps(value, rest, _mm512_set1_ps(9.675541330670528e-3f));
    value = _mm512_fmadd_ps(value, rest, _mm512_set1_ps(5.5507132749637575e-2f));
    value = _mm512_fmadd_ps(value, rest, _mm512_set1_ps(0.24022119723934082f));
    value = _mm512_fmadd_ps(value, rest, _mm512_set1_ps(0.6931469670638635f));
    value = _mm512_fmadd_ps(value, rest, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(value, whole);
}

// gelu_tanh(x) = x / (1 + exp(-2 sqrt(2/pi) (x + 0.044715 x^3))), in powers of two, to 1e-6.
INLINE __m512 gelu(__m512 x) {
    const __m512 linear = _mm512_set1_ps(-2.302208198f), cubic = _mm512_set1_ps(-0.1029432397f);
    x = _mm512_max_ps(x, _mm512_set1_ps(-8));  // gelu(-8) is 0; t stays below 72, so that its power is finite
    __m512 t = _mm512_mul_ps(x, _mm512_fmadd_ps(_mm512_mul_ps(x, x), cubic, linear));
    __m512 power = power_of_two(_mm512_max_ps(t, _mm512_set1_ps(-126)));
    return _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1), power));
}
