// The variants in this library, and which of them this processor can run. Compiled for the oldest processor.
#include <stdint.h>
#include <string.h>

#include "variant.h"

#define VARIANTS_X86(X) X(avx2) X(avx2_vnni) X(avx512) X(avx512_vnni) X(avx512_bf16) X(amx)
#define VARIANTS_ARM(X) X(neon) X(neon_dot) X(neon_bf16)

#if defined(__x86_64__) || defined(_M_X64)
#define VARIANTS VARIANTS_X86
#include <cpuid.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum { AVX_STATE = 0x6, AVX512_STATE = 0xe6, AMX_STATE = 0x60000 };

static uint64_t saved_state(void) {  // the registers that the system saves at a context switch
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low | (uint64_t)high << 32;
}

static int allow_amx(void) {  // Linux grants the matrix unit on request, once for a process
#ifdef __linux__
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
    return 0;
#endif
}

static int can_run(const char *name) {
    uint32_t a, b, c, d, b7, c7, d7, a71;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) return 0;  // OSXSAVE
    const uint64_t state = saved_state();
    const int fma = (c >> 12 & 1) && (c >> 29 & 1);  // and F16C, which every processor with AVX2 has
    if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7)) return 0;
    if (!__get_cpuid_count(7, 1, &a71, &b, &c, &d)) a71 = 0;
    const int avx2 = fma && (b7 >> 5 & 1) && (state & AVX_STATE) == AVX_STATE;
    const int avx512 = avx2 && (b7 >> 16 & 1) && (b7 >> 17 & 1) && (b7 >> 30 & 1) && (b7 >> 31 & 1) &&
                       (state & AVX512_STATE) == AVX512_STATE;  // F, DQ, BW, VL
    const int vnni = avx512 && (c7 >> 11 & 1), bf16 = vnni && (a71 >> 5 & 1);
    const int amx = bf16 && (d7 >> 22 & 1) && (d7 >> 24 & 1) && (d7 >> 25 & 1) && (state & AMX_STATE) == AMX_STATE;
    if (!strcmp(name, "avx2")) return avx2;
    if (!strcmp(name, "avx2_vnni")) return avx2 && (a71 >> 4 & 1);
    if (!strcmp(name, "avx512")) return avx512;
    if (!strcmp(name, "avx512_vnni")) return vnni;
    if (!strcmp(name, "avx512_bf16")) return bf16;
    return amx && allow_amx();
}

#elif defined(__aarch64__)
#define VARIANTS VARIANTS_ARM
#ifdef __APPLE__
#include <sys/sysctl.h>
static int has_feature(const char *name) {
    int value = 0;
    size_t size = sizeof value;
    return sysctlbyname(name, &value, &size, 0, 0) == 0 && value;
}
static int has_dot(void) { return has_feature("hw.optional.arm.FEAT_DotProd"); }
static int has_bf16(void) { return has_feature("hw.optional.arm.FEAT_BF16"); }
#else
#include <sys/auxv.h>
static int has_dot(void) { return getauxval(AT_HWCAP) >> 20 & 1; }    // HWCAP_ASIMDDP
static int has_bf16(void) { return getauxval(AT_HWCAP2) >> 14 & 1; }  // HWCAP2_BF16
#endif
static int can_run(const char *name) {
    if (!strcmp(name, "neon")) return 1;
    return has_dot() && (!strcmp(name, "neon_dot") || has_bf16());
}
#endif

#define DECLARE(NAME) extern const Variant elbert_##NAME;
VARIANTS(DECLARE)
#define ENTRY(NAME) {#NAME, &elbert_##NAME},
static const struct {
    const char *name;
    const Variant *variant;
} VARIANT_TABLE[] = {VARIANTS(ENTRY)};
enum { COUNT = sizeof VARIANT_TABLE / sizeof VARIANT_TABLE[0] };

// The name of variant i, from the oldest processors to the newest; NULL after the last.
EXPORT const char *elbert_variant_name(int i) { return i < 0 || i >= COUNT ? 0 : VARIANT_TABLE[i].name; }
EXPORT int elbert_variant_runs(int i) { return i >= 0 && i < COUNT && can_run(VARIANT_TABLE[i].name); }
EXPORT const Variant *elbert_variant(int i) { return elbert_variant_runs(i) ? VARIANT_TABLE[i].variant : 0; }
// The size of structure i of variant.h, in their order there; 0 after the last. A caller of another version does not fit.
EXPORT int elbert_size(int i) {
    static const int SIZES[] = {sizeof(Product), sizeof(Layer), sizeof(Embedding), sizeof(Head),
                                sizeof(Policy),  sizeof(Live),  sizeof(Variant),   sizeof(Refill), 0};
    return i < 0 || i > 8 ? 0 : SIZES[i];
}
