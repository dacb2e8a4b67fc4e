/* Matrix products C = A B' by dot products of rows, for products too small for BLAS.

   Both factors are contiguous along the common dimension. The gradient of a weight
   matrix is such a product: each entry is a sum over the rows of the batch. Four by
   four dot products go on at once, so each loaded vector is used four times. */

INLINE void FN(dot_tile)(const int rows, const int columns, int64_t depth, const T *a,
                         int64_t lda, const T *b, int64_t ldb, T *c, int64_t ldc,
                         bool add) {
    VEC sums[4][4];
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int j = 0; j < columns; j++) sums[i][j] = SPLAT((T)0);
    for (int64_t p = 0; p < depth; p += LANES) {
        VEC factors[4];
        UNROLL for (int j = 0; j < columns; j++) factors[j] = AT(b + j * ldb + p);
        UNROLL for (int i = 0; i < rows; i++) {
            VEC left = AT(a + i * lda + p);
            UNROLL for (int j = 0; j < columns; j++) sums[i][j] += left * factors[j];
        }
    }
    UNROLL for (int i = 0; i < rows; i++) {
        T *to = c + i * ldc, found[4];
        UNROLL for (int j = columns; j < 4; j++) sums[i][j] = sums[i][0];
        FN(four_sums)(sums[i][0], sums[i][1], sums[i][2], sums[i][3], found);
        UNROLL for (int j = 0; j < columns; j++)
            to[j] = add ? to[j] + found[j] : found[j];
    }
}

/* Rows of C, up to four; every size has its own loop, so that narrow layers too keep
   several sums going at once. */
INLINE void FN(dot_panel)(const int rows, int64_t n, int64_t depth, const T *a,
                          int64_t lda, const T *b, int64_t ldb, T *c, int64_t ldc,
                          bool add) {
    for (int64_t j = 0; j < n; j += 4, c += 4, b += 4 * ldb) {
        switch (n - j) {
            case 1: FN(dot_tile)(rows, 1, depth, a, lda, b, ldb, c, ldc, add); break;
            case 2: FN(dot_tile)(rows, 2, depth, a, lda, b, ldb, c, ldc, add); break;
            case 3: FN(dot_tile)(rows, 3, depth, a, lda, b, ldb, c, ldc, add); break;
            default: FN(dot_tile)(rows, 4, depth, a, lda, b, ldb, c, ldc, add);
        }
    }
}

/* C (m, n) = or += A (m, depth) B (n, depth)'; depth a multiple of PAD. */
static void FN(row_dot_products)(int64_t m, int64_t n, int64_t depth, const T *a,
                                 int64_t lda, const T *b, int64_t ldb, T *c,
                                 int64_t ldc, bool add) {
    for (int64_t i = 0; i < m; i += 4, a += 4 * lda, c += 4 * ldc) {
        switch (m - i) {
            case 1: FN(dot_panel)(1, n, depth, a, lda, b, ldb, c, ldc, add); break;
            case 2: FN(dot_panel)(2, n, depth, a, lda, b, ldb, c, ldc, add); break;
            case 3: FN(dot_panel)(3, n, depth, a, lda, b, ldb, c, ldc, add); break;
            default: FN(dot_panel)(4, n, depth, a, lda, b, ldb, c, ldc, add);
        }
    }
}
