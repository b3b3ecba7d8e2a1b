// A thin layer over the instruction sets: vectors of LANES floats, and the three multiply-accumulate steps of products.
//
// A product's right side lies in panels of 16 columns; a panel is PANEL vectors wide. One step consumes one unit of the
// summed axis: one float, two bfloat16 neighbours, or four int8 neighbours of each column.
#pragma once

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "variant.h"

#define INLINE static inline __attribute__((always_inline))
#define COLUMNS 16  // of a panel, in every variant
// sum += left * right by one instruction in place. With the intrinsics gcc 12 copies every sum of a tile to another register
// and to memory at each step, which takes half of the time.
#define ACCUMULATE(instruction, kind, sum, left, right) \
    __asm__(instruction " %2, %1, %0" : "+" kind(sum) : kind(left), kind(right))

#if defined(__AVX512F__)
#include <immintrin.h>
#define LANES 16
#define ROWS 6    // of a tile: 6 x 4 sums, 4 vectors of the right side and one unit of the left fill 32 registers
#define PANELS 4  // of a tile
typedef __m512 vf;
typedef __m512i vi;
#define vload(p) _mm512_loadu_ps(p)
#define vstore(p, v) _mm512_storeu_ps(p, v)
#define vset(x) _mm512_set1_ps(x)
#define vadd(a, b) _mm512_add_ps(a, b)
#define vsub(a, b) _mm512_sub_ps(a, b)
#define vmul(a, b) _mm512_mul_ps(a, b)
#define vdiv(a, b) _mm512_div_ps(a, b)
#define vfma(a, b, c) _mm512_fmadd_ps(a, b, c)  // a * b + c
#define vmax(a, b) _mm512_max_ps(a, b)
#define vmin(a, b) _mm512_min_ps(a, b)
#define vround(a) _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define vabs(a) _mm512_abs_ps(a)
INLINE vf vscale2(vf x, vf whole) { return _mm512_scalef_ps(x, whole); }  // x * 2^whole
INLINE vf vsign(vf magnitude, vf sign) {
    return (vf)_mm512_or_si512((vi)magnitude, _mm512_and_si512((vi)sign, _mm512_set1_epi32(0x80000000)));
}
INLINE float vsum(vf a) { return _mm512_reduce_add_ps(a); }
INLINE float vtop(vf a) { return _mm512_reduce_max_ps(a); }
#define izero() _mm512_setzero_si512()
#define iset(x) _mm512_set1_epi32(x)
#define iload(p) _mm512_loadu_si512(p)
#define ifloat(a) _mm512_cvtepi32_ps(a)
#define isub(a, b) _mm512_sub_epi32(a, b)
INLINE vf vload_half(const uint16_t *p) {
    return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16);
}
#define vload_brief(p) _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(p)))
INLINE vi round_half(vf v) {  // to nearest even; NaN stays NaN because its top bits stay set
    vi bits = (vi)v, odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), iset(1));
    return _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_add_epi32(odd, iset(0x7fff))), 16);
}
INLINE void vstore_half(uint16_t *p, vf v) {
#ifdef __AVX512BF16__
    _mm256_storeu_si256((__m256i *)p, (__m256i)_mm512_cvtneps_pbh(v));
#else
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(round_half(v)));
#endif
}
INLINE void vstore_codes(uint8_t *p, vf v, int zero) {  // rounded, |v| <= 127, plus zero
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(_mm512_add_epi32(_mm512_cvtps_epi32(v), iset(zero))));
}
#ifdef __AVX512BF16__
#define HALF_DOT 1
INLINE vf dot_half(vf sum, vi left, vi right) {
    ACCUMULATE("vdpbf16ps", "v", sum, left, right);
    return sum;
}
#endif
#ifdef __AVX512VNNI__
#define ZERO 128
INLINE vi dot_int8(vi sum, vi left, vi right) {
    ACCUMULATE("vpdpbusd", "v", sum, left, right);
    return sum;
}
#else
#define ZERO 0
INLINE vi dot_int8(vi sum, vi left, vi right) {  // int16 products of int8 pairs; |left|, |right| <= 127 cannot saturate
    vi size = _mm512_abs_epi8(left);
    __mmask64 negative = _mm512_movepi8_mask(left);
    vi turned = _mm512_mask_sub_epi8(right, negative, izero(), right);
    return _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_maddubs_epi16(size, turned), _mm512_set1_epi16(1)));
}
#endif
INLINE vf high_half(vi pair) { return (vf)_mm512_and_si512(pair, iset(0xffff0000)); }
INLINE vf low_half(vi pair) { return (vf)_mm512_slli_epi32(pair, 16); }

