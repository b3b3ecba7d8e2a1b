// Products of some rows with packed weights, with what follows them: bias, scales, activation, rounding.
#pragma once
#include "lanes.h"
#include "variant.h"

INLINE Long unit_values(const int mode) { return mode == SINGLE || mode == BRIEF ? 1 : mode == CODES ? 4 : 2; }
INLINE Long unit_bytes(const int mode) { return mode == WIDENED ? 8 : 4; }  // of the left side; of the right always 4

typedef struct {
    float *single;         // results as float32, or
    uint16_t *half;        // results as bfloat16
    Long stride;           // values from one row to the next
    const float *scales;   // [rows], of the left side's codes
} Target;

// Rows up to which float16 weights are read: then reading takes longer than multiplying. With more rows their conversion,
// which every tile repeats, would.
#define BRIEF_ROWS (2 * ROWS)
#define WIDE (PANELS * COLUMNS)  // columns of a tile

// sums [rows, panels of 16 columns] of one tile, as float32 or, for CODES, int32
INLINE void tile(const int rows, const int panels, const int mode, const char *left, Long left_stride,
                 const char *right, Long panel_bytes, Long depth, float *sums, Long stride) {
    vf sum[ROWS][PANELS * PANEL];
    vi whole[ROWS][PANELS * PANEL];
    for (int m = 0; m < rows; m++)
        for (int n = 0; n < panels * PANEL; n++) {
            if (mode == CODES) whole[m][n] = izero();
            else sum[m][n] = vset(0);
        }
    for (Long k = 0; k < depth; k++) {
        vi b[PANELS * PANEL];
        for (int p = 0; p < panels; p++)
            for (int v = 0; v < PANEL; v++) {
                const char *at = right + p * panel_bytes;
                if (mode == BRIEF) b[p * PANEL + v] = (vi)vload_brief((const uint16_t *)at + k * 16 + v * LANES);
                else b[p * PANEL + v] = iload(at + k * 64 + v * LANES * 4);
            }
        for (int m = 0; m < rows; m++) {
            const char *at = left + m * left_stride + k * unit_bytes(mode);
            if (mode == SINGLE || mode == BRIEF) {
                vf a = vset(*(const float *)at);
                for (int n = 0; n < panels * PANEL; n++) sum[m][n] = vfma(a, (vf)b[n], sum[m][n]);
            } else if (mode == WIDENED) {
                vf even = vset(((const float *)at)[0]), odd = vset(((const float *)at)[1]);
                for (int n = 0; n < panels * PANEL; n++)
                    sum[m][n] = vfma(odd, high_half(b[n]), vfma(even, low_half(b[n]), sum[m][n]));
            } else {
                vi a = iset(*(const int32_t *)at);
                for (int n = 0; n < panels * PANEL; n++) {
                    if (mode == CODES) whole[m][n] = dot_int8(whole[m][n], a, b[n]);
#ifdef HALF_DOT
                    else sum[m][n] = dot_half(sum[m][n], a, b[n]);
#endif
                }
            }
        }
    }
    for (int m = 0; m < rows; m++)
        for (int n = 0; n < panels * PANEL; n++) {
            if (mode == CODES) vstore(sums + m * stride + n * LANES, (vf)whole[m][n]);
            else vstore(sums + m * stride + n * LANES, sum[m][n]);
        }
}

#define TILE(M, N) case (M) * 8 + (N): tile(M, N, mode, left, left_stride, right, panel_bytes, depth, sums, stride); break;
#if PANELS == 4
#define TILES(M) TILE(M, 1) TILE(M, 2) TILE(M, 3) TILE(M, 4)
#else
#define TILES(M) TILE(M, 1)
#endif
#define TILE_FUNCTION(NAME, MODE)                                                                                     \
    static __attribute__((noinline)) void NAME(Long rows, Long panels, const char *left, Long left_stride,            \
                                               const char *right, Long panel_bytes, Long depth, float *sums,          \
                                               Long stride) {                                                         \
        const int mode = MODE;                                                                                        \
        switch (rows * 8 + panels) { TILES(1) TILES(2) TILES(3) TILES(4) TILES(5) TILES(6) }                          \
    }
TILE_FUNCTION(tile_single, SINGLE)
TILE_FUNCTION(tile_brief, BRIEF)
TILE_FUNCTION(tile_widened, WIDENED)
TILE_FUNCTION(tile_codes, CODES)
#ifdef HALF_DOT
TILE_FUNCTION(tile_halves, HALVES)
#endif

