/* Activations and their slopes, for one unit's values in the rows of a chunk.

   A slope is taken from the output where that is enough, otherwise from the kept
   pre-activation. At a kink it is what automatic differentiation of the JAX engine's
   formula gives: halfway between the two sides for a clip, for instance. */

#define SELU_ALPHA ((T)1.6732632423543772848170429916717)
#define SELU_SCALE ((T)1.0507009873554804934193349852946)
#define ROOT_HALF ((T)0.70710678118654752440)
#define GAUSS_PEAK ((T)0.39894228040143267794) /* 1 / sqrt(2 pi) */

/* Whether the slope needs the pre-activation; otherwise the output is enough. */
static bool FN(activation_needs_input)(int kind) {
    return kind != IDENTITY && kind != LOGISTIC && kind != TANH && kind != RELU &&
           kind != SELU;
}

INLINE T FN(clip)(T x, T low, T high) {
    x = x < low ? low : x;
    return x > high ? high : x;
}

/* Slope of a clip between `low` and `high`. */
INLINE T FN(clip_slope)(T x, T low, T high) {
    T above = x > low ? (T)1 : (x == low ? (T)0.5 : (T)0);
    T below = x < high ? (T)1 : (x == high ? (T)0.5 : (T)0);
    return above * below;
}

INLINE T FN(expm1_below)(T x) { return FN(expm1_negative)(x > 0 ? 0 : x); }

INLINE T FN(mish_factor)(T x) {
    /* tanh(log(1 + e)) = (e² + 2e) / (e² + 2e + 2), and 1 beyond rounding. */
    T e = FN(exp)(x > 20 ? 20 : x), w = e * (e + 2);
    return w / (w + 2);
}

#define APPLY(KIND, FORMULA)                                                           \
    case KIND:                                                                         \
        EACH(i, n, T x = z[i] + b; a[i] = FORMULA);                                    \
        break

/* a = activation(z + b), n a multiple of PAD. */
static void FN(activation_forward)(int kind, T c, int64_t n, const T *z, T b, T *a) {
    switch (kind) {
        APPLY(IDENTITY, x);
        APPLY(LOGISTIC, FN(logistic)(x));
        APPLY(TANH, FN(tanh)(x));
        APPLY(RELU, x <= 0 ? 0 : x);
        APPLY(LEAKY_RELU, x >= 0 ? x : c * x);
        APPLY(ELU, x > 0 ? x : c * FN(expm1_below)(x));
        APPLY(SELU, SELU_SCALE * (x > 0 ? x : SELU_ALPHA * FN(expm1_below)(x)));
        APPLY(GELU, x * ((T)0.5 * ERFC(-x * ROOT_HALF)));
        APPLY(SILU, x * FN(logistic)(x));
        APPLY(MISH, x * FN(mish_factor)(x));
        APPLY(SOFTPLUS, FN(softplus)(x));
        APPLY(SOFTSIGN, x / (1 + FN(abs)(x)));
        APPLY(HARD_LOGISTIC, FN(clip)(x / 6 + (T)0.5, 0, 1));
        APPLY(HARD_TANH, FN(clip)(x, -1, 1));
        APPLY(HARD_SILU, x * FN(clip)(x / 6 + (T)0.5, 0, 1));
        APPLY(RELU6, FN(clip)(x, 0, 6));
    }
}

INLINE T FN(mish_slope)(T x) {
    T f = FN(mish_factor)(x);
    return f + x * (1 - f * f) * FN(logistic)(x);
}

INLINE T FN(silu_slope)(T x) {
    T s = FN(logistic)(x);
    return s + x * s * (1 - s);
}

INLINE T FN(gelu_slope)(T x) {
    return (T)0.5 * ERFC(-x * ROOT_HALF) + x * GAUSS_PEAK * FN(exp)(-x * x / 2);
}

INLINE T FN(elu_slope)(T x, T c) {
    T below = c * FN(exp)(x > 0 ? 0 : x);
    return x > 0 ? 1 : (x == 0 ? below / 2 : below);
}

INLINE T FN(hard_silu_slope)(T x) {
    T inner = x / 6 + (T)0.5;
    return FN(clip)(inner, 0, 1) + x * (FN(clip_slope)(inner, 0, 1) / 6);
}

#define SLOPE(KIND, FORMULA)                                                           \
    case KIND:                                                                         \
        EACH(i, n, T x = z[i]; (void)x; d[i] *= FORMULA);                              \
        break

/* d *= slope; z is the pre-activation where it was kept, otherwise a again. */
static void FN(activation_backward)(int kind, T c, int64_t n, const T *z, const T *a,
                                    T *d) {
    switch (kind) {
        SLOPE(LOGISTIC, a[i] * (1 - a[i]));
        SLOPE(TANH, 1 - a[i] * a[i]);
        SLOPE(LEAKY_RELU, x >= 0 ? 1 : c);
        SLOPE(ELU, FN(elu_slope)(x, c));
        SLOPE(SELU, a[i] > 0 ? SELU_SCALE : a[i] + SELU_SCALE * SELU_ALPHA);
        SLOPE(GELU, FN(gelu_slope)(x));
        SLOPE(SILU, FN(silu_slope)(x));
        SLOPE(MISH, FN(mish_slope)(x));
        SLOPE(SOFTPLUS, FN(logistic)(x));
        SLOPE(SOFTSIGN, 1 / ((1 + FN(abs)(x)) * (1 + FN(abs)(x))));
        SLOPE(HARD_LOGISTIC, FN(clip_slope)(x / 6 + (T)0.5, 0, 1) / 6);
        SLOPE(HARD_TANH, FN(clip_slope)(x, -1, 1));
        SLOPE(HARD_SILU, FN(hard_silu_slope)(x));
        SLOPE(RELU6, FN(clip_slope)(x, 0, 6));
        case RELU:
            /* A choice, not a product: 0 times infinity would be NaN. */
            EACH(i, n, d[i] = a[i] > 0 ? d[i] : 0);
            break;
        default:
            break;
    }
}
#undef APPLY
#undef SLOPE
