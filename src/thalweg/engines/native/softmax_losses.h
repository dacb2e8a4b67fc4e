/* Losses of classes by the softmax of the outputs: cross-entropy and focal loss.

   The largest output of a row is subtracted before the exponentials, so that none of
   them overflows. Cross-entropy of plain class numbers has a shorter function of its
   own: it is the loss that most classifiers are trained with. */

/* exp(z - top) into d; the top and the sum of these for each row. */
static void FN(shifted_exponentials)(FN(LossRows) *s, T *top, T *sum) {
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
static void FN(cross_entropy_of_classes)(FN(LossRows) *s) {
    T top[PAD], sum[PAD], log_sum[PAD], loss[PAD] = {0};
    const T *share = s->share;
    FN(shifted_exponentials)(s, top, sum);
    /* The sum is at least 1, or NaN. */
    LANE(i) log_sum[i] = sum[i] == sum[i] ? FN(log_normal)(sum[i], 0) : sum[i];
    for (int64_t k = 0; k < s->n; k++) {
        const T *z = s->z + k * s->ld;
        LANE(i)
            loss[i] -= (s->classes[i] == (int32_t)k ? 1 : (T)0) *
                       ((z[i] - top[i]) - log_sum[i]);
    }
    LANE(i) s->loss[i] += loss[i];
    LANE(i) sum[i] = 1 / sum[i];
    for (int64_t k = 0; k < s->n; k++) {
        T *d = s->d + k * s->ld;
        LANE(i)
            d[i] = share[i] *
                   (d[i] * sum[i] - (s->classes[i] == (int32_t)k ? 1 : (T)0));
    }
}

static void FN(cross_entropy)(FN(LossRows) *s) {
    T y[PAD], top[PAD], sum[PAD], log_sum[PAD], total[PAD] = {0}, loss[PAD] = {0};
    T chosen[PAD] = {0};
    bool one_hot = s->classes != NULL && s->constant == 0; /* then one logarithm a row */
    T keep = 1 - s->constant, spread = s->constant / (T)s->n;
    const T *share = s->share;
    if (one_hot && !s->variant) {
        FN(cross_entropy_of_classes)(s);
        return;
    }
    FN(shifted_exponentials)(s, top, sum);
    LANE(i) log_sum[i] = FN(log)(sum[i]);
    for (int64_t k = 0; k < s->n; k++) {
        const T *z = s->z + k * s->ld, *e = s->d + k * s->ld;
        FN(load_targets)(s, k, y);
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
        FN(load_targets)(s, k, y);
        LANE(i) d[i] = share[i] * (d[i] * sum[i] - (keep * y[i] + spread));
    }
}

/* Loss -sum y r^g log p with r = 1 - p; its slope by log p_k, then by z. */
static void FN(focal)(FN(LossRows) *s) {
    T top[PAD], sum[PAD], total[PAD] = {0}, g = s->constant;
    FN(shifted_exponentials)(s, top, sum);
    for (int64_t k = 0; k < s->n; k++)
        LANE(i) s->d[k * s->ld + i] = (s->z[k * s->ld + i] - top[i]) - FN(log)(sum[i]);
    for (int pass = 0; pass < 2; pass++)
        for (int64_t k = 0; k < s->n; k++)
            for (int i = 0; i < PAD; i++) {
                T log_p = s->d[k * s->ld + i], y = FN(target_of)(s, k, i);
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
