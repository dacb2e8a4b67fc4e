/* Matrix products: SciPy's BLAS for large ones, register-blocked loops for small ones.

   Activations lie feature by feature: a matrix of (features, rows) whose rows of the
   batch are contiguous and padded to whole vectors. So every loop here runs over full
   vectors of the batch's rows, however narrow a layer is: three hidden units cost three
   vectors, and no product needs a tail. A weight matrix is read by its two strides,
   transposed or not. Its gradient, where a layer is wide enough, is the same loop over
   vectors of units, for which slopes are turned row by row; else sums along the rows.

   Which of the two computes a product depends on its shape alone, never on the number
   of workers. */

/* Multiply-adds up to which the loops are faster than a BLAS call: measured, against
   OpenBLAS 0.3.30 on Zen 4. A call packs both factors anew, which a training step's
   products, a hundred rows thin, do not earn back; ours need no packing, because every
   buffer lies as the loops read it. */
#ifndef SMALL_PRODUCT
#if defined(__AVX512F__)
#define SMALL_PRODUCT INT64_C(4000000000)
#elif defined(__AVX2__)
#define SMALL_PRODUCT 60000000
#else
#define SMALL_PRODUCT 1600000
#endif
#endif

#if defined(__AVX512F__)
#define TILE_ROWS 6
#define TILE_VECS 4
#elif defined(__AVX__)
#define TILE_ROWS 6
#define TILE_VECS 2
#else
#define TILE_ROWS 6
#define TILE_VECS 2
#endif

/* Depth of the factors that is worked off at once. */
#ifndef SLAB
#define SLAB 256
#endif

/* A matrix read by strides: element (i, p) is at data[i * down + p * across]. */
typedef struct {
    const T *data;
    int64_t down, across;
} FN(Strided);

/* The first numbers of a vector, where no more than these may be touched. */
INLINE VEC FN(part_of)(const T *from, int64_t n) {
    VEC part = SPLAT((T)0);
    if (n == LANES) return AT(from);
    memcpy(&part, from, (size_t)n * sizeof(T));
    return part;
}

static void FN(put_part)(T *to, int64_t n, VEC whole) {
    memcpy(to, &whole, (size_t)n * sizeof(T));
}

/* One tile of C; of its last vector, `last` lanes are written. */
INLINE void FN(tile)(const int rows, const int vecs, int64_t last, int64_t depth,
                     FN(Strided) a, const T *b, int64_t ldb, T *c, int64_t ldc,
                     bool add) {
    VEC sums[TILE_ROWS][TILE_VECS];
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int v = 0; v < vecs; v++)
            {
            T *at = c + i * ldc + v * LANES;
            sums[i][v] = SPLAT((T)0);
            if (add) sums[i][v] = v < vecs - 1 ? AT(at) : FN(part_of)(at, last);
        }
    for (int64_t p = 0; p < depth; p++) {
        VEC factors[TILE_VECS];
        UNROLL for (int v = 0; v < vecs; v++) factors[v] = AT(b + p * ldb + v * LANES);
        const T *column = a.data + p * a.across;
        UNROLL for (int i = 0; i < rows; i++) {
            VEC broadcast = SPLAT(column[i * a.down]);
            UNROLL for (int v = 0; v < vecs; v++) sums[i][v] += broadcast * factors[v];
        }
    }
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int v = 0; v < vecs; v++)
            {
            T *at = c + i * ldc + v * LANES;
            if (v < vecs - 1 || last == LANES)
                AT(at) = sums[i][v];
            else
                FN(put_part)(at, last, sums[i][v]);
        }
}

/* All rows of C, `vecs` vectors wide. */
INLINE void FN(panel)(const int vecs, int64_t last, int64_t m, int64_t depth,
                      FN(Strided) a, const T *b, int64_t ldb, T *c, int64_t ldc,
                      bool add) {
    int64_t i = 0;
    for (; i + TILE_ROWS <= m; i += TILE_ROWS, a.data += TILE_ROWS * a.down)
        FN(tile)(TILE_ROWS, vecs, last, depth, a, b, ldb, c + i * ldc, ldc, add);
    c += i * ldc;
    switch (m - i) {
        case 1: FN(tile)(1, vecs, last, depth, a, b, ldb, c, ldc, add); break;
        case 2: FN(tile)(2, vecs, last, depth, a, b, ldb, c, ldc, add); break;
        case 3: FN(tile)(3, vecs, last, depth, a, b, ldb, c, ldc, add); break;
        case 4: FN(tile)(4, vecs, last, depth, a, b, ldb, c, ldc, add); break;
        case 5: FN(tile)(5, vecs, last, depth, a, b, ldb, c, ldc, add); break;
        default: break;
    }
}

