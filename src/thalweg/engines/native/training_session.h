/* Training sessions as the binding uses them: their creation, parameters and state. */

/* What the rule remembers from step to step (its states and the accumulated gradient,
   which lie side by side), and the session's counts of steps and updates. */
static void *FN(optimizer_memory)(void *argument, int64_t *bytes, int64_t **steps,
                                  int64_t **updates) {
    FN(Session) *s = argument;
    int64_t n = ROUND_UP(s->spec.n_trained, PAD);
    int64_t vectors = rule_state_count(s->spec.rule, s->spec.variant);
    vectors += s->accumulated != NULL;
    *bytes = n * vectors * (int64_t)sizeof(T);
    *steps = &s->step;
    *updates = &s->updates;
    return s->gradient + n;
}

static void *FN(create_training)(const Spec *spec, const void *parameters,
                                 const Rows *rows, BlasGemm gemm) {
    FN(Session) *s = aligned_zeros(sizeof *s);
    if (s == NULL) return NULL;
    if (!FN(open_session)(s, spec, rows, gemm, true)) {
        FN(destroy_session)(s);
        return NULL;
    }
    memcpy(s->parameters, parameters, (size_t)spec->n_parameters * sizeof(T));
    if (s->average != NULL)
        memcpy(s->average, parameters, (size_t)spec->n_trained * sizeof(T));
    return s;
}

/* The parameters as the steps change them, and their averages, NULL without any. */
static void *FN(stepped_parameters)(void *argument, void **average) {
    FN(Session) *s = argument;
    *average = s->average;
    return s->parameters;
}

/* Sets the weight decay and each layer's dropout from here on; a layer that began without
   dropout has no room for it. */
static void FN(adapt)(void *argument, double decay, const double *dropout) {
    FN(Session) *s = argument;
    s->spec.decay = decay;
    for (int l = 0; l < s->spec.n_layers; l++) {
        if (s->pass.layers[l].kept == NULL) continue;
        s->layers[l].dropout = dropout[l];
        s->layers[l].threshold = (uint32_t)(dropout[l] * 4294967296.0);
    }
}

/* Copies the parameters out: the averages, where the plan averages. */
static void FN(copy_parameters)(void *argument, void *target) {
    FN(Session) *s = argument;
    memcpy(target, s->parameters, (size_t)s->spec.n_parameters * sizeof(T));
    if (s->average != NULL)
        memcpy(target, s->average, (size_t)s->spec.n_trained * sizeof(T));
}
