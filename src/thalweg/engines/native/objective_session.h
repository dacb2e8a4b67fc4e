/* The objective on all rows, for full-batch optimizers: its value and gradient.

   The passes have neither dropout nor input noise, so that the same parameters always
   give the same value. */

static void *FN(create_objective)(const Spec *spec, const Rows *rows, BlasGemm gemm) {
    FN(Session) *s = aligned_zeros(sizeof *s);
    if (s == NULL) return NULL;
    if (!FN(open_session)(s, spec, rows, gemm, false)) {
        FN(destroy_session)(s);
        return NULL;
    }
    return s;
}

/* The objective, with penalties, and its gradient unless `gradient` is NULL. */
static double FN(evaluate_objective)(void *argument, const void *parameters,
                                     void *gradient, int workers) {
    FN(Session) *s = argument;
    int n_operations = s->pass.n_operations;
    size_t bytes = (size_t)s->spec.n_trained * sizeof(T);
    memcpy(s->parameters, parameters, (size_t)s->spec.n_parameters * sizeof(T));
    memset(s->gradient, 0, bytes);
    s->pass.team = team_start(workers);
    if (gradient == NULL) s->pass.n_operations = s->pass.n_forward;
    FN(set_penalties)(s, s->total_weight);
    double value = FN(cost_and_gradient)(s, NULL, 0, s->rows.n_rows, s->total_weight);
    team_run(s->pass.team, FN(add_penalties), s, s->n_pieces);
    team_stop(s->pass.team);
    s->pass.team = NULL;
    s->pass.keep_input = s->same_rows;
    s->pass.n_operations = n_operations;
    if (gradient != NULL) memcpy(gradient, s->gradient, bytes);
    return value + FN(total_norms)(s).penalty;
}

/* The running statistics in `parameters` become those of all rows. */
static void FN(set_running_statistics)(void *argument, void *parameters) {
    FN(Session) *s = argument;
    FN(evaluate_objective)(s, parameters, NULL, 1);
    FN(update_running_statistics)(s, 0);
    memcpy(parameters, s->parameters, (size_t)s->spec.n_parameters * sizeof(T));
}
