// What becomes of rows between two products: their norm, and the form in which the next product reads them.
#pragma once
#include "head.h"

INLINE float quantise_as(const int half, const void *row, Long width, uint8_t *codes) {
    vf largest = vset(0);
    for (Long i = 0; i < width; i += LANES) largest = vmax(largest, vabs(load_as(half, row, i)));
    const float top = vtop(largest), by = top > 0 ? 127 / top : 0;
    for (Long i = 0; i < width; i += LANES) vstore_codes(codes + i, vmul(load_as(half, row, i), vset(by)), ZERO);
    return top / 127;
}

// Rows as the left side of a product: their codes and scales, or the parts of their numbers.
static void encode_rows(int mode, int half, const void *rows, Long count, Long width, uint8_t *codes, float *scales) {
    for (Long t = 0; t < count; t++) {
#ifdef __AMX_TILE__
        if (mode == SPLIT) {
            split_row((const float *)rows + t * width, width, t, (char *)codes);
            continue;
        }
#endif
        if (half) scales[t] = quantise_as(1, (const uint16_t *)rows + t * width, width, codes + t * width);
        else scales[t] = quantise_as(0, (const float *)rows + t * width, width, codes + t * width);
    }
}

// out = norm(x + sums), which is also kept in `sums`, before rounding
INLINE void norm_as(const int half, const int is_kept, const void *x, float *sums, Long width, const float *weight,
                    const float *bias, float eps, void *out) {
    vf total = vset(0);
    for (Long i = 0; i < width; i += LANES) {
        vf value = vadd(load_as(half, x, i), vload(sums + i));
        vstore(sums + i, value);
        total = vadd(total, value);
    }
    const vf mean = vset(vsum(total) / width);
    vf squares = vset(0);
    for (Long i = 0; i < width; i += LANES) {
        vf apart = vsub(vload(sums + i), mean);
        squares = vfma(apart, apart, squares);
    }
    const vf by = vset(1 / sqrtf(vsum(squares) / width + eps));
    for (Long i = 0; i < width; i += LANES) {
        vf value = vfma(vmul(vsub(vload(sums + i), mean), by), vload(weight + i), vload(bias + i));
        if (half) vstore_half((uint16_t *)out + i, value);
        else vstore((float *)out + i, value);
        if (is_kept) vstore(sums + i, value);
    }
}
