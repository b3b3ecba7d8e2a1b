// Products on the matrix unit of Intel processors: sums of 32 rows x 32 columns in four tiles of 1 kB.
#pragma once

typedef struct {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} TileConfig;

// Tiles 0-3 are sums, 4 and 5 the left side (the second has the rows after the first 16), 6 and 7 the right side.
INLINE void configure(Long upper, Long lower) {
    TileConfig config __attribute__((aligned(64))) = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.bytes[i] = 64;
        config.rows[i] = i == 0 || i == 1 || i == 4 ? upper : i == 2 || i == 3 || i == 5 ? (lower ? lower : 1) : 16;
    }
    _tile_loadconfig(&config);
}

// The sums of a block: tile 0, with a second panel 1, with more than 16 rows 2 and 3.
INLINE void begin_sums(const int lower, const int second) {
    _tile_zero(0);
    if (second) _tile_zero(1);
    if (lower) _tile_zero(2);
    if (lower && second) _tile_zero(3);
}

// Store them in rows of stride numbers; tiles 0 and 1 have the first upper rows.
INLINE void store_sums(const int lower, const int second, Long upper, float *sums, Long stride) {
    _tile_stored(0, sums, stride * 4);
    if (second) _tile_stored(1, sums + 16, stride * 4);
    if (lower) _tile_stored(2, sums + upper * stride, stride * 4);
    if (lower && second) _tile_stored(3, sums + upper * stride + 16, stride * 4);
}

#define AMX_BLOCK(NAME, DOT)                                                                                         \
    INLINE void NAME(const int lower, const int second, const char *left, Long left_stride, const char *right,       \
                     Long panel_bytes, Long steps, Long upper, float *sums, Long stride) {                           \
        begin_sums(lower, second);                                                                                    \
        for (Long k = 0; k < steps; k++) { /* 64 bytes of the summed axis */                                          \
            _tile_loadd(4, left + k * 64, left_stride);                                                               \
            _tile_loadd(6, right + k * 1024, 64);                                                                     \
            DOT(0, 4, 6);                                                                                             \
            if (second) {                                                                                             \
                _tile_loadd(7, right + panel_bytes + k * 1024, 64);                                                   \
                DOT(1, 4, 7);                                                                                         \
            }                                                                                                         \
            if (lower) {                                                                                              \
                _tile_loadd(5, left + 16 * left_stride + k * 64, left_stride);                                        \
                DOT(2, 5, 6);                                                                                         \
                if (second) DOT(3, 5, 7);                                                                             \
            }                                                                                                         \
        }                                                                                                             \
        store_sums(lower, second, upper, sums, stride);                                                               \
    }
AMX_BLOCK(amx_halves, _tile_dpbf16ps)
AMX_BLOCK(amx_codes, _tile_dpbusd)

static __attribute__((noinline)) void amx_raw(int lower, int second, const char *left, Long left_stride,
                                              const char *right, Long panel_bytes, Long steps, Long upper, float *sums,
                                              Long stride) {
    if (lower && second) amx_halves(1, 1, left, left_stride, right, panel_bytes, steps, upper, sums, stride);
    else if (lower) amx_halves(1, 0, left, left_stride, right, panel_bytes, steps, upper, sums, stride);
    else if (second) amx_halves(0, 1, left, left_stride, right, panel_bytes, steps, upper, sums, stride);
    else amx_halves(0, 0, left, left_stride, right, panel_bytes, steps, upper, sums, stride);
}

static __attribute__((noinline)) void amx_raw_codes(int lower, int second, const char *left, Long left_stride,
                                                    const char *right, Long panel_bytes, Long steps, Long upper,
                                                    float *sums, Long stride) {
    if (lower && second) amx_codes(1, 1, left, left_stride, right, panel_bytes, steps, upper, sums, stride);
    else if (lower) amx_codes(1, 0, left, left_stride, right, panel_bytes, steps, upper, sums, stride);
    else if (second) amx_codes(0, 1, left, left_stride, right, panel_bytes, steps, upper, sums, stride);
    else amx_codes(0, 0, left, left_stride, right, panel_bytes, steps, upper, sums, stride);
}

static void multiply_amx(int mode, const Product *w, const char *left, Long left_stride, Long rows, Long begin,
                         Long end, Target to) {
    float sums[32 * 32] __attribute__((aligned(64)));
    const int codes = mode == CODES;
    const Long steps = w->in / unit_values(mode) / 16, panel_bytes = w->in / unit_values(mode) * 64;
    Long configured = -1;
    for (Long p = begin; p < end; p += 2) {  // outside: a pair of panels stays in the first-level cache for all rows
        const int second = end - p > 1;
        const char *right = (const char *)w->panels + p * panel_bytes;
        for (Long from = 0; from < rows; from += 32) {
            const Long count = rows - from < 32 ? rows - from : 32, upper = count < 16 ? count : 16, lower = count - upper;
            if (configured != count) configure(upper, lower);
            configured = count;
            const char *at = left + from * left_stride;
            (codes ? amx_raw_codes : amx_raw)(lower > 0, second, at, left_stride, right, panel_bytes, steps, upper, sums, 32);
            if (codes) finish_codes(w, sums, 32, count, p * COLUMNS, (1 + second) * COLUMNS, from_row(to, from));
            else finish_sums(w, sums, 32, count, p * COLUMNS, (1 + second) * COLUMNS, from_row(to, from));
        }
    }
    _tile_release();
}
