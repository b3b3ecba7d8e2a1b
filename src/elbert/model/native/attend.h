// Attention within each packed row.
//
// A unit is 32 bits along the summed axis: one float, or two neighbours in bfloat16. In units both types are alike.
// The right side of a product lies in panels of up to four vectors; in a panel all its vectors for one unit, then for
// the next, so that it is read straight through.

#pragma once

#include "lanes.h"

#define QUERIES 6  // 6 x 4 sums, 4 vectors of the right side and one unit of the left fill the 32 registers
#define PANEL 4

INLINE long part(long n, long of, long i) { return n * i / of; }  // where part i of n things in even parts begins

// sums[m][n] = sum over k of left[m][k] * panel[k][n]
INLINE void tile(const int rows, const int columns, long depth, const uint32_t *left, long left_stride,
                 const uint32_t *panel, float *sums, long sums_stride, const int bf) {
    __m512 sum[QUERIES][PANEL];
    for (int m = 0; m < rows; m++)
        for (int n = 0; n < columns; n++) sum[m][n] = _mm512_setzero_ps();
    for (long k = 0; k < depth; k++) {
        __m512 right[PANEL];
        for (int n = 0; n < columns; n++) right[n] = _mm512_load_ps((const float *)panel + (k * columns + n) * LANES);
        for (int m = 0; m < rows; m++) {
            __m512 unit = _mm512_castsi512_ps(_mm512_set1_epi32(left[m * left_stride + k]));
            for (int n = 0; n < columns; n++) sum[m][n] = multiply_add(sum[m][n], unit, right[n], bf);
        }
    }
    for (int m = 0; m < rows; m++)
        for (int n = 0; n < columns; n++) _mm512_store_ps(sums + m * sums_stride + n * LANES, sum[m][n]);
}

#define TILE(M, N, BF) \
    case (M) * 16 + (N) * 2 + (BF): tile(M, N, depth, left, left_stride, panel, to, sums_stride, BF); break;
#define TILES_OF(M, BF) TILE(M, 1, BF) TILE(M, 2, BF) TILE(M, 3, BF) TILE(M, 4, BF)
#define TILES(BF) TILES_OF(1, BF) TILES_OF(2, BF) TILES_OF(3, BF) TILES_OF(4, BF) TILES_OF(5, BF) TILES_OF(6, BF)

// left [rows, depth units] x right [depth units, vectors of columns], the latter in panels
static __attribute__((noinline)) void product(long rows, long vectors, long depth, const uint32_t *left,
                                              long left_stride, const uint32_t *right, float *sums, long sums_stride,
                                              int bf) {
    const long panels = (vectors + PANEL - 1) / PANEL;
    for (long p = 0; p < panels; p++) {
        const long begin = part(vectors, panels, p), columns = part(vectors, panels, p + 1) - begin;
        const uint32_t *panel = right + begin * LANES * depth;
        float *to = sums + begin * LANES;
        switch (rows * 16 + columns * 2 + bf) { TILES(0) TILES(1) }
    }
}

// By halves: swaps the off-diagonal blocks of 8, 4, 2, 1.
INLINE void transpose(__m512i row[LANES]) {
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#pragma GCC unroll 4
    for (int step = 8; step; step /= 2) {
        const __m512i by = _mm512_set1_epi32(step);
        const __mmask16 odd = _mm512_test_epi32_mask(lane, by);
        const __m512i low = _mm512_mask_add_epi32(lane, odd, lane, _mm512_set1_epi32(LANES - step));
        const __m512i high = _mm512_mask_add_epi32(_mm512_add_epi32(lane, by), odd, lane, _mm512_set1_epi32(LANES));
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++) {
            if (i & step) continue;
            __m512i upper = row[i], lower = row[i + step];
            row[i] = _mm512_permutex2var_epi32(upper, low, lower);
            row[i + step] = _mm512_permutex2var_epi32(upper, high, lower);
        }
    }
}

