/* Opens a pass: cuts its buffers from one block of memory and lists its operations.

   Only what the network needs is given room: a buffer for the pre-activation, for
   example, where the slope of the activation cannot be had from the output. */

/* Number of the first layer with anything to train; the gradient goes no deeper. */
static int FN(lowest_trained)(const Spec *spec) {
    int lowest = 0;
    while (lowest < spec->n_layers && spec->layers[lowest].frozen) lowest++;
    return lowest;
}

static void *FN(take_numbers)(Arena *arena, int64_t n) {
    return arena_take(arena, (size_t)(n > 0 ? n : 0) * sizeof(T));
}

static void FN(place_layer_buffers)(const FN(Pass) *pass, const Layer *layer,
                                    FN(LayerBuffers) *own, Arena *arena,
                                    bool backward) {
    int64_t size = layer->units * pass->ld;
    int64_t chunks = (pass->capacity + pass->chunk - 1) / pass->chunk;
    bool keep = backward && FN(activation_needs_input)(layer->activation);
    if (layer->normalization != NO_NORM) {
        own->centered = FN(take_numbers)(arena, size);
        own->mean = FN(take_numbers)(arena, 2 * layer->units);
        own->inverse = FN(take_numbers)(arena, layer->units);
        own->row_inverse = FN(take_numbers)(arena, pass->ld);
        own->partial = FN(take_numbers)(arena, chunks * 2 * layer->units);
    }
    if (keep) own->pre = FN(take_numbers)(arena, size);
    own->active = FN(take_numbers)(arena, size);
    own->out = own->active;
    if (pass->noisy && layer->dropout > 0) {
        own->out = FN(take_numbers)(arena, size);
        own->kept = arena_take(arena, (size_t)size);
    }
    if (backward) own->grad = FN(take_numbers)(arena, size);
    bool sparse = layer == pass->spec->layers && pass->data.indptr != NULL;
    if (backward && (FN(wants_transposed_gradient)(layer) || sparse))
        own->grad_by_row = FN(take_numbers)(arena, pass->ld * FN(transposed_ld)(layer));
}

static void FN(place_buffers)(FN(Pass) *pass, Arena *arena, bool backward) {
    const Spec *spec = pass->spec;
    const Layer *last = &spec->layers[spec->n_layers - 1];
    pass->layers = arena_take(arena, sizeof(FN(LayerBuffers)) * (size_t)spec->n_layers);
    pass->operations =
        arena_take(arena, sizeof(FN(Operation)) * (size_t)(12 * spec->n_layers + 4));
    for (int l = 0; l < spec->n_layers; l++) {
        FN(LayerBuffers) measured = {0}; /* while measuring, nothing is there yet */
        FN(LayerBuffers) *own = pass->layers == NULL ? &measured : &pass->layers[l];
        FN(place_layer_buffers)(pass, &spec->layers[l], own, arena, backward);
    }
    pass->gathered = FN(take_numbers)(arena, spec->layers[0].fan_in * pass->ld);
    pass->losses =
        arena_take(arena, sizeof(double) * (size_t)(pass->capacity / pass->chunk + 1));
    if (!backward) return;
    pass->row_weights = FN(take_numbers)(arena, pass->ld);
    if (pass->data.classes != NULL)
        pass->classes = arena_take(arena, sizeof(int32_t) * (size_t)pass->ld);
    else
        pass->targets = FN(take_numbers)(arena, last->units * pass->ld);
}

/* Whether a gradient was begun by a shortcut before the layer above adds to it. */
static void FN(find_gradient_additions)(FN(Pass) *pass) {
    const Spec *spec = pass->spec;
    for (int l = spec->n_layers - 1; l >= pass->lowest; l--) {
        for (int other = spec->n_layers - 1; other >= l; other--) {
            int to = other - spec->layers[other].residual;
            bool begins = spec->layers[other].residual > 0;
            if (begins && to == l - 1) pass->layers[l].input_adds = true;
            int mine = l - spec->layers[l].residual;
            if (begins && other > l && to == mine) pass->layers[l].shortcut_adds = true;
        }
    }
}

/* A pass over blocks of up to `capacity` rows; false if there is no memory. */
static bool FN(open_pass)(FN(Pass) *pass, const Spec *spec, const Rows *data,
                          int64_t capacity, int64_t chunk, bool noisy, bool backward,
                          BlasGemm gemm) {
    memset(pass, 0, sizeof *pass);
    pass->spec = spec;
    pass->data = *data;
    pass->gemm = gemm;
    pass->noisy = noisy;
    pass->batch_statistics = backward;
    pass->lowest = backward ? FN(lowest_trained)(spec) : spec->n_layers;
    pass->capacity = capacity > 0 ? capacity : 1;
    pass->chunk = chunk;
    pass->ld = ROUND_UP(pass->capacity, PAD);
    /* A power of two would map every feature to the same sets of the cache. */
    if (pass->ld * (int64_t)sizeof(T) % 2048 == 0) pass->ld += PAD;
    const Layer *first = &spec->layers[0];
    int64_t part = pass->chunk < pass->capacity ? pass->chunk : pass->capacity;
    pass->input_by_row = gemm != NULL && data->indptr == NULL &&
                   !FN(is_small_product)(first->units, part, first->fan_in);
    Arena arena = {NULL, 0};
    FN(place_buffers)(pass, &arena, backward);
    pass->memory = arena.base = aligned_zeros(arena.used);
    if (pass->memory == NULL) return false;
    arena.used = 0;
    FN(place_buffers)(pass, &arena, backward);
    FN(find_gradient_additions)(pass);
    FN(list_forward_operations)(pass);
    if (!backward) return true;
    FN(add_operation)(pass, spec->n_layers - 1, false, FN(loss_of_chunk));
    pass->n_forward = pass->n_operations;
    FN(list_backward_operations)(pass);
    return true;
}
