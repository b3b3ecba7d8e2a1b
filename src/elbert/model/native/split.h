// Products of float32 numbers on the matrix unit of Intel processors, which multiplies bfloat16 numbers.
//
// A float32 number is cut into three numbers of 8 bits, which are bfloat16 and together exactly the number; a weight that
// is a float16 number into two. Of the products of these parts, all that reach the last bit of a float32 result are added,
// in float32. So a result is as near to the exact one as that of float32 arithmetic. Weights of 24 bits would need three
// parts: then reading and cutting them takes as long as multiplying without the matrix unit.
#pragma once

#define CUTS 3          // parts of a number of the left side
#define RIGHT_CUTS 2    // parts of a number of the right side
#define GROUP 32        // rows of the left side whose sums are in the four tiles at once
#define SPLIT_ROWS 128  // rows that share the cut panels of the right side
#define SPAN 4          // tiles of the summed axis that are cut at once for them: they stay in the first-level cache
#define TILE_BYTES 1024
// Compilers do not know what the instructions of tiles read and write.
#define TILES_READ_MEMORY() __asm__ volatile("" ::: "memory")

// The upper halves of two vectors, interleaved: column i has those of even[i] and odd[i].
INLINE vi interleave(vf even, vf odd) {
    return _mm512_mask_mov_epi16(_mm512_srli_epi32((vi)even, 16), 0xaaaaaaaa, (vi)odd);
}
INLINE vf cut_off(vf x) { return vsub(x, high_half((vi)x)); }

// row [width] -> its parts, in tiles of 16 rows: out [width / 32][CUTS][16][32] for the rows row/16*16..; within 32
// values, value i lies beside value i + 16, on both sides of a product
INLINE void split_row(const float *values, Long width, Long row, char *codes) {
    char *out = codes + row / 16 * 16 * width * CUTS * 2 + row % 16 * 64;
    for (Long i = 0; i < width; i += 32) {
        vf even = vload(values + i), odd = vload(values + i + 16);
        for (int part = 0; part < CUTS; part++, out += TILE_BYTES) {
            _mm512_store_si512(out, interleave(even, odd));
            even = cut_off(even);
            odd = cut_off(odd);
        }
    }
}

// Panel rows from `tile * 32` -> [tiles][RIGHT_CUTS] tiles of [16][16][2]
INLINE void split_panel(const Product *w, Long panel, Long tile, Long tiles, char *out) {
    const uint16_t *from = w->brief + (panel * w->in + tile * 32) * COLUMNS;
    for (; tiles > 0; tiles--, out += RIGHT_CUTS * TILE_BYTES, from += 32 * COLUMNS)
        for (Long i = 0; i < 16; i++) {
            vf even = vload_brief(from + i * COLUMNS), odd = vload_brief(from + (i + 16) * COLUMNS);
            for (int part = 0; part < RIGHT_CUTS; part++) {
                _mm512_store_si512(out + part * TILE_BYTES + i * 64, interleave(even, odd));
                even = cut_off(even);
                odd = cut_off(odd);
            }
        }
}

// Tiles 0-3 are sums, 4 and 5 the left side, 6 and 7 the right side, as in amx.h.
INLINE void begin_sums(const int lower, const int second, const float *sums, Long upper, int is_first) {
    if (is_first) {
        _tile_zero(0);
        if (second) _tile_zero(1);
        if (lower) _tile_zero(2);
        if (lower && second) _tile_zero(3);
        return;
    }
    _tile_loadd(0, sums, GROUP * 4);
    if (second) _tile_loadd(1, sums + 16, GROUP * 4);
    if (lower) _tile_loadd(2, sums + upper * GROUP, GROUP * 4);
    if (lower && second) _tile_loadd(3, sums + upper * GROUP + 16, GROUP * 4);
}
INLINE void end_sums(const int lower, const int second, float *sums, Long upper) {
    _tile_stored(0, sums, GROUP * 4);
    if (second) _tile_stored(1, sums + 16, GROUP * 4);
    if (lower) _tile_stored(2, sums + upper * GROUP, GROUP * 4);
    if (lower && second) _tile_stored(3, sums + upper * GROUP + 16, GROUP * 4);
}
INLINE void add_tiles(const int lower, const int second, const char *left, Long lower_at,
                      const char *right, Long second_at, Long tiles) {
    for (; tiles > 0; tiles--, left += CUTS * TILE_BYTES)
        for (int r = 0; r < RIGHT_CUTS; r++, right += TILE_BYTES) {
            _tile_loadd(6, right, 64);
            if (second) _tile_loadd(7, right + second_at, 64);
            for (int l = 0; l < CUTS - r; l++) {
                _tile_loadd(4, left + l * TILE_BYTES, 64);
                _tile_dpbf16ps(0, 4, 6);
                if (second) _tile_dpbf16ps(1, 4, 7);
                if (!lower) continue;
                _tile_loadd(5, left + lower_at + l * TILE_BYTES, 64);
                _tile_dpbf16ps(2, 5, 6);
                if (second) _tile_dpbf16ps(3, 5, 7);
            }
        }
}

