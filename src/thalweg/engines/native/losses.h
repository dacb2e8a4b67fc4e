/* Losses and their slopes, sixteen rows at a time across all outputs.

   Each function is given the outputs z of a block of PAD rows (output k of row i at
   z[k * ld + i]) and the targets the same way. It adds each row's loss to `loss` and
   writes the slope times the row's share to `d`. The formulas are in
   `thalweg.plan.LOSSES`; at kinks they do what JAX's differentiation does. */

typedef struct {
    int64_t n, ld;
    const T *z, *targets;
    const int32_t *classes;
    const T *share; /* of the row in the batch's loss */
    T constant;
    bool variant; /* scikit-learn's value: clipped, or averaged over outputs */
    T *d, *loss;
} FN(Scored);

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
INLINE void FN(take_targets)(const FN(Scored) *s, int64_t k, T *y) {
    if (s->classes != NULL) {
        LANE(i) y[i] = s->classes[i] == (int32_t)k ? 1 : 0;
    } else {
        const T *targets = s->targets + k * s->ld;
        LANE(i) y[i] = targets[i];
    }
}

/* exp(z - top) into d; the top and the sum of these for each row. */
static void FN(exponentials)(FN(Scored) *s, T *top, T *sum) {
    LANE(i) top[i] = s->z[i];
    for (int64_t k = 1; k < s->n; k++) {
        const T *z = s->z + k * s->ld;
        /* A NaN stays on top: it compares false. */
        LANE(i) top[i] = z[i] <= top[i] ? top[i] : (top[i] != top[i] ? top[i] : z[i]);
    }
    LANE(i) sum[i] = 0;
    for (int64_t k = 0; k < s->n; k++) {
        const T *z = s->z + k * s->ld;
        T *d = s->d + k * s->ld;
        LANE(i) {
            T e = FN(exp_negative)(z[i] - top[i]);
            d[i] = e;
            sum[i] += e;
        }
    }
}

/* Class numbers, nothing spread over the others: targets need no arithmetic. */
static void FN(cross_entropy_of_classes)(FN(Scored) *s) {
    T top[PAD], sum[PAD], log_sum[PAD], loss[PAD] = {0};
    const T *share = s->share;
    FN(exponentials)(s, top, sum);
    /* The sum is at least 1, or NaN. */
    LANE(i) log_sum[i] = sum[i] == sum[i] ? FN(log_normal)(sum[i], 0) : sum[i];
    for (int64_t k = 0; k < s->n; k++) {
        const T *z = s->z + k * s->ld;
        LANE(i) loss[i] -= (s->classes[i] == (int32_t)k ? 1 : (T)0) * ((z[i] - top[i]) - log_sum[i]);
    }
    LANE(i) s->loss[i] += loss[i];
    LANE(i) sum[i] = 1 / sum[i];
    for (int64_t k = 0; k < s->n; k++) {
        T *d = s->d + k * s->ld;
        LANE(i) d[i] = share[i] * (d[i] * sum[i] - (s->classes[i] == (int32_t)k ? 1 : (T)0));
    }
}

static void FN(cross_entropy)(FN(Scored) *s) {
    T y[PAD], top[PAD], sum[PAD], log_sum[PAD], total[PAD] = {0}, loss[PAD] = {0};
    T chosen[PAD] = {0};
    bool one_hot = s->classes != NULL && s->constant == 0; /* then one logarithm a row */
    T keep = 1 - s->constant, spread = s->constant / (T)s->n;
    const T *share = s->share;
    if (one_hot && !s->variant) {
        FN(cross_entropy_of_classes)(s);
        return;
    }
    FN(exponentials)(s, top, sum);
    LANE(i) log_sum[i] = FN(log)(sum[i]);
    for (int64_t k = 0; k < s->n; k++) {
        const T *z = s->z + k * s->ld, *e = s->d + k * s->ld;
        FN(take_targets)(s, k, y);
        LANE(i) y[i] = keep * y[i] + spread;
        LANE(i) total[i] += y[i];
        if (s->variant && one_hot)
            LANE(i) chosen[i] += y[i] * (e[i] / sum[i]);
        else if (s->variant)
            LANE(i) loss[i] -= FN(clipped_log)(y[i], e[i] / sum[i]);
        else
            LANE(i) loss[i] -= y[i] * ((z[i] - top[i]) - log_sum[i]);
    }
    if (s->variant && one_hot) LANE(i) loss[i] = -FN(clipped_log)(total[i], chosen[i]);
    LANE(i) s->loss[i] += loss[i];
    LANE(i) sum[i] = total[i] / sum[i];
    for (int64_t k = 0; k < s->n; k++) {
        T *d = s->d + k * s->ld;
        FN(take_targets)(s, k, y);
        LANE(i) d[i] = share[i] * (d[i] * sum[i] - (keep * y[i] + spread));
    }
}

