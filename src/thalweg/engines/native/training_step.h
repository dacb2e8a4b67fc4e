/* One training step on one batch: objective, gradient and, when it is due, the update.

   With gradient accumulation, the mean of the gradients of several batches makes one
   update. */

/* Adds to the mean gradient of several batches; updates when the last one is in. */
static bool FN(accumulate_gradient)(FN(Session) *s) {
    int64_t k = s->spec.accumulate, n = s->spec.n_trained;
    if (k == 1) return FN(apply_update)(s);
    for (int64_t i = 0; i < n; i++) s->accumulated[i] += s->gradient[i] / (T)k;
    if ((s->step + 1) % k != 0) return true;
    memcpy(s->gradient, s->accumulated, (size_t)n * sizeof(T));
    memset(s->accumulated, 0, (size_t)n * sizeof(T));
    return FN(apply_update)(s);
}

/* One step; false if something was not finite. */
static bool FN(training_step)(FN(Session) *s, Progress *p, const int32_t *order,
                              int64_t start, int64_t n) {
    double weight = FN(sum_of_weights)(&s->rows, order, start, n);
    FN(set_penalties)(s, weight);
    double value = FN(cost_and_gradient)(s, order, start, n, weight);
    team_run(s->pass.team, FN(add_penalties), s, s->n_pieces);
    Norms norms = FN(total_norms)(s);
    value += norms.penalty;
    double norm = sqrt(norms.gradient);
    p->sum_loss += value * (double)n;
    p->sum_rows += (double)n;
    p->sum_norm += norm;
    bool finite = isfinite((T)value) && isfinite((T)norms.gradient) &&
                  FN(accumulate_gradient)(s);
    if (finite) FN(update_running_statistics)(s, 1);
    s->step++;
    return finite;
}