// keys [n, depth units], n apart by stride units -> panels [depth units, n], zeros after the last key
static void pack_keys(const uint32_t *keys, long stride, long n, long depth, uint32_t *out) {
    const long vectors = vectors_of(n), panels = (vectors + PANEL - 1) / PANEL;
    for (long p = 0; p < panels; p++) {
        const long begin = part(vectors, panels, p), end = part(vectors, panels, p + 1);
        for (long v = begin; v < end; v++)
            for (long u = 0; u < depth; u += LANES) {
                __m512i row[LANES];
#pragma GCC unroll 16
                for (int i = 0; i < LANES; i++) {
                    long key = v * LANES + i;
                    __mmask16 lanes = key < n ? first(depth - u) : 0;
                    row[i] = _mm512_maskz_loadu_epi32(lanes, keys + least(key, n - 1) * stride + u);
                }
                transpose(row);
                uint32_t *to = out + begin * LANES * depth + (u * (end - begin) + v - begin) * LANES;
#pragma GCC unroll 16
                for (int i = 0; i < LANES; i++)
                    if (u + i < depth) _mm512_store_si512(to + i * (end - begin) * LANES, row[i]);
            }
    }
}

// values [n, d], n apart by stride values -> panels [n in units, d], zeros after the last of an odd n
INLINE void pack_values(const void *values, long stride, long n, long d, uint32_t *out, const int bf) {
    const long vectors = vectors_of(d), panels = (vectors + PANEL - 1) / PANEL, units = bf ? (n + 1) / 2 : n;
    for (long p = 0; p < panels; p++) {
        const long begin = part(vectors, panels, p), end = part(vectors, panels, p + 1);
        uint32_t *to = out + begin * LANES * units;
        for (long u = 0; u < units; u++)
            for (long v = begin; v < end; v++, to += LANES) {
                __mmask16 lanes = first(d - v * LANES);
                if (!bf) {
                    _mm512_store_ps((float *)to, get(values, u * stride + v * LANES, lanes, 0));
                    continue;
                }
                const uint16_t *from = (const uint16_t *)values + 2 * u * stride + v * LANES;
                __mmask16 also = 2 * u + 1 < n ? lanes : 0;
                __m512i even = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes, from));
                __m512i odd = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(also, from + (also ? stride : 0)));
                _mm512_store_si512(to, _mm512_or_si512(even, _mm512_slli_epi32(odd, 16)));
            }
    }
}

// scores [n] -> exp(factor (score - largest)), in place as units for the next product; their sum
INLINE float soften(float *scores, long n, float factor, const int bf) {
    const __m512 by = _mm512_set1_ps(factor * 1.44269504089f);
    __m512 largest = _mm512_set1_ps(-__builtin_inff()), sum = _mm512_setzero_ps();
    for (long i = 0; i < n; i += LANES)
        largest = _mm512_mask_max_ps(largest, first(n - i), largest, _mm512_load_ps(scores + i));
    const __m512 top = _mm512_mul_ps(_mm512_set1_ps(_mm512_reduce_max_ps(largest)), by);
    for (long i = 0; i < n; i += LANES) {
        __m512 value = power_of_two(_mm512_fmsub_ps(_mm512_load_ps(scores + i), by, top));
        value = _mm512_maskz_mov_ps(first(n - i), value);
        sum = _mm512_add_ps(sum, value);
        put(scores, i, 0xffff, value, bf);  // a bfloat16 goes where the scores have been read
    }
    return _mm512_reduce_add_ps(sum);
}

typedef struct {
    long row, head, from, to;  // queries from..to of one head in one row
} Piece;

// Asks for three stretches of memory, `apart` bytes apart, which lie too far from each other for the CPU to guess.
INLINE void fetch(const char *from, long apart, long bytes) {
    for (int third = 0; third < 3; third++)
        for (long i = 0; i < bytes; i += 64) _mm_prefetch(from + third * apart + i, _MM_HINT_T1);
}

