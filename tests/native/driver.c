// Runs the library outside Python, so that an emulator of another processor can run it.
//
//   driver                        lists the variants: name, whether it runs here, `zero`, `halves`
//   driver VARIANT IMAGE CALL     reads the file IMAGE to ADDRESS, makes the call that is at CALL in it, writes the file
//
// Every address in the image is one of that memory, so the structs are those that Python passes to the library.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _WIN32
#include <windows.h>
#else
#include <sys/mman.h>
#endif

#include "variant.h"

#define ADDRESS 0x1000000000

const char *elbert_variant_name(int i);
int elbert_variant_runs(int i);
const Variant *elbert_variant(int i);

enum { ARGUMENTS = 14, STEP = 0 };

typedef struct {
    Long function, code, arguments[ARGUMENTS];  // STEP or embed; a function takes as many as it has
} Call;

// Addresses and numbers alike are passed in words of 64 bits, on both processor families.
typedef int (*Function)(Long, Long, Long, Long, Long, Long, Long, Long, Long, Long, Long, Long, Long, Long);

static char *reserve(size_t size) {
#ifdef _WIN32
    return VirtualAlloc((void *)ADDRESS, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
#else
    return mmap((void *)ADDRESS, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
#endif
}

int main(int count, char **arguments) {
    if (count == 1) {
        for (int i = 0; elbert_variant_name(i); i++) {
            const Variant *found = elbert_variant(i);
            printf("%s %d %d %d\n", elbert_variant_name(i), elbert_variant_runs(i), found ? found->zero : -1,
                   found ? found->halves : -1);
        }
        return 0;
    }
    FILE *file = fopen(arguments[2], "r+b");
    if (!file || fseek(file, 0, SEEK_END)) return 3;
    const size_t size = ftell(file);
    char *image = reserve(size);
    if (image != (char *)ADDRESS) return 4;
    rewind(file);
    if (fread(image, 1, size, file) != size) return 3;
    Call *call = (Call *)(image + atoll(arguments[3]));
    for (int i = 0; elbert_variant_name(i); i++)
        if (!strcmp(elbert_variant_name(i), arguments[1])) {
            const Variant *found = elbert_variant(i);
            if (!found) return 5;
            const Long *a = call->arguments;
            const Function run = call->function == STEP ? (Function)found->step : (Function)found->embed;
            call->code = run(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13]);
            rewind(file);
            return fwrite(image, 1, size, file) == size && !fclose(file) ? 0 : 3;
        }
    return 6;
}
