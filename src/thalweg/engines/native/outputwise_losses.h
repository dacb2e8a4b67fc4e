/* Losses that are a sum of one formula over the outputs of a row.

   The macro writes the loop over outputs and rows around a formula of the loss and one
   of its slope, in which z is the output, y the target, e the error z - y, and c the
   loss's constant. */

#define OUTPUTWISE(NAME, LOSS, SLOPE)                                                  \
    static void FN(NAME)(FN(LossRows) *s) {                                            \
        const T c = s->constant, *share = s->share;                                    \
        const bool variant = s->variant;                                               \
        const T n = (T)s->n;                                                           \
        T *loss = s->loss, target[PAD];                                                \
        (void)c, (void)variant, (void)n;                                               \
        for (int64_t k = 0; k < s->n; k++) {                                           \
            const T *outputs = s->z + k * s->ld;                                       \
            T *d = s->d + k * s->ld;                                                   \
            FN(load_targets)(s, k, target);                                            \
            LANE(i) {                                                                  \
                T z = outputs[i], y = target[i], e = z - y;                            \
                (void)e;                                                               \
                loss[i] += LOSS;                                                       \
                d[i] = share[i] * (SLOPE);                                             \
            }                                                                          \
        }                                                                              \
    }

INLINE T FN(minimum)(T a, T b) { return a > b ? b : a; }

INLINE T FN(binary_loss)(bool variant, T z, T y) {
    T p = FN(logistic)(z);
    T clipped = -FN(clipped_log)(y, p) - FN(clipped_log)(1 - y, 1 - p);
    return variant ? clipped : FN(softplus)(z) - y * z;
}

OUTPUTWISE(squared, e * e / (variant ? 2 * n : 2), e)
OUTPUTWISE(absolute, FN(abs)(e), e > 0 ? 1 : (e < 0 ? -1 : (e == 0 ? c : e)))
OUTPUTWISE(binary_cross_entropy, FN(binary_loss)(variant, z, (1 - c) * y + c / 2),
           FN(logistic)(z) - ((1 - c) * y + c / 2))
OUTPUTWISE(huber,
           FN(minimum)(FN(abs)(e), c) * (FN(abs)(e) - FN(minimum)(FN(abs)(e), c) / 2),
           FN(clip)(e, -c, c))
OUTPUTWISE(log_cosh,
           FN(abs)(e) + FN(log1p_unit)(FN(exp)(-2 * FN(abs)(e))) -
               (T)0.69314718055994530942,
           FN(tanh)(e))
/* e is z - y, where the usual formula has y - z. */
OUTPUTWISE(quantile, e <= 0 ? -c * e : (1 - c) * e,
           e > 0 ? 1 - c : (e < 0 ? -c : e))
OUTPUTWISE(poisson,
           FN(exp)(z) - y - y * z + (y == 0 ? 0 : y * FN(log)(y)), FN(exp)(z) - y)
#undef OUTPUTWISE