INLINE void attend_piece(const void *qkv, long start, long n, long heads, long width, Piece piece, void *out,
                         uint32_t *space, const int bf) {
    const long d = width / heads, size = bf ? 2 : 4, depth = d * size / 4, stride = 3 * width * size / 4;
    const long key_lanes = vectors_of(n) * LANES, value_lanes = vectors_of(d) * LANES;
    const char *queries = (const char *)qkv + (start * 3 * width + piece.head * d) * size;
    uint32_t *keys = space, *values = keys + key_lanes * depth;
    float *scores = (float *)values + (bf ? (n + 1) / 2 : n) * value_lanes, *mixed = scores + QUERIES * key_lanes;
    pack_keys((const uint32_t *)(queries + width * size), stride, n, depth, keys);
    pack_values(queries + 2 * width * size, 3 * width, n, d, values, bf);
    // Where memory goes on: the next head, or after the last head the next row's first one.
    const char *next = queries + (piece.head + 1 < heads ? d : n * 3 * width - piece.head * d) * size;
    const float factor = 1 / __builtin_sqrtf(d);
    const long count = piece.to - piece.from, blocks = (count + QUERIES - 1) / QUERIES;
    for (long b = 0; b < blocks; b++) {
        const long begin = piece.from + part(count, blocks, b), end = piece.from + part(count, blocks, b + 1);
        float sum[QUERIES];
        for (long m = begin; m < end; m++) fetch(next + m * stride * 4, width * size, d * size);
        product(end - begin, key_lanes / LANES, depth, (const uint32_t *)queries + begin * stride, stride, keys,
                scores, key_lanes, bf);
        for (long m = 0; m < end - begin; m++) sum[m] = soften(scores + m * key_lanes, n, factor, bf);
        product(end - begin, value_lanes / LANES, bf ? (n + 1) / 2 : n, (const uint32_t *)scores, key_lanes, values,
                mixed, value_lanes, bf);
        for (long m = 0; m < end - begin; m++)
            for (long i = 0; i < d; i += LANES)
                put(out, (start + begin + m) * width + piece.head * d + i, first(d - i),
                    _mm512_mul_ps(_mm512_load_ps(mixed + m * value_lanes + i), _mm512_set1_ps(1 / sum[m])), bf);
    }
}

INLINE int attend(const void *qkv, const int64_t *starts, long tokens, long rows, long heads, long width, void *out,
                  int threads, const int bf) {
    long longest = 0;
    double work = 0;
    for (long r = 0; r < rows; r++) {
        const long n = starts[r + 1] - starts[r];
        if (n < 0 || n > tokens) return BAD_STARTS;
        if (n > longest) longest = n;
        work += 4.0 * n * n * width;
    }
    if (starts[0] != 0 || starts[rows] != tokens) return BAD_STARTS;
    const long lanes = vectors_of(longest) * LANES, d_lanes = vectors_of(width / heads) * LANES;
    const long bytes = 4 * (lanes + longest + QUERIES) * d_lanes + 4 * QUERIES * lanes;
    threads = threads_for(work, threads);
    char *space = scratch(threads, bytes);
    if (!space) return NO_MEMORY;
    // Few heads and many threads: a head's queries are dealt out too, at the price of packing its keys again.
    const long pairs = rows * heads, needed = (4L * threads + pairs - 1) / (pairs ? pairs : 1);
    const long together = rows >= 4L * threads ? heads : 1;  // one thread takes a row's heads: they share cache lines
    const long pieces = pairs >= 2L * threads ? 1 : least(needed, longest / 48 + 1);
#pragma omp parallel num_threads(threads)
    {
        uint32_t *mine = (uint32_t *)(space + omp_get_thread_num() * bytes);
#pragma omp for schedule(dynamic, together)
        for (long i = 0; i < pairs * pieces; i++) {
            const long row = i / pieces / heads, start = starts[row], n = starts[row + 1] - start;
            Piece piece = {row, i / pieces % heads, part(n, pieces, i % pieces), part(n, pieces, i % pieces + 1)};
            if (piece.from < piece.to) attend_piece(qkv, start, n, heads, width, piece, out, mine, bf);
        }
    }
    free(space);
    return OK;
}