/* C (m, n) = or += A (m, depth) B (depth, n), a slab of the depth at a time, so that
   what is read again and again stays near. Whole vectors of B's rows are read. */
static void FN(small_product)(int64_t m, int64_t n, int64_t depth, FN(Strided) a,
                              const T *b, int64_t ldb, T *c, int64_t ldc, bool add) {
    const int64_t width = TILE_VECS * LANES;
    for (int64_t p = 0; p < depth; p += SLAB, add = true) {
        FN(Strided) slab = {a.data + p * a.across, a.down, a.across};
        int64_t deep = depth - p < SLAB ? depth - p : SLAB;
        const T *from = b + p * ldb;
        for (int64_t j = 0; j < n; j += width) {
            int64_t left = n - j < width ? n - j : width, vecs = (left + LANES - 1) / LANES;
            int64_t last = left - (vecs - 1) * LANES;
            const T *bj = from + j;
            T *cj = c + j;
            switch (vecs) {
                case 1: FN(panel)(1, last, m, deep, slab, bj, ldb, cj, ldc, add); break;
#if TILE_VECS > 2
                case 2: FN(panel)(2, last, m, deep, slab, bj, ldb, cj, ldc, add); break;
                case 3: FN(panel)(3, last, m, deep, slab, bj, ldb, cj, ldc, add); break;
#endif
                default:
                    FN(panel)(TILE_VECS, last, m, deep, slab, bj, ldb, cj, ldc, add);
            }
        }
    }
}

INLINE void FN(dots)(const int rows, const int columns, int64_t depth, const T *a,
                     int64_t lda, const T *b, int64_t ldb, T *c, int64_t ldc, bool add) {
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
        UNROLL for (int j = 0; j < columns; j++) to[j] = add ? to[j] + found[j] : found[j];
    }
}

/* Rows of C, up to four; every size has its own loop, so that narrow layers too keep
   several sums going at once. */
INLINE void FN(dot_rows)(const int rows, int64_t n, int64_t depth, const T *a,
                         int64_t lda, const T *b, int64_t ldb, T *c, int64_t ldc,
                         bool add) {
    for (int64_t j = 0; j < n; j += 4, c += 4, b += 4 * ldb) {
        switch (n - j) {
            case 1: FN(dots)(rows, 1, depth, a, lda, b, ldb, c, ldc, add); break;
            case 2: FN(dots)(rows, 2, depth, a, lda, b, ldb, c, ldc, add); break;
            case 3: FN(dots)(rows, 3, depth, a, lda, b, ldb, c, ldc, add); break;
            default: FN(dots)(rows, 4, depth, a, lda, b, ldb, c, ldc, add);
        }
    }
}

/* C (m, n) = or += A (m, depth) B (n, depth)'; depth a multiple of PAD. */
static void FN(small_dots)(int64_t m, int64_t n, int64_t depth, const T *a, int64_t lda,
                           const T *b, int64_t ldb, T *c, int64_t ldc, bool add) {
    for (int64_t i = 0; i < m; i += 4, a += 4 * lda, c += 4 * ldc) {
        switch (m - i) {
            case 1: FN(dot_rows)(1, n, depth, a, lda, b, ldb, c, ldc, add); break;
            case 2: FN(dot_rows)(2, n, depth, a, lda, b, ldb, c, ldc, add); break;
            case 3: FN(dot_rows)(3, n, depth, a, lda, b, ldb, c, ldc, add); break;
            default: FN(dot_rows)(4, n, depth, a, lda, b, ldb, c, ldc, add);
        }
    }
}

/* A matrix for BLAS: row-major, `transposed` if the product reads it so. */
typedef struct {
    const T *data;
    int64_t ld;
    bool transposed;
} FN(Matrix);

/* C (m, n) = or += op(A) (m, depth) op(B) (depth, n), all row-major. Fortran sees the
   transposes, so the factors change places. */
static void FN(blas_product)(BlasGemm gemm, int64_t m, int64_t n, int64_t depth,
                             FN(Matrix) a, FN(Matrix) b, T *c, int64_t ldc, bool add) {
    int rows = (int)n, columns = (int)m, inner = (int)depth;
    int lda = (int)b.ld, ldb = (int)a.ld, ld = (int)ldc;
    T one = 1, beta = add ? 1 : 0;
    gemm(b.transposed ? "T" : "N", a.transposed ? "T" : "N", &rows, &columns, &inner,
         &one, (void *)b.data, &lda, (void *)a.data, &ldb, &beta, c, &ld);
}

static bool FN(is_small)(int64_t m, int64_t n, int64_t depth) {
    return m * n * depth <= SMALL_PRODUCT;
}