// What follows a product, for `columns` columns from `first` of some rows; sums are `stride` values apart.
INLINE void finish_as(const int mode, const int activation, const Product *w, const float *sums, Long sums_stride,
                      Long rows, Long first, Long columns, Target to) {
    for (Long m = 0; m < rows; m++) {
        const vf by = vset(mode == CODES ? to.scales[m] : 1);
        for (Long n = 0; n < columns; n += LANES) {
            const Long column = first + n;
            vf value = vload(sums + m * sums_stride + n);
            const vf bias = w->bias ? vload(w->bias + column) : vset(0);
            if (mode == CODES) {
                value = ifloat(isub((vi)value, iload(w->sums + column)));
                value = vfma(vmul(value, vload(w->scales + column)), by, bias);
            } else
                value = vadd(value, bias);
            value = activate(value, activation);
            if (to.half) vstore_half(to.half + m * to.stride + column, value);
            else vstore(to.single + m * to.stride + column, value);
        }
    }
}

#define FINISH(A) case A: finish_as(mode, A, w, sums, sums_stride, rows, first, columns, to); break;
#define FINISH_FUNCTION(NAME, MODE)                                                                                   \
    static __attribute__((noinline)) void NAME(const Product *w, const float *sums, Long sums_stride, Long rows,      \
                                               Long first, Long columns, Target to) {                                 \
        const int mode = MODE;                                                                                        \
        switch (w->activation) {                                                                                      \
            FINISH(IDENTITY) FINISH(GELU_TANH) FINISH(GELU_ERF) FINISH(RELU) FINISH(TANH) FINISH(SILU)                \
        }                                                                                                             \
    }
FINISH_FUNCTION(finish_sums, SINGLE)
FINISH_FUNCTION(finish_codes, CODES)

INLINE Target from_row(Target to, Long row) {
    if (to.half) to.half += row * to.stride;
    if (to.single) to.single += row * to.stride;
    if (to.scales) to.scales += row;
    return to;
}

#ifdef __AMX_TILE__
#include "amx.h"
#include "split.h"
#endif

// Columns of panels begin..end of w for `rows` rows of `left`, whose rows are left_stride bytes apart.
static void multiply(int mode, const Product *w, const void *left, Long left_stride, Long rows, Long begin, Long end,
                     Target to) {
#ifdef __AMX_TILE__
    if (mode == SPLIT) {
        multiply_split(w, left, rows, begin, end, to);
        return;
    }
    if ((mode == HALVES || mode == CODES) && w->in % 64 == 0) {  // for any number of rows: they must not depend on it
        multiply_amx(mode, w, left, left_stride, rows, begin, end, to);
        return;
    }
#endif
    float sums[ROWS * WIDE] __attribute__((aligned(64)));
    if (mode == SINGLE && w->brief && rows <= BRIEF_ROWS) mode = BRIEF;
    const Long depth = w->in / unit_values(mode), panel_bytes = depth * (mode == BRIEF ? 32 : 64), blocks = (rows + ROWS - 1) / ROWS;
    for (Long p = begin; p < end; p += PANELS) {
        const Long panels = end - p < PANELS ? end - p : PANELS;
        const char *right = (const char *)(mode == BRIEF ? w->brief : w->panels) + p * panel_bytes;
        for (Long i = 0; i < blocks; i++) {  // nearly even tiles, so that none is much slower
            const Long from = rows * i / blocks, count = rows * (i + 1) / blocks - from;
            const char *at = (const char *)left + from * left_stride;
            switch (mode) {
                case SINGLE: tile_single(count, panels, at, left_stride, right, panel_bytes, depth, sums, WIDE); break;
                case BRIEF: tile_brief(count, panels, at, left_stride, right, panel_bytes, depth, sums, WIDE); break;
                case WIDENED: tile_widened(count, panels, at, left_stride, right, panel_bytes, depth, sums, WIDE); break;
                case CODES: tile_codes(count, panels, at, left_stride, right, panel_bytes, depth, sums, WIDE); break;
#ifdef HALF_DOT
                case HALVES: tile_halves(count, panels, at, left_stride, right, panel_bytes, depth, sums, WIDE); break;
#endif
            }
            if (mode == CODES) finish_codes(w, sums, WIDE, count, p * COLUMNS, panels * COLUMNS, from_row(to, from));
            else finish_sums(w, sums, WIDE, count, p * COLUMNS, panels * COLUMNS, from_row(to, from));
        }
    }
}
