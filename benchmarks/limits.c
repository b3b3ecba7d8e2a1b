/* How fast this processor can multiply and read at most: loops of one instruction, on independent registers.

   Every function runs its loop `loops` times and returns the operations (a multiplication and an addition are two), or
   bytes, of all of them; 0 where the compiler's target lacks the instruction. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SUMS 12 /* registers in flight: more than latency times ports of the processors measured */

#if defined(__x86_64__)
#include <immintrin.h>
#if defined(__AVX512F__)
typedef __m512 floats;
typedef __m512i bytes;
#define ZERO _mm512_setzero_ps()
#define ADD _mm512_add_ps
#define FMA(sum, x) _mm512_fmadd_ps(x, x, sum)
#elif defined(__AVX2__)
typedef __m256 floats;
typedef __m256i bytes;
#define ZERO _mm256_setzero_ps()
#define ADD _mm256_add_ps
#define FMA(sum, x) _mm256_fmadd_ps(x, x, sum)
#endif
#if defined(__AVX512BF16__)
#define FMA_BFLOAT16(sum, x) _mm512_dpbf16_ps(sum, (__m512bh)(x), (__m512bh)(x))
#endif
#if defined(__AVX512VNNI__)
#define FMA_INT8(sum, x) _mm512_dpbusd_epi32(sum, (__m512i)(x), (__m512i)(x))
#elif defined(__AVXVNNI__)
#define FMA_INT8(sum, x) _mm256_dpbusd_avx_epi32(sum, (__m256i)(x), (__m256i)(x))
#endif
#elif defined(__aarch64__)
#include <arm_neon.h>
typedef float32x4_t floats;
#define ZERO vdupq_n_f32(0)
#define ADD vaddq_f32
#define FMA(sum, x) vfmaq_f32(sum, x, x)
#endif

#define HIDE(x) __asm__ volatile("" : "+m"(x)) /* the compiler does not know the value */

/* `instruction` on SUMS registers, `loops` times */
#define RUN(type, instruction, operations)                         \
  type sums[SUMS], x;                                              \
  memset(sums, 0, sizeof sums), memset(&x, 0, sizeof x);             \
  HIDE(x);                                                         \
  for (long loop = 0; loop < loops; loop++)                        \
    for (int k = 0; k < SUMS; k++) sums[k] = instruction(sums[k], x); \
  HIDE(sums);                                                      \
  return loops * SUMS * (operations);

long multiply_float32(long loops) {
#ifdef FMA
  RUN(floats, FMA, (long)sizeof(floats) / 4 * 2)
#else
  return 0;
#endif
}

long multiply_bfloat16(long loops) {
#ifdef FMA_BFLOAT16
  RUN(floats, FMA_BFLOAT16, (long)sizeof(floats) / 2 * 2)
#else
  return 0;
#endif
}

long multiply_int8(long loops) {
#ifdef FMA_INT8
  RUN(bytes, FMA_INT8, (long)sizeof(bytes) * 2)
#else
  return 0;
#endif
}

/* AMX: tiles 0 to 3 are sums, 4 and 5 rows, 6 and 7 columns. Linux has to allow the registers once. */
#if defined(__AMX_TILE__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#define HAS_AMX
static int open_tiles(void) {
  struct { uint8_t palette, start, reserved[14]; uint16_t columns[16]; uint8_t rows[16]; } config;
  if (syscall(SYS_arch_prctl, 0x1023, 18)) return 0;
  memset(&config, 0, sizeof config);
  config.palette = 1;
  for (int tile = 0; tile < 8; tile++) config.columns[tile] = 64, config.rows[tile] = 16;
  HIDE(config);
  _tile_loadconfig(&config);
  _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3);
  _tile_zero(4); _tile_zero(5); _tile_zero(6); _tile_zero(7);
  return 1;
}
#define RUN_TILES(instruction, operations)                                    \
  if (!open_tiles()) return 0;                                                \
  for (long loop = 0; loop < loops; loop++) {                                 \
    instruction(0, 4, 6); instruction(1, 4, 7); instruction(2, 5, 6); instruction(3, 5, 7); \
  }                                                                           \
  _tile_release();                                                            \
  return loops * 4 * (operations);
#endif

long tiles_bfloat16(long loops) {
#ifdef HAS_AMX
  RUN_TILES(_tile_dpbf16ps, 16L * 16 * 32 * 2)
#else
  return 0;
#endif
}

long tiles_int8(long loops) {
#ifdef HAS_AMX
  RUN_TILES(_tile_dpbusd, 16L * 16 * 64 * 2)
#else
  return 0;
#endif
}

/* Sums `size` floats, a multiple of 64: what memory, or a cache, delivers. */
long read_floats(long loops, const float *data, size_t size) {
#ifdef ADD
  enum { WIDTH = sizeof(floats) / 4 };
  floats sums[4] = {ZERO, ZERO, ZERO, ZERO}, one;
  for (long loop = 0; loop < loops; loop++)
    for (size_t at = 0; at < size; at += 4 * WIDTH)
      for (int k = 0; k < 4; k++) {
        memcpy(&one, data + at + k * WIDTH, sizeof one);
        sums[k] = ADD(sums[k], one);
      }
  HIDE(sums);
  return loops * (long)size * 4;
#else
  return 0;
#endif
}
