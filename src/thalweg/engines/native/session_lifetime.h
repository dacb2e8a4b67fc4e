/* Opens and closes sessions: their memory, and the lists of tiles and pieces. */

static void FN(destroy_session)(void *argument) {
    FN(Session) *s = argument;
    if (s == NULL) return;
    free_aligned(s->pass.memory);
    free(s->layers);
    free(s->tiles);
    free(s->pieces);
    free(s->norms);
    free_aligned(s->parameters);
    free_aligned(s);
}

/* Parameters, gradient and everything else that is as long; false without memory. */
static bool FN(allocate_parameters)(FN(Session) *s) {
    const Spec *spec = &s->spec;
    int64_t full = ROUND_UP(spec->n_parameters, PAD);
    int64_t n = ROUND_UP(spec->n_trained, PAD);
    int states = rule_state_count(spec->rule, spec->variant);
    int extra = (spec->accumulate > 1) + spec->averaged;
    /* One allocation: parameters, gradient, the rule's states and the rest. */
    size_t bytes = (size_t)(full + n * (1 + states + extra)) * sizeof(T);
    T *at = s->parameters = aligned_zeros(bytes);
    if (at == NULL) return false;
    s->gradient = at += full;
    for (int k = 0; k < states; k++) {
        s->states[k] = at += n;
        for (int64_t i = 0; i < n; i++) s->states[k][i] = (T)rule_initial_state(spec);
    }
    if (spec->accumulate > 1) s->accumulated = at += n;
    if (spec->averaged) s->average = at += n;
    return true;
}

/* Lists tiles and pieces: counted first, then written. */
static bool FN(list_work)(FN(Session) *s) {
    FN(list_tiles)(s, true);
    FN(list_pieces)(s, true);
    s->tiles = calloc((size_t)s->n_tiles + 1, sizeof(Tile));
    s->pieces = calloc((size_t)s->n_pieces + 1, sizeof(Piece));
    s->norms = calloc((size_t)s->n_pieces + 1, sizeof(Norms));
    if (s->tiles == NULL || s->pieces == NULL || s->norms == NULL) return false;
    FN(list_tiles)(s, false);
    FN(list_pieces)(s, false);
    return true;
}

/* Fills in a zeroed session but for the parameters; false if there is no memory. */
static bool FN(open_session)(FN(Session) *s, const Spec *spec, const Rows *rows,
                             BlasGemm gemm, bool noisy) {
    size_t bytes = sizeof(Layer) * (size_t)spec->n_layers;
    s->spec = *spec;
    s->rows = *rows;
    s->layers = malloc(bytes);
    if (s->layers == NULL) return false;
    s->spec.layers = memcpy(s->layers, spec->layers, bytes);
    s->step = spec->first_step;
    if (FN(all_weights_one)(rows->weights, rows->n_rows)) s->rows.weights = NULL;
    s->total_weight = FN(sum_of_weights)(&s->rows, NULL, 0, rows->n_rows);
    int64_t block = FN(block_rows)(&s->spec, spec->batch);
    s->same_rows = spec->batch >= rows->n_rows && block >= rows->n_rows &&
                   spec->input_noise == 0;
    int64_t chunk = FN(chunk_rows)(spec, block);
    return FN(open_pass)(&s->pass, &s->spec, &s->rows, block, chunk, noisy, true,
                         gemm) &&
           FN(allocate_parameters)(s) && FN(list_work)(s);
}
