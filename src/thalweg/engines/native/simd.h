/* Short vectors (SIMD), and the loops over them.

   Every buffer is padded to a multiple of PAD elements, so that no loop needs a
   remainder. With GCC and Clang `vec` is a hardware vector as wide as the instruction
   set has them; elsewhere it is one number, and the same source still compiles. */

#if defined(__GNUC__) && !defined(THALWEG_PLAIN)
#if defined(__AVX512F__)
#define VEC_BYTES 64
#elif defined(__AVX__)
#define VEC_BYTES 32
#else
#define VEC_BYTES 16
#endif
typedef T FN(vec) __attribute__((vector_size(VEC_BYTES), aligned(sizeof(T)), may_alias));
#define LANES ((int)(VEC_BYTES / sizeof(T)))
#define SPLAT(x) ((x) - (VEC){0})
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")
#else
typedef T FN(vec);
#define LANES 1
#define SPLAT(x) (x)
#define INLINE static inline
#define UNROLL
#endif
#define VEC FN(vec)
#define AT(pointer) (*(VEC *)(pointer))

/* Arrays in one loop are the same array or apart, never shifted against each other. */
#if defined(__clang__)
#define NO_OVERLAP _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define NO_OVERLAP _Pragma("GCC ivdep") _Pragma("GCC unroll 1")
#else
#define NO_OVERLAP
#endif

/* The statement for each i below n, which is a multiple of PAD: the compiler can make
   whole vectors of it. LANE does the same for PAD numbers alone. */
#define EACH(i, n, ...)                                                                \
    for (int64_t block_ = 0; block_ < (n); block_ += PAD)                              \
        NO_OVERLAP for (int64_t i = block_; i < block_ + PAD; i++) {                   \
            __VA_ARGS__;                                                               \
        }
#define LANE(i) NO_OVERLAP for (int i = 0; i < PAD; i++)

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector) && defined(VEC_BYTES)
#define HAS_SHUFFLE
#endif
#endif

/* Four numbers, for steps in which the lanes of several vectors are exchanged. */
#ifdef HAS_SHUFFLE
#pragma GCC diagnostic ignored "-Wpsabi" /* no function of this type is exported */
typedef T FN(quad)
    __attribute__((vector_size(4 * sizeof(T)), aligned(sizeof(T)), may_alias));
#endif