INLINE T FN(target)(const FN(Scored) *s, int64_t k, int i) {
    if (s->classes != NULL) return s->classes[i] == (int32_t)k ? 1 : 0;
    return s->targets[k * s->ld + i];
}

/* Loss -sum y r^g log p with r = 1 - p; its slope by log p_k, then by z. */
static void FN(focal)(FN(Scored) *s) {
    T top[PAD], sum[PAD], total[PAD] = {0}, g = s->constant;
    FN(exponentials)(s, top, sum);
    for (int64_t k = 0; k < s->n; k++)
        LANE(i) s->d[k * s->ld + i] = (s->z[k * s->ld + i] - top[i]) - FN(log)(sum[i]);
    for (int pass = 0; pass < 2; pass++)
        for (int64_t k = 0; k < s->n; k++)
            for (int i = 0; i < PAD; i++) {
                T log_p = s->d[k * s->ld + i], y = FN(target)(s, k, i);
                T rest = -FN(expm1_negative)(log_p), p = FN(exp)(log_p);
                bool apart = !(rest < SMALLEST_NORMAL);
                rest = apart ? rest : SMALLEST_NORMAL;
                T power = POW(rest, g);
                T inner = apart ? g * POW(rest, g - 1) * p * log_p : 0;
                T slope = y * (inner - power);
                if (pass == 0) {
                    total[i] += slope;
                    s->loss[i] -= y * power * log_p;
                } else {
                    s->d[k * s->ld + i] = s->share[i] * (slope - p * total[i]);
                }
            }
}

static void FN(hinge)(FN(Scored) *s) {
    for (int i = 0; i < PAD; i++) {
        T best = -(T)INFINITY, own = 0;
        int64_t ties = 0;
        for (int64_t k = 0; k < s->n; k++) {
            T z = s->z[k * s->ld + i], y = FN(target)(s, k, i);
            own += y * z;
            if (y > 0) continue;
            if (z > best || z != z) best = z, ties = 0;
            if (z == best) ties++;
        }
        T margin = 1 + best - own;
        T slope = s->share[i] * (margin > 0 ? 1 : (margin == 0 ? (T)0.5 : 0));
        s->loss[i] += margin <= 0 ? 0 : margin;
        for (int64_t k = 0; k < s->n; k++) {
            T z = s->z[k * s->ld + i], y = FN(target)(s, k, i);
            bool other = !(y > 0) && z == best;
            s->d[k * s->ld + i] = slope * ((other ? 1 / (T)ties : 0) - y);
        }
    }
}

#define OUTPUTWISE(NAME, LOSS, SLOPE)                                                  \
    static void FN(NAME)(FN(Scored) *s) {                                              \
        const T c = s->constant, *share = s->share;                                    \
        const bool variant = s->variant;                                               \
        const T n = (T)s->n;                                                           \
        T *loss = s->loss, target[PAD];                                                \
        (void)c, (void)variant, (void)n;                                               \
        for (int64_t k = 0; k < s->n; k++) {                                           \
            const T *outputs = s->z + k * s->ld;                                       \
            T *d = s->d + k * s->ld;                                                   \
            FN(take_targets)(s, k, target);                                            \
            LANE(i) {                                                                  \
                T z = outputs[i], y = target[i], e = z - y;                            \
                (void)e;                                                               \
                loss[i] += LOSS;                                                       \
                d[i] = share[i] * (SLOPE);                                             \
            }                                                                          \
        }                                                                              \
    }

