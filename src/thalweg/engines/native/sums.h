/* Sums and dot products of long arrays.

   Several partial sums are kept in the lanes of vectors and are added up at the end, in
   an order that depends on the length alone: the same numbers always give the same sum,
   whoever asks for it. */

INLINE T FN(lanes_sum)(VEC v) {
    T part[LANES];
    memcpy(part, &v, sizeof v);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++) part[l] += part[l + half];
    return part[0];
}

/* The lane sums of four vectors at once: each is halved down to four lanes, which are
   then added crosswise. That saves half the shuffles of four separate sums. */
#ifdef HAS_SHUFFLE
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
#else
INLINE void FN(four_sums)(VEC a, VEC b, VEC c, VEC d, T *sums) {
    sums[0] = FN(lanes_sum)(a);
    sums[1] = FN(lanes_sum)(b);
    sums[2] = FN(lanes_sum)(c);
    sums[3] = FN(lanes_sum)(d);
}
#endif

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
