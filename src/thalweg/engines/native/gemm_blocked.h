/* Matrix products C = A B by register-blocked loops, for products too small for BLAS.

   A tile of C, a few rows by a few vectors, stays in registers while the products along
   the common dimension are added to it. B's rows must be contiguous and padded to whole
   vectors, which the kernel's buffers are: activations lie feature by feature, with the
   rows of the batch side by side. So every loop runs over full vectors of the batch's
   rows, however narrow a layer is: three hidden units cost three vectors, and no loop
   needs a remainder. A is read by its two strides, so it may be transposed. */

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

/* Length of the common dimension that is multiplied at once: what is read again and
   again then stays in the cache. */
#ifndef SLAB
#define SLAB 256
#endif

/* A matrix read by strides: element (i, p) is at data[i * down + p * across]. */
typedef struct {
    const T *data;
    int64_t down, across;
} FN(Strided);

/* The first numbers of a vector, where no more than these may be touched. */
INLINE VEC FN(load_partial)(const T *from, int64_t n) {
    VEC part = SPLAT((T)0);
    if (n == LANES) return AT(from);
    memcpy(&part, from, (size_t)n * sizeof(T));
    return part;
}

static void FN(store_partial)(T *to, int64_t n, VEC whole) {
    memcpy(to, &whole, (size_t)n * sizeof(T));
}

/* One tile of C; of its last vector, `last` lanes are written. */
INLINE void FN(multiply_tile)(const int rows, const int vecs, int64_t last,
                              int64_t depth, FN(Strided) a, const T *b, int64_t ldb,
                              T *c, int64_t ldc, bool add) {
    VEC sums[TILE_ROWS][TILE_VECS];
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int v = 0; v < vecs; v++)
            {
            T *at = c + i * ldc + v * LANES;
            sums[i][v] = SPLAT((T)0);
            if (add) sums[i][v] = v < vecs - 1 ? AT(at) : FN(load_partial)(at, last);
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
                FN(store_partial)(at, last, sums[i][v]);
        }
}

/* All rows of C, `vecs` vectors wide. */
INLINE void FN(multiply_panel)(const int vecs, int64_t last, int64_t m, int64_t depth,
                               FN(Strided) a, const T *b, int64_t ldb, T *c,
                               int64_t ldc, bool add) {
    int64_t i = 0;
    for (; i + TILE_ROWS <= m; i += TILE_ROWS, a.data += TILE_ROWS * a.down)
        FN(multiply_tile)(TILE_ROWS, vecs, last, depth, a, b, ldb, c + i * ldc, ldc,
                          add);
    c += i * ldc;
    switch (m - i) {
        case 1: FN(multiply_tile)(1, vecs, last, depth, a, b, ldb, c, ldc, add); break;
        case 2: FN(multiply_tile)(2, vecs, last, depth, a, b, ldb, c, ldc, add); break;
        case 3: FN(multiply_tile)(3, vecs, last, depth, a, b, ldb, c, ldc, add); break;
        case 4: FN(multiply_tile)(4, vecs, last, depth, a, b, ldb, c, ldc, add); break;
        case 5: FN(multiply_tile)(5, vecs, last, depth, a, b, ldb, c, ldc, add); break;
        default: break;
    }
}

/* C (m, n) = or += A (m, depth) B (depth, n), a slab of the depth at a time. Whole
   vectors of B's rows are read. */
static void FN(blocked_product)(int64_t m, int64_t n, int64_t depth, FN(Strided) a,
                                const T *b, int64_t ldb, T *c, int64_t ldc, bool add) {
    const int64_t width = TILE_VECS * LANES;
    for (int64_t p = 0; p < depth; p += SLAB, add = true) {
        FN(Strided) slab = {a.data + p * a.across, a.down, a.across};
        int64_t deep = depth - p < SLAB ? depth - p : SLAB;
        const T *from = b + p * ldb;
        for (int64_t j = 0; j < n; j += width) {
            int64_t left = n - j < width ? n - j : width;
            int64_t vecs = (left + LANES - 1) / LANES;
            int64_t last = left - (vecs - 1) * LANES;
            const T *bj = from + j;
            T *cj = c + j;
            switch (vecs) {
                case 1:
                    FN(multiply_panel)(1, last, m, deep, slab, bj, ldb, cj, ldc, add);
                    break;
#if TILE_VECS > 2
                case 2:
                    FN(multiply_panel)(2, last, m, deep, slab, bj, ldb, cj, ldc, add);
                    break;
                case 3:
                    FN(multiply_panel)(3, last, m, deep, slab, bj, ldb, cj, ldc, add);
                    break;
#endif
                default:
                    FN(multiply_panel)(TILE_VECS, last, m, deep, slab, bj, ldb, cj, ldc,
                                       add);
            }
        }
    }
}