#elif defined(__AVX2__)
#include <immintrin.h>
#define LANES 8
#define ROWS 6  // 6 x 2 sums, 2 vectors of the right side and one unit of the left: 15 of 16 registers
#define PANELS 1
typedef __m256 vf;
typedef __m256i vi;
#define vload(p) _mm256_loadu_ps(p)
#define vstore(p, v) _mm256_storeu_ps(p, v)
#define vset(x) _mm256_set1_ps(x)
#define vadd(a, b) _mm256_add_ps(a, b)
#define vsub(a, b) _mm256_sub_ps(a, b)
#define vmul(a, b) _mm256_mul_ps(a, b)
#define vdiv(a, b) _mm256_div_ps(a, b)
#define vfma(a, b, c) _mm256_fmadd_ps(a, b, c)
#define vmax(a, b) _mm256_max_ps(a, b)
#define vmin(a, b) _mm256_min_ps(a, b)
#define vround(a) _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define vabs(a) _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a)
#define izero() _mm256_setzero_si256()
#define iset(x) _mm256_set1_epi32(x)
#define iload(p) _mm256_loadu_si256((const __m256i *)(p))
#define ifloat(a) _mm256_cvtepi32_ps(a)
#define isub(a, b) _mm256_sub_epi32(a, b)
INLINE vf vscale2(vf x, vf whole) {  // in two halves, so that neither power leaves the range of exponents
    vi n = _mm256_cvtps_epi32(whole), half = _mm256_srai_epi32(n, 1), rest = _mm256_sub_epi32(n, half);
    vf a = (vf)_mm256_slli_epi32(_mm256_add_epi32(half, iset(127)), 23);
    vf b = (vf)_mm256_slli_epi32(_mm256_add_epi32(rest, iset(127)), 23);
    return vmul(vmul(x, a), b);
}
INLINE vf vsign(vf magnitude, vf sign) {
    return _mm256_or_ps(magnitude, _mm256_and_ps(sign, _mm256_set1_ps(-0.0f)));
}
INLINE float vsum(vf a) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
INLINE float vtop(vf a) {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
INLINE vf vload_half(const uint16_t *p) {
    return (vf)_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16);
}
#define vload_brief(p) _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p)))
INLINE void vstore_half(uint16_t *p, vf v) {
    vi bits = (vi)v, odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), iset(1));
    vi rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, iset(0x7fff))), 16);
    vi packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(rounded, rounded), 0x08);
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(packed));
}
INLINE void vstore_codes(uint8_t *p, vf v, int zero) {
    vi whole = _mm256_add_epi32(_mm256_cvtps_epi32(v), iset(zero));
    vi bytes = _mm256_shuffle_epi8(whole, _mm256_set1_epi32(0x0c080400));
    *(uint32_t *)p = _mm256_extract_epi32(bytes, 0);
    *(uint32_t *)(p + 4) = _mm256_extract_epi32(bytes, 4);
}
#ifdef __AVXVNNI__
#define ZERO 128
INLINE vi dot_int8(vi sum, vi left, vi right) {
    ACCUMULATE("%{vex%} vpdpbusd", "x", sum, left, right);
    return sum;
}
#else
#define ZERO 0
INLINE vi dot_int8(vi sum, vi left, vi right) {
    vi pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(left), _mm256_sign_epi8(right, left));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
#endif
INLINE vf high_half(vi pair) { return (vf)_mm256_and_si256(pair, iset(0xffff0000)); }
INLINE vf low_half(vi pair) { return (vf)_mm256_slli_epi32(pair, 16); }

