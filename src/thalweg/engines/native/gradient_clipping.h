/* Gradient clipping: each entry by its size, then the whole gradient by its norm. */

static void FN(clip_gradient)(FN(Session) *s, T *g) {
    int64_t n = s->spec.n_trained;
    T limit = (T)s->spec.clip_value;
    if (s->spec.clip_value < INFINITY)
        for (int64_t i = 0; i < n; i++) g[i] = FN(clip)(g[i], -limit, limit);
    if (!(s->spec.clip_norm < INFINITY)) return;
    double total = 0;
    for (int64_t i = 0; i < s->n_pieces; i++)
        total += (double)FN(sum_squares)(g + s->pieces[i].first, s->pieces[i].n);
    double norm = sqrt(total), factor = s->spec.clip_norm / (norm > 0 ? norm : 1);
    if (factor >= 1) return;
    for (int64_t i = 0; i < n; i++) g[i] *= (T)factor;
}
