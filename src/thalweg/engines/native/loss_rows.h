/* What a loss function is given: sixteen rows of outputs and their targets.

   Output k of row i is at z[k * ld + i], and the targets lie the same way, unless they
   are class numbers. A loss function adds each row's loss to `loss` and writes the
   slope by each output, times the row's share of the batch's loss, to `d`. The formulas
   are those of `thalweg.core.losses.LOSSES`; at kinks the slopes are what JAX's automatic
   differentiation gives. */

typedef struct {
    int64_t n, ld;
    const T *z, *targets;
    const int32_t *classes;
    const T *share; /* of the row in the batch's loss */
    T constant;
    bool variant; /* scikit-learn's value: clipped, or averaged over outputs */
    T *d, *loss;
} FN(LossRows);

#if REAL_BITS == 64
#define EPSILON ((T)0x1p-52)
#else
#define EPSILON ((T)0x1p-23)
#endif

/* y log p with p clipped; 0 log 0 is 0. */
INLINE T FN(clipped_log)(T y, T p) {
    T term = y * FN(log)(FN(clip)(p, EPSILON, 1 - EPSILON));
    return y == 0 && p == p ? 0 : term;
}

/* Targets of output k for the block's rows. */
INLINE void FN(load_targets)(const FN(LossRows) *s, int64_t k, T *y) {
    if (s->classes != NULL) {
        LANE(i) y[i] = s->classes[i] == (int32_t)k ? 1 : 0;
    } else {
        const T *targets = s->targets + k * s->ld;
        LANE(i) y[i] = targets[i];
    }
}

INLINE T FN(target_of)(const FN(LossRows) *s, int64_t k, int i) {
    if (s->classes != NULL) return s->classes[i] == (int32_t)k ? 1 : 0;
    return s->targets[k * s->ld + i];
}
