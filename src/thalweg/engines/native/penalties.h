/* The L1 and L2 penalties on the weight matrices, and their part of the gradient. */

static void FN(set_penalties)(FN(Session) *s, double weight) {
    double divisor =
        s->spec.penalty_by_batch ? (weight > 0 ? weight : 1) : s->total_weight;
    s->l1 = (T)(s->spec.l1 / divisor);
    s->l2 = (T)(s->spec.l2 / divisor);
}

/* 0 at 0, so that nothing pushes a weight away from there. */
INLINE T FN(absolute_slope)(T w) { return w > 0 ? 1 : (w < 0 ? -1 : w); }

/* Adds the penalties' slopes to a piece of the gradient, and takes its norms. */
static void FN(add_penalties)(void *argument, int64_t number, int worker) {
    FN(Session) *s = argument;
    Piece piece = s->pieces[number];
    Norms *norms = &s->norms[number];
    T *g = s->gradient + piece.first, l1 = s->l1, l2 = s->l2;
    const T *w = s->parameters + piece.first;
    (void)worker;
    norms->penalty = 0;
    if (piece.is_weights && l2 != 0) {
        for (int64_t i = 0; i < piece.n; i++) g[i] += l2 * w[i];
        norms->penalty += (double)(l2 / 2 * FN(sum_squares)(w, piece.n));
    }
    if (piece.is_weights && l1 != 0) {
        double size = 0;
        for (int64_t i = 0; i < piece.n; i++) {
            g[i] += l1 * FN(absolute_slope)(w[i]);
            size += (double)FN(abs)(w[i]);
        }
        norms->penalty += (double)l1 * size;
    }
    norms->gradient = (double)FN(sum_squares)(g, piece.n);
}