INLINE T FN(smaller)(T a, T b) { return a > b ? b : a; }

INLINE T FN(binary_loss)(bool variant, T z, T y) {
    T p = FN(logistic)(z);
    T clipped = -FN(clipped_log)(y, p) - FN(clipped_log)(1 - y, 1 - p);
    return variant ? clipped : FN(softplus)(z) - y * z;
}

OUTPUTWISE(squared, e * e / (variant ? 2 * n : 2), e)
OUTPUTWISE(absolute, FN(abs)(e), e >= 0 ? 1 : (e < 0 ? -1 : e))
OUTPUTWISE(binary_cross_entropy, FN(binary_loss)(variant, z, (1 - c) * y + c / 2),
           FN(logistic)(z) - ((1 - c) * y + c / 2))
OUTPUTWISE(huber,
           FN(smaller)(FN(abs)(e), c) * (FN(abs)(e) - FN(smaller)(FN(abs)(e), c) / 2),
           FN(clip)(e, -c, c))
OUTPUTWISE(log_cosh,
           FN(abs)(e) + FN(log1p_unit)(FN(exp)(-2 * FN(abs)(e))) -
               (T)0.69314718055994530942,
           FN(tanh)(e))
/* e is z - y here, the plan's error with its sign turned. */
OUTPUTWISE(quantile, e <= 0 ? -c * e : (1 - c) * e,
           e > 0 ? 1 - c : (e < 0 ? -c : (T)0.5 - c))
OUTPUTWISE(poisson,
           FN(exp)(z) - y - y * z + (y == 0 ? 0 : y * FN(log)(y)), FN(exp)(z) - y)
#undef OUTPUTWISE

static void FN(score)(int loss, FN(Scored) *s) {
    switch (loss) {
        case CROSS_ENTROPY: FN(cross_entropy)(s); break;
        case BINARY_CROSS_ENTROPY: FN(binary_cross_entropy)(s); break;
        case SQUARED: FN(squared)(s); break;
        case ABSOLUTE: FN(absolute)(s); break;
        case HUBER: FN(huber)(s); break;
        case LOG_COSH: FN(log_cosh)(s); break;
        case QUANTILE: FN(quantile)(s); break;
        case POISSON: FN(poisson)(s); break;
        case HINGE: FN(hinge)(s); break;
        default: FN(focal)(s); break;
    }
}

/* The operation of a pass: loss of the chunk's rows, and the slope by the output. */
static void FN(loss)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    Chunk part = FN(chunk_of)(pass, number);
    int64_t end = part.first + part.rows;
    double totals[PAD] = {0}, total = 0;
    T scale = (T)pass->spec->loss_scale;
    for (int64_t r = part.first; r < end; r += PAD) {
        T loss[PAD] = {0}, share[PAD];
        LANE(i) share[i] = pass->row_weights[r + i] * (pass->share * scale);
        FN(Scored) s = {
            .n = pass->spec->layers[l].units, .ld = pass->ld,
            .z = pass->layers[l].out + r,
            .targets = pass->targets == NULL ? NULL : pass->targets + r,
            .classes = pass->data.classes == NULL ? NULL : pass->classes + r,
            .share = share, .constant = (T)pass->spec->loss_constant,
            .variant = pass->spec->loss_variant,
            .d = pass->layers[l].grad + r, .loss = loss,
        };
        FN(score)(pass->spec->loss, &s);
        /* Padding repeats the last row with weight 0: it adds a NaN to a NaN only. */
        const T *weights = pass->row_weights + r;
        LANE(i) totals[i] += (double)(weights[i] * loss[i]);
        for (int64_t i = end - r; i < PAD; i++)
            for (int64_t k = 0; k < s.n; k++) s.d[k * s.ld + i] = 0;
    }
    for (int i = 0; i < PAD; i++) total += totals[i];
    pass->losses[number] = pass->spec->loss_scale * total;
}
