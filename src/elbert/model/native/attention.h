// Attention within packed rows: scores, softmax and mixture of one head, for some queries of a row.
#pragma once
#include "head.h"

#define QUERIES 32  // of a block
INLINE Long padded_keys(Long n) { return up(n, 32); }

// sums [rows, 16 panels], `stride` floats apart: left x right, both in units of 4 bytes
static void multiply_raw(const int half, const char *left, Long left_stride, Long rows, const char *right, Long panels,
                         Long depth, float *sums, Long stride) {
#ifdef __AMX_TILE__
    if (half && depth % 16 == 0) {
        const Long upper = rows < 16 ? rows : 16, lower = rows - upper;
        configure(upper, lower);
        for (Long p = 0; p < panels; p += 2)
            amx_raw(lower > 0, panels - p > 1, left, left_stride, right + p * depth * 64, depth * 64, depth / 16, upper,
                    sums + p * COLUMNS, stride);
        _tile_release();
        return;
    }
#endif
    const Long blocks = (rows + ROWS - 1) / ROWS;
    for (Long p = 0; p < panels; p += PANELS)
        for (Long i = 0; i < blocks; i++) {
            const Long from = rows * i / blocks, count = rows * (i + 1) / blocks - from;
            const Long some = panels - p < PANELS ? panels - p : PANELS;
            const char *at = left + from * left_stride, *to = right + p * depth * 64;
            float *here = sums + from * stride + p * COLUMNS;
#ifdef HALF_DOT
            if (half) {
                tile_halves(count, some, at, left_stride, to, depth * 64, depth, here, stride);
                continue;
            }
#endif
            tile_single(count, some, at, left_stride, to, depth * 64, depth, here, stride);
        }
}

#ifdef __AVX512F__
// By halves: swaps the off-diagonal blocks of 8, 4, 2, 1.
INLINE void transpose(vi row[16]) {
    const vi lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#pragma GCC unroll 4
    for (int step = 8; step; step /= 2) {
        const vi by = iset(step);
        const __mmask16 odd = _mm512_test_epi32_mask(lane, by);
        const vi low = _mm512_mask_add_epi32(lane, odd, lane, iset(16 - step));
        const vi high = _mm512_mask_add_epi32(_mm512_add_epi32(lane, by), odd, lane, iset(16));
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) {
            if (i & step) continue;
            vi upper = row[i], lower = row[i + step];
            row[i] = _mm512_permutex2var_epi32(upper, low, lower);
            row[i + step] = _mm512_permutex2var_epi32(upper, high, lower);
        }
    }
}
#endif

// keys [n, depth units], `stride` units apart -> panels [depth][16], zeros after the last key
INLINE void pack_keys(const uint32_t *keys, Long stride, Long n, Long depth, uint32_t *out) {
    for (Long first = 0; first < padded_keys(n); first += 16, out += depth * 16) {
        const Long count = n - first < 0 ? 0 : n - first < 16 ? n - first : 16;
        Long u = 0;
#ifdef __AVX512F__
        for (; u + 16 <= depth; u += 16) {
            vi row[16];
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++) row[i] = i < count ? iload(keys + (first + i) * stride + u) : izero();
            transpose(row);
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++) _mm512_storeu_si512(out + (u + i) * 16, row[i]);
        }
#endif
        for (; u < depth; u++)
            for (Long i = 0; i < 16; i++) out[u * 16 + i] = i < count ? keys[(first + i) * stride + u] : 0;
    }
}

// values [n, d], `stride` values apart -> panels of 16 columns [n in units][16], zeros after the last
INLINE void pack_values(const int half, const void *values, Long stride, Long n, Long d, uint32_t *out) {
    const Long units = padded_keys(n) / (half ? 2 : 1);
    for (Long c = 0; c < d; c += 16)
        for (Long u = 0; u < units; u++, out += 16) {
            const Long count = d - c < 16 ? d - c : 16;
            if (half) {
                const uint16_t *even = (const uint16_t *)values + 2 * u * stride + c, *odd = even + stride;
                const int has_even = 2 * u < n, has_odd = 2 * u + 1 < n;
#ifdef __AVX512F__
                if (count == 16) {
                    vi low = has_even ? _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)even)) : izero();
                    vi high = has_odd ? _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)odd)) : izero();
                    _mm512_storeu_si512(out, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
                    continue;
                }
