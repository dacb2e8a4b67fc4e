/* Transposes: rows of numbers become columns.

   Data arrive row by row, but the layers compute feature by feature. The transpose is
   done in tiles of four by four, inside vector registers where the compiler can shuffle
   their lanes. */

#ifdef HAS_SHUFFLE
/* Four numbers from each of four places, transposed: to[k * step + i] = from[i][k]. */
INLINE void FN(transpose_4_by_4)(const T *const *from, T *to, int64_t step) {
    FN(quad) p, q, r, s;
    memcpy(&p, from[0], sizeof p);
    memcpy(&q, from[1], sizeof p);
    memcpy(&r, from[2], sizeof p);
    memcpy(&s, from[3], sizeof p);
    FN(quad) a = __builtin_shufflevector(p, q, 0, 4, 1, 5),
             b = __builtin_shufflevector(p, q, 2, 6, 3, 7),
             c = __builtin_shufflevector(r, s, 0, 4, 1, 5),
             d = __builtin_shufflevector(r, s, 2, 6, 3, 7);
    FN(quad) transposed[4] = {
        __builtin_shufflevector(a, c, 0, 1, 4, 5), __builtin_shufflevector(a, c, 2, 3, 6, 7),
        __builtin_shufflevector(b, d, 0, 1, 4, 5), __builtin_shufflevector(b, d, 2, 3, 6, 7),
    };
    UNROLL for (int k = 0; k < 4; k++) memcpy(to + k * step, &transposed[k], sizeof p);
}
#else
INLINE void FN(transpose_4_by_4)(const T *const *from, T *to, int64_t step) {
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 4; i++) to[k * step + i] = from[i][k];
}
#endif

/* PAD rows of `width` numbers each, to `width` rows of PAD, `step` apart. */
static void FN(transpose_rows)(const T *const *rows, int64_t width, T *to, int64_t step) {
    int64_t c = 0;
    for (; c + 4 <= width; c += 4)
        for (int l = 0; l < PAD; l += 4) {
            const T *four[4] = {rows[l] + c, rows[l + 1] + c, rows[l + 2] + c,
                                rows[l + 3] + c};
            FN(transpose_4_by_4)(four, to + c * step + l, step);
        }
    for (; c < width; c++)
        for (int l = 0; l < PAD; l++) to[c * step + l] = rows[l][c];
}