#elif defined(__ARM_NEON)
#include <arm_neon.h>
#define LANES 4
#define ROWS 6
#define PANELS 1
typedef float32x4_t vf;
typedef int32x4_t vi;
#define vload(p) vld1q_f32(p)
#define vstore(p, v) vst1q_f32(p, v)
#define vset(x) vdupq_n_f32(x)
#define vadd(a, b) vaddq_f32(a, b)
#define vsub(a, b) vsubq_f32(a, b)
#define vmul(a, b) vmulq_f32(a, b)
#define vdiv(a, b) vdivq_f32(a, b)
#define vfma(a, b, c) vfmaq_f32(c, a, b)
#define vmax(a, b) vmaxq_f32(a, b)
#define vmin(a, b) vminq_f32(a, b)
#define vround(a) vrndnq_f32(a)
#define vabs(a) vabsq_f32(a)
#define izero() vdupq_n_s32(0)
#define iset(x) vdupq_n_s32(x)
#define iload(p) vld1q_s32((const int32_t *)(p))
#define ifloat(a) vcvtq_f32_s32(a)
#define isub(a, b) vsubq_s32(a, b)
INLINE vf vscale2(vf x, vf whole) {
    vi n = vcvtq_s32_f32(whole), half = vshrq_n_s32(n, 1), rest = vsubq_s32(n, half);
    vf a = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(half, iset(127)), 23));
    vf b = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(rest, iset(127)), 23));
    return vmul(vmul(x, a), b);
}
INLINE vf vsign(vf magnitude, vf sign) {
    return vbslq_f32(vdupq_n_u32(0x80000000), sign, magnitude);
}
INLINE float vsum(vf a) { return vaddvq_f32(a); }
INLINE float vtop(vf a) { return vmaxvq_f32(a); }
INLINE vf vload_half(const uint16_t *p) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16)); }
#define vload_brief(p) vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16((const uint16_t *)(p))))
INLINE void vstore_half(uint16_t *p, vf v) {
    uint32x4_t bits = vreinterpretq_u32_f32(v), odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    vst1_u16(p, vshrn_n_u32(vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff))), 16));
}
INLINE void vstore_codes(uint8_t *p, vf v, int zero) {
    int16x4_t half = vmovn_s32(vaddq_s32(vcvtnq_s32_f32(v), iset(zero)));
    int8x8_t bytes = vmovn_s16(vcombine_s16(half, half));
    vst1_lane_u32((uint32_t *)p, vreinterpret_u32_s8(bytes), 0);
}
#define ZERO 0
#ifdef __ARM_FEATURE_DOTPROD
#define dot_int8(sum, left, right) vdotq_s32(sum, vreinterpretq_s8_s32(left), vreinterpretq_s8_s32(right))
#else
INLINE vi dot_int8(vi sum, vi left, vi right) {
    int8x16_t a = vreinterpretq_s8_s32(left), b = vreinterpretq_s8_s32(right);
    int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b)), high = vmull_high_s8(a, b);
    return vaddq_s32(sum, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
}
#endif
#ifdef __ARM_FEATURE_BF16_VECTOR_ARITHMETIC
#define HALF_DOT 1
#define dot_half(sum, left, right) vbfdotq_f32(sum, vreinterpretq_bf16_s32(left), vreinterpretq_bf16_s32(right))
#endif
INLINE vf high_half(vi pair) { return vreinterpretq_f32_s32(vandq_s32(pair, iset(0xffff0000))); }
INLINE vf low_half(vi pair) { return vreinterpretq_f32_s32(vshlq_n_s32(pair, 16)); }
#endif

#define PANEL (COLUMNS / LANES)  // vectors of a panel

// 2^t to 1e-7 of its size: the best polynomial of degree 5 on [-1/2, 1/2].
INLINE vf power_of_two(vf t) {
    vf whole = vround(t), rest = vsub(t, whole), value = vset(1.3276471518651328e-3f);
    value = vfma(value, rest, vset(9.675541330670528e-3f));
    value = vfma(value, rest, vset(5.5507132749637575e-2f));
    value = vfma(value, rest, vset(0.24022119723934082f));
    value = vfma(value, rest, vset(0.6931469670638635f));
    value = vfma(value, rest, vset(1.0f));
    return vscale2(value, whole);
}

#define LOG2E 1.44269504089f
INLINE vf exponential(vf x) { return power_of_two(vmax(vset(-126), vmul(x, vset(LOG2E)))); }


// 1 / (1 + 2^-t)
INLINE vf logistic2(vf t) { return vdiv(vset(1), vadd(vset(1), power_of_two(vmax(vset(-126), vmin(vset(126), vsub(vset(0), t)))))); }

// erf to 1.5e-7: Abramowitz and Stegun, 7.1.26
INLINE vf error_function(vf x) {
    vf size = vabs(x), t = vdiv(vset(1), vfma(size, vset(0.3275911f), vset(1)));
    vf sum = vfma(vset(1.061405429f), t, vset(-1.453152027f));
    sum = vfma(sum, t, vset(1.421413741f));
    sum = vfma(sum, t, vset(-0.284496736f));
    sum = vfma(sum, t, vset(0.254829592f));
    vf power = exponential(vsub(vset(0), vmul(size, size)));
    return vsign(vsub(vset(1), vmul(vmul(sum, t), power)), x);
}

INLINE vf activate(vf x, const int activation) {
    switch (activation) {
        case GELU_TANH:  // x / (1 + exp(-2 sqrt(2/pi) (x + 0.044715 x^3)))
            x = vmax(vset(-8), x);  // the second operand passes NaN on
            return vmul(x, logistic2(vmul(x, vfma(vmul(x, x), vset(0.1029432397f), vset(2.302208198f)))));
        case GELU_ERF: return vmul(vmul(x, vset(0.5f)), vadd(vset(1), error_function(vmul(x, vset(0.70710678f)))));
        case RELU: return vmax(vset(0), x);
        case TANH: return vfma(vset(2), logistic2(vmul(x, vset(2 * LOG2E))), vset(-1));
        case SILU: return vmul(x, logistic2(vmul(x, vset(LOG2E))));
        default: return x;
    }
}
