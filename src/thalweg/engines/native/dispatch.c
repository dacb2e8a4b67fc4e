/* Which level's kernel runs: the best that this processor and system support. */
#include <stddef.h>
#include <string.h>

#include "dense.h"
#include "noise.h"

extern const Kernel *const kernels_baseline[2];
#ifdef HAVE_AVX2
extern const Kernel *const kernels_avx2[2];
#endif
#ifdef HAVE_AVX512
extern const Kernel *const kernels_avx512[2];
#endif

static bool wanted(const char *level, const char *name) {
    return level == NULL || strcmp(level, name) == 0;
}

/* NULL for a level that this build or this processor does not have. */
const Kernel *kernel_pick(bool is_double, const char *level) {
#ifdef HAVE_AVX512
    if (wanted(level, "avx512") && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd"))
        return kernels_avx512[is_double];
#endif
#ifdef HAVE_AVX2
    if (wanted(level, "avx2") && __builtin_cpu_supports("avx2") &&
        __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
        return kernels_avx2[is_double];
#endif
    return wanted(level, "baseline") ? kernels_baseline[is_double] : NULL;
}

void threefry(uint32_t key0, uint32_t key1, uint32_t *word0, uint32_t *word1) {
    threefry_words((Stream){key0, key1}, *word0, *word1, word0, word1);
}
