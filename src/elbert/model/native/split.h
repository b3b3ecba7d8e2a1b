// Products of float32 numbers on the matrix unit of Intel processors, which multiplies bfloat16 numbers.
//
// A float32 number is cut into three numbers of 8 bits, which are bfloat16 and together exactly the number; a weight that
// is a float16 number into two, when it is packed. Of the products of these parts, all that reach the last bit of a
// float32 result are added, in float32. So a result is as near to the exact one as that of float32 arithmetic. Weights of
// 24 bits would need three parts: then reading them takes as long as multiplying without the matrix unit.
#pragma once

#define CUTS 3          // parts of a number of the left side
#define RIGHT_CUTS 2    // parts of a number of the right side
#define GROUP 32        // rows of the left side whose sums are in the four tiles at once
#define TILE_BYTES 1024

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

// sums [rows, 32 columns] of one block, as in amx.h. Tiles of the left side are CUTS, those of the right side RIGHT_CUTS
// kilobytes apart; the largest products come first.
INLINE void split_block(const int lower, const int second, const char *left, Long lower_at, const char *right,
                        Long panel_bytes, Long tiles, Long upper, float *sums) {
    begin_sums(lower, second);
    for (; tiles > 0; tiles--, left += CUTS * TILE_BYTES)
        for (int r = 0; r < RIGHT_CUTS; r++, right += TILE_BYTES) {
            _tile_loadd(6, right, 64);
            if (second) _tile_loadd(7, right + panel_bytes, 64);
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
    store_sums(lower, second, upper, sums, GROUP);
}

static __attribute__((noinline)) void multiply_split(const Product *w, const char *left, Long rows, Long begin, Long end,
                                                     Target to) {
    float sums[GROUP * GROUP] __attribute__((aligned(64)));
    const Long tiles = w->in / 32, panel_bytes = tiles * RIGHT_CUTS * TILE_BYTES, row_bytes = w->in * CUTS * 2;
    Long configured = -1;
    for (Long p = begin; p < end; p += 2) {
        const int second = end - p > 1;
        const char *right = (const char *)w->cut + p * panel_bytes;
        for (Long r = 0; r < rows; r += GROUP) {
            const Long count = rows - r < GROUP ? rows - r : GROUP, upper = count < 16 ? count : 16;
            const char *at = left + r * row_bytes;
            if (configured != count) configure(upper, count - upper);
            configured = count;
            __asm__ volatile("" ::: "memory");  // compilers do not know that the instructions of tiles read memory
            if (count > 16 && second) split_block(1, 1, at, 16 * row_bytes, right, panel_bytes, tiles, upper, sums);
            else if (count > 16) split_block(1, 0, at, 16 * row_bytes, right, panel_bytes, tiles, upper, sums);
            else if (second) split_block(0, 1, at, 0, right, panel_bytes, tiles, upper, sums);
            else split_block(0, 0, at, 0, right, panel_bytes, tiles, upper, sums);
            __asm__ volatile("" ::: "memory");
            finish_sums(w, sums, GROUP, count, p * COLUMNS, (1 + second) * COLUMNS, from_row(to, r));
        }
    }
    _tile_release();
}
