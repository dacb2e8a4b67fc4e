/* Short vectors, and the loops over them.

   Every buffer is padded to a multiple of PAD elements, so that no loop has a tail.
   With GCC and Clang `vec` is a hardware vector as wide as the instruction set has
   them; elsewhere it is one number and the same source still compiles. */

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

/* The statement for each i below n, a multiple of PAD: whole vectors for the compiler. */
#define EACH(i, n, ...)                                                                \
    for (int64_t block_ = 0; block_ < (n); block_ += PAD)                              \
        NO_OVERLAP for (int64_t i = block_; i < block_ + PAD; i++) {                   \
            __VA_ARGS__;                                                               \
        }
#define LANE(i) NO_OVERLAP for (int i = 0; i < PAD; i++)

INLINE T FN(lanes_sum)(VEC v) {
    T part[LANES];
    memcpy(part, &v, sizeof v);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++) part[l] += part[l + half];
    return part[0];
}

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector) && defined(VEC_BYTES)
#define HAS_SHUFFLE
#endif
#endif

/* The lane sums of four vectors at once: halved down to four lanes each, which are then
   added crosswise. Saves half the shuffles of four sums by themselves. */
#ifdef HAS_SHUFFLE
#pragma GCC diagnostic ignored "-Wpsabi" /* the quads never leave this file */
typedef T FN(quad) __attribute__((vector_size(4 * sizeof(T)), aligned(sizeof(T)), may_alias));

INLINE FN(quad) FN(to_quad)(VEC v) {
    FN(quad) parts[LANES > 4 ? LANES / 4 : 1] = {0};
    memcpy(parts, &v, sizeof v);
    UNROLL for (int half = LANES / 8; half > 0; half /= 2)
        UNROLL for (int q = 0; q < half; q++) parts[q] += parts[q + half];
    return parts[0];
}

INLINE void FN(four_sums)(VEC a, VEC b, VEC c, VEC d, T *sums) {
    FN(quad) p = FN(to_quad)(a), q = FN(to_quad)(b), r = FN(to_quad)(c),
             s = FN(to_quad)(d);
    FN(quad) low = __builtin_shufflevector(p, q, 0, 4, 1, 5) +
                   __builtin_shufflevector(p, q, 2, 6, 3, 7);
    FN(quad) high = __builtin_shufflevector(r, s, 0, 4, 1, 5) +
                    __builtin_shufflevector(r, s, 2, 6, 3, 7);
    FN(quad) all = __builtin_shufflevector(low, high, 0, 1, 4, 5) +
                   __builtin_shufflevector(low, high, 2, 3, 6, 7);
    memcpy(sums, &all, sizeof all);
}

/* Four numbers from each of four places, turned: to[k * step + i] = from[i][k]. */
INLINE void FN(turn_four)(const T *const *from, T *to, int64_t step) {
    FN(quad) p, q, r, s;
    memcpy(&p, from[0], sizeof p);
    memcpy(&q, from[1], sizeof p);
    memcpy(&r, from[2], sizeof p);
    memcpy(&s, from[3], sizeof p);
    FN(quad) a = __builtin_shufflevector(p, q, 0, 4, 1, 5),
             b = __builtin_shufflevector(p, q, 2, 6, 3, 7),
             c = __builtin_shufflevector(r, s, 0, 4, 1, 5),
             d = __builtin_shufflevector(r, s, 2, 6, 3, 7);
    FN(quad) turned[4] = {
        __builtin_shufflevector(a, c, 0, 1, 4, 5), __builtin_shufflevector(a, c, 2, 3, 6, 7),
        __builtin_shufflevector(b, d, 0, 1, 4, 5), __builtin_shufflevector(b, d, 2, 3, 6, 7),
    };
    UNROLL for (int k = 0; k < 4; k++) memcpy(to + k * step, &turned[k], sizeof p);
}
#else
INLINE void FN(turn_four)(const T *const *from, T *to, int64_t step) {
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 4; i++) to[k * step + i] = from[i][k];
}
INLINE void FN(four_sums)(VEC a, VEC b, VEC c, VEC d, T *sums) {
    sums[0] = FN(lanes_sum)(a);
    sums[1] = FN(lanes_sum)(b);
    sums[2] = FN(lanes_sum)(c);
    sums[3] = FN(lanes_sum)(d);
}
#endif

/* PAD rows of `width` numbers each, to `width` rows of PAD, `step` apart. */
static void FN(turn_rows)(const T *const *rows, int64_t width, T *to, int64_t step) {
    int64_t c = 0;
    for (; c + 4 <= width; c += 4)
        for (int l = 0; l < PAD; l += 4) {
            const T *four[4] = {rows[l] + c, rows[l + 1] + c, rows[l + 2] + c, rows[l + 3] + c};
            FN(turn_four)(four, to + c * step + l, step);
        }
    for (; c < width; c++)
        for (int l = 0; l < PAD; l++) to[c * step + l] = rows[l][c];
}

/* Sums over n elements, any n, in one order whatever the caller. */
static T FN(sum_squares)(const T *x, int64_t n) {
    VEC a = SPLAT((T)0), b = a;
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        VEC u = AT(x + i), v = AT(x + i + LANES);
        a += u * u;
        b += v * v;
    }
    T total = FN(lanes_sum)(a + b);
    for (; i < n; i++) total += x[i] * x[i];
    return total;
}

/* Sums of up to four rows, `ld` apart. */
static void FN(row_sums)(const T *x, int64_t ld, int64_t rows, int64_t n, T *sums) {
    VEC a = SPLAT((T)0), b = a, c = a, d = a;
    const T *second = x + (rows > 1 ? ld : 0), *third = x + (rows > 2 ? 2 * ld : 0),
            *fourth = x + (rows > 3 ? 3 * ld : 0);
    T found[4];
    for (int64_t i = 0; i < n; i += LANES) {
        a += AT(x + i);
        b += AT(second + i);
        c += AT(third + i);
        d += AT(fourth + i);
    }
    FN(four_sums)(a, b, c, d, found);
    for (int64_t k = 0; k < rows; k++) sums[k] = found[k];
}

static T FN(sum)(const T *x, int64_t n) {
    VEC a = SPLAT((T)0);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) a += AT(x + i);
    T total = FN(lanes_sum)(a);
    for (; i < n; i++) total += x[i];
    return total;
}

static T FN(dot)(const T *x, const T *y, int64_t n) {
    VEC a = SPLAT((T)0);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) a += AT(x + i) * AT(y + i);
    T total = FN(lanes_sum)(a);
    for (; i < n; i++) total += x[i] * y[i];
    return total;
}
