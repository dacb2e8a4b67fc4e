/* The list of operations that make up a pass, and how it is run.

   An operation works on one chunk of rows. Operations that follow each other form a
   phase: the team's threads take one chunk after the other through all of it. A serial
   operation ends a phase: it waits until all chunks have come so far and runs once, in
   the calling thread. Batch normalization needs that. A barrier only waits. */

static void FN(add_operation)(FN(Pass) *pass, int layer, bool serial,
                              void (*run)(void *, int, int64_t)) {
    pass->operations[pass->n_operations++] = (FN(Operation)){run, layer, serial};
}

static void FN(list_forward_operations)(FN(Pass) *pass) {
    for (int l = 0; l < pass->spec->n_layers; l++) {
        const Layer *layer = &pass->spec->layers[l];
        if (layer->normalization == BATCH_NORM &&
            !FN(uses_batch_statistics)(pass, layer))
            FN(add_operation)(pass, l, true, FN(use_running_statistics));
    }
    FN(add_operation)(pass, 0, false, FN(gather_chunk));
    for (int l = 0; l < pass->spec->n_layers; l++) {
        const Layer *layer = &pass->spec->layers[l];
        FN(add_operation)(pass, l, false, FN(linear_forward));
        if (layer->normalization != NO_NORM)
            FN(add_operation)(pass, l, false, FN(begin_normalization));
        if (FN(uses_batch_statistics)(pass, layer)) {
            FN(add_operation)(pass, l, true, FN(batch_mean));
            FN(add_operation)(pass, l, false, FN(subtract_batch_mean));
            FN(add_operation)(pass, l, true, FN(batch_variance));
        }
        if (layer->normalization != NO_NORM)
            FN(add_operation)(pass, l, false, FN(end_normalization));
        FN(add_operation)(pass, l, false, FN(layer_output_forward));
    }
}

/* The team's barrier: a serial operation that only waits for every chunk. */
static void FN(barrier)(void *pass, int layer, int64_t chunk) {
    (void)pass, (void)layer, (void)chunk;
}

static void FN(list_backward_operations)(FN(Pass) *pass) {
    for (int l = pass->spec->n_layers - 1; l >= pass->lowest; l--) {
        const Layer *layer = &pass->spec->layers[l];
        FN(add_operation)(pass, l, false, FN(layer_output_backward));
        if (layer->normalization != NO_NORM) {
            FN(add_operation)(pass, l, false, FN(begin_normalization_backward));
            if (FN(uses_batch_statistics)(pass, layer))
                FN(add_operation)(pass, l, true, FN(barrier));
            FN(add_operation)(pass, l, false, FN(end_normalization_backward));
        }
        if (pass->layers[l].grad_by_row != NULL)
            FN(add_operation)(pass, l, false, FN(transpose_gradient));
        if (l > pass->lowest) FN(add_operation)(pass, l, false, FN(linear_backward));
    }
}

static void FN(run_phase)(void *argument, int64_t number, int worker) {
    FN(Pass) *pass = argument;
    (void)worker;
    for (int s = pass->phase_begin; s < pass->phase_end; s++)
        pass->operations[s].run(pass, pass->operations[s].layer, number);
}

/* Runs the list: chunks side by side, serial operations in between. */
static void FN(run_pass)(FN(Pass) *pass) {
    int s = 0;
    pass->input = FN(copies_input)(pass)
                      ? pass->gathered
                      : (const T *)pass->data.X +
                            pass->start * pass->spec->layers[0].fan_in;
    while (s < pass->n_operations) {
        if (pass->operations[s].serial) {
            pass->operations[s].run(pass, pass->operations[s].layer, 0);
            s++;
            continue;
        }
        pass->phase_begin = s;
        while (s < pass->n_operations && !pass->operations[s].serial) s++;
        pass->phase_end = s;
        team_run(pass->team, FN(run_phase), pass, FN(n_chunks)(pass));
    }
}