#endif
                for (Long i = 0; i < 16; i++)
                    out[i] = (has_even && i < count ? even[i] : 0) | (uint32_t)(has_odd && i < count ? odd[i] : 0) << 16;
            } else {
                const uint32_t *from = (const uint32_t *)values + u * stride + c;
                if (u < n && count == 16) {
                    memcpy(out, from, 64);
                    continue;
                }
                for (Long i = 0; i < 16; i++) out[i] = u < n && i < count ? from[i] : 0;
            }
        }
}

// scores [n] -> exp(factor (score - largest)), in place, as units of the next product; returns their sum
INLINE float soften(const int half, float *scores, Long n, float factor) {
    const Long wide = padded_keys(n);
    const vf by = vset(factor * LOG2E);
    for (Long i = n; i < wide; i++) scores[i] = -INFINITY;
    vf largest = vset(-INFINITY), sum = vset(0);
    for (Long i = 0; i < wide; i += LANES) largest = vmax(largest, vload(scores + i));
    const vf top = vset(vtop(largest));
    for (Long i = 0; i < wide; i += LANES) {
        vf value = power_of_two(vmax(vset(-126), vmul(vsub(vload(scores + i), top), by)));
        sum = vadd(sum, value);
        if (half) vstore_half((uint16_t *)scores + i, value);  // where the scores have been read
        else vstore(scores + i, value);
    }
    return vsum(sum);
}

INLINE Long attention_bytes(const int half, Long longest, Long d) {
    const Long wide = padded_keys(longest), units = half ? 2 : 1;
    return up(4 * (wide * (d / units + 1) + wide / units * up(d, 16) + QUERIES * (wide + up(d, 16))), 64) + 192;
}

// One row: qkv [n, 3 width] -> out [n, width], columns of `head`.
// Results are bfloat16 (half) or float32; `single` asks for float32 results of bfloat16 values.
INLINE void attend_head(const int half, const int single, const char *qkv, Long n, Long width, Long d, Long head,
                        void *out, char *space) {
    const Long bytes = half ? 2 : 4, per = half ? 2 : 1, depth = d / per, stride = 3 * width / per;
    const Long wide = padded_keys(n), d16 = up(d, 16);
    uint32_t *keys = (uint32_t *)space, *values = (uint32_t *)((uintptr_t)(keys + wide * depth + 15) & ~(uintptr_t)63);
    float *scores = (float *)((uintptr_t)(values + wide / per * d16 + 15) & ~(uintptr_t)63);
    float *mixed = scores + QUERIES * wide;
    const char *queries = qkv + head * d * bytes;
    pack_keys((const uint32_t *)(queries + width * bytes), stride, n, depth, keys);
    pack_values(half, queries + 2 * width * bytes, 3 * width, n, d, values);
    const float factor = 1 / sqrtf(d);
    for (Long begin = 0; begin < n; begin += QUERIES) {
        const Long count = n - begin < QUERIES ? n - begin : QUERIES;
        float sum[QUERIES];
        multiply_raw(half, queries + begin * stride * 4, stride * 4, count, (char *)keys, wide / 16, depth, scores, wide);
        for (Long m = 0; m < count; m++) sum[m] = soften(half, scores + m * wide, n, factor);
        multiply_raw(half, (char *)scores, wide * 4, count, (char *)values, d16 / 16, wide / per, mixed, d16);
        for (Long m = 0; m < count; m++) {
            const vf by = vset(1 / sum[m]);
            const Long at = (begin + m) * width + head * d;
            float *row = mixed + m * d16;
            for (Long i = 0; i < d16; i += LANES) vstore(row + i, vmul(vload(row + i), by));
            Long i = 0;
            if (half && !single)
                for (; i + LANES <= d; i += LANES) vstore_half((uint16_t *)out + at + i, vload(row + i));
            else
                for (; i + LANES <= d; i += LANES) vstore((float *)out + at + i, vload(row + i));
            if (i < d) {
                uint16_t rest[16];
                if (half && !single) {
                    vstore_half(rest, vload(row + i));
                    memcpy((uint16_t *)out + at + i, rest, (d - i) * 2);
                } else
                    memcpy((float *)out + at + i, row + i, (d - i) * 4);
            }
        }
    }
}
