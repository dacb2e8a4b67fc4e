/* One update of the parameters: clip the gradient, ask the rule, add, project, average.

   The rule's update is written over the gradient, piece by piece. */

/* Writes the piece's update in place of its gradient. */
static void FN(compute_update)(void *argument, int64_t number, int worker) {
    FN(Session) *s = argument;
    Piece piece = s->pieces[number];
    Norms *norms = &s->norms[number];
    T *g = s->gradient + piece.first;
    const T *w = s->parameters + piece.first;
    T *states[MAX_STATES];
    (void)worker;
    for (int k = 0; k < MAX_STATES; k++)
        states[k] = s->states[k] == NULL ? NULL : s->states[k] + piece.first;
    FN(apply_rule)(&s->rule, piece.n, g, states);
    T decay = (T)(s->rate * s->spec.decay), factor = (T)piece.rate;
    if (piece.is_weights && decay != 0)
        for (int64_t i = 0; i < piece.n; i++) g[i] -= decay * w[i];
    if (factor != 1)
        for (int64_t i = 0; i < piece.n; i++) g[i] *= factor;
    norms->update = (double)FN(sum_squares)(g, piece.n);
    norms->weights = (double)FN(sum_squares)(w, piece.n);
}

/* Adds the piece's update to its parameters. */
static void FN(add_update)(void *argument, int64_t number, int worker) {
    FN(Session) *s = argument;
    Piece piece = s->pieces[number];
    T *w = s->parameters + piece.first;
    const T *u = s->gradient + piece.first;
    (void)worker;
    for (int64_t i = 0; i < piece.n; i++) w[i] += u[i];
}

/* Steps 3 to 8 of the list in `thalweg.core.plan`; false if the update is not finite. */
static bool FN(apply_update)(FN(Session) *s) {
    Team *team = s->pass.team;
    FN(clip_gradient)(s, s->gradient);
    s->rule = FN(prepare_rule)(&s->spec, s->rate, ++s->updates);
    team_run(team, FN(compute_update), s, s->n_pieces);
    Norms norms = FN(total_norms)(s);
    if (!isfinite((T)norms.update)) return false;
    s->ratio = sqrt(norms.update) / (norms.weights > 0 ? sqrt(norms.weights) : 1);
    team_run(team, FN(add_update), s, s->n_pieces);
    FN(project_weights)(s);
    if (s->average != NULL)
        for (int64_t i = 0; i < s->spec.n_trained; i++)
            s->average[i] += (T)s->mix * (s->parameters[i] - s->average[i]);
    return true;
}
