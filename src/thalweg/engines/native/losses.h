/* Which function computes which loss, and the loss as an operation of a pass. */

static void FN(loss_and_slope)(int loss, FN(LossRows) *s) {
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
static void FN(loss_of_chunk)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    Chunk part = FN(chunk_of)(pass, number);
    int64_t end = part.first + part.rows;
    double totals[PAD] = {0}, total = 0;
    T scale = (T)pass->spec->loss_scale;
    for (int64_t r = part.first; r < end; r += PAD) {
        T loss[PAD] = {0}, share[PAD];
        LANE(i) share[i] = pass->row_weights[r + i] * (pass->inverse_weight * scale);
        FN(LossRows) s = {
            .n = pass->spec->layers[l].units, .ld = pass->ld,
            .z = pass->layers[l].out + r,
            .targets = pass->targets == NULL ? NULL : pass->targets + r,
            .classes = pass->data.classes == NULL ? NULL : pass->classes + r,
            .share = share, .constant = (T)pass->spec->loss_constant,
            .variant = pass->spec->loss_variant,
            .d = pass->layers[l].grad + r, .loss = loss,
        };
        FN(loss_and_slope)(pass->spec->loss, &s);
        /* Padding repeats the last row with weight 0: it adds a NaN to a NaN only. */
        const T *weights = pass->row_weights + r;
        LANE(i) totals[i] += (double)(weights[i] * loss[i]);
        for (int64_t i = end - r; i < PAD; i++)
            for (int64_t k = 0; k < s.n; k++) s.d[k * s.ld + i] = 0;
    }
    for (int i = 0; i < PAD; i++) total += totals[i];
    pass->losses[number] = pass->spec->loss_scale * total;
}
