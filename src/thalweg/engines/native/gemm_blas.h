/* Matrix products by SciPy's BLAS, and which products are left to it.

   The kernel's own loops (gemm_blocked.h, gemm_dots.h) compute small products, and BLAS
   large ones. Which of them computes a product depends on its shape alone, never on the
   number of threads, so that the result does not depend on that number either. */

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

static bool FN(is_small_product)(int64_t m, int64_t n, int64_t depth) {
    return m * n * depth <= SMALL_PRODUCT;
}
