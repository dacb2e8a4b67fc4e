/* Dispatch: which instruction set's kernel runs, chosen when the module is loaded.

   It is the best one that was built and that this processor and system support. */
#include <stddef.h>
#include <string.h>

#include "kernel_table.h"

extern const Kernel *const kernels_baseline[2];
#ifdef HAVE_AVX2
extern const Kernel *const kernels_avx2[2];
#endif
#ifdef HAVE_AVX512
extern const Kernel *const kernels_avx512[2];
#endif

static bool level_matches(const char *level, const char *name) {
    return level == NULL || strcmp(level, name) == 0;
}

const Kernel *choose_kernel(bool is_double, const char *level) {
#ifdef HAVE_AVX512
    if (level_matches(level, "avx512") && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd"))
        return kernels_avx512[is_double];
#endif
#ifdef HAVE_AVX2
    if (level_matches(level, "avx2") && __builtin_cpu_supports("avx2") &&
        __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
        return kernels_avx2[is_double];
#endif
    return level_matches(level, "baseline") ? kernels_baseline[is_double] : NULL;
}