// For rows of one group: each tile of the right side is cut while the one before it is multiplied.
INLINE void multiply_group(const int lower, const int second, const Product *w, const char *left,
                           Long upper, Long panel, char *right, float *sums) {
    const Long tiles = w->in / 32, one = RIGHT_CUTS * TILE_BYTES, lower_at = 16 * w->in * CUTS * 2;
    begin_sums(lower, second, sums, upper, 1);
    for (Long k = 0; k <= tiles; k++) {
        if (k < tiles) {
            char *to = right + k % 2 * 2 * one;
            split_panel(w, panel, k, 1, to);
            if (second) split_panel(w, panel + 1, k, 1, to + one);
        }
        TILES_READ_MEMORY();
        if (k > 0)
            add_tiles(lower, second, left + (k - 1) * CUTS * TILE_BYTES, lower_at, right + (k - 1) % 2 * 2 * one,
                      one, 1);
    }
    end_sums(lower, second, sums, upper);
    TILES_READ_MEMORY();
}

INLINE void multiply_groups(const int second, const Product *w, const char *left, Long rows,
                            Long panel, char *right, float *sums, Long *configured) {
    const Long tiles = w->in / 32, row_bytes = w->in * CUTS * 2, second_at = SPAN * RIGHT_CUTS * TILE_BYTES;
    for (Long k = 0; k < tiles; k += SPAN) {
        const Long some = tiles - k < SPAN ? tiles - k : SPAN;
        split_panel(w, panel, k, some, right);
        if (second) split_panel(w, panel + 1, k, some, right + second_at);
        for (Long r = 0; r < rows; r += GROUP) {
            const Long count = rows - r < GROUP ? rows - r : GROUP, upper = count < 16 ? count : 16;
            const char *at = left + r * row_bytes + k * CUTS * TILE_BYTES;
            float *here = sums + r * GROUP;
            if (*configured != count) configure(upper, count - upper);
            *configured = count;
            TILES_READ_MEMORY();
            if (count > 16) {
                begin_sums(1, second, here, upper, k == 0);
                add_tiles(1, second, at, 16 * row_bytes, right, second_at, some);
                end_sums(1, second, here, upper);
            } else {
                begin_sums(0, second, here, upper, k == 0);
                add_tiles(0, second, at, 0, right, second_at, some);
                end_sums(0, second, here, upper);
            }
            TILES_READ_MEMORY();
        }
    }
}

static __attribute__((noinline)) void multiply_split(const Product *w, const char *left, Long rows, Long begin, Long end,
                                                     Target to) {
    char right[2 * SPAN * RIGHT_CUTS * TILE_BYTES] __attribute__((aligned(64)));
    float sums[SPLIT_ROWS * GROUP] __attribute__((aligned(64)));
    Long configured = -1;
    for (Long from = 0; from < rows; from += SPLIT_ROWS) {
        const Long count = rows - from < SPLIT_ROWS ? rows - from : SPLIT_ROWS, upper = count < 16 ? count : 16;
        const char *at = left + from * w->in * CUTS * 2;
        for (Long p = begin; p < end; p += 2) {
            const int second = end - p > 1;
            if (count <= GROUP) {
                if (configured != count) configure(upper, count - upper);
                configured = count;
                if (count > 16 && second) multiply_group(1, 1, w, at, upper, p, right, sums);
                else if (count > 16) multiply_group(1, 0, w, at, upper, p, right, sums);
                else if (second) multiply_group(0, 1, w, at, upper, p, right, sums);
                else multiply_group(0, 0, w, at, upper, p, right, sums);
            } else if (second)
                multiply_groups(1, w, at, count, p, right, sums, &configured);
            else
                multiply_groups(0, w, at, count, p, right, sums, &configured);
            finish_sums(w, sums, GROUP, count, p * COLUMNS, (1 + second) * COLUMNS, from_row(to, from));
        }
    }
    _tile_release();
}
