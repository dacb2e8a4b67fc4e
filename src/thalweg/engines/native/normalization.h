/* The operations of a normalized layer, for both kinds of normalization.

   Forward: the bias is added, the values are normalized, scaled and shifted. Backward:
   first the sums over the rows that the gradients of scale and shift need, then the
   gradient by what was normalized. */

/* Adds the bias; sums over the chunk's rows where the batch's mean is wanted. */
static void FN(begin_normalization)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    const Layer *layer = &pass->spec->layers[l];
    Chunk part = FN(chunk_of)(pass, number);
    for (int64_t u = 0; u < layer->units; u++) {
        T *z = pass->layers[l].centered + u * pass->ld + part.first;
        T b = pass->parameters[layer->bias + u];
        EACH(i, part.padded, z[i] += b);
        if (FN(uses_batch_statistics)(pass, layer))
            FN(partial_sums)(pass, l, number, 0)[u] = FN(sum)(z, part.rows);
    }
}

/* Finishes `centered`, and writes scale * centered + shift where the activation reads
   it. */
static void FN(end_normalization)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    const Layer *layer = &pass->spec->layers[l];
    const FN(LayerBuffers) *own = &pass->layers[l];
    Chunk part = FN(chunk_of)(pass, number);
    bool by_unit = layer->normalization == BATCH_NORM;
    bool running = by_unit && !FN(uses_batch_statistics)(pass, layer);
    if (!by_unit) FN(layer_norm_forward)(pass, l, part);
    T *target = own->pre != NULL ? own->pre : own->active;
    for (int64_t u = 0; u < layer->units; u++) {
        T *z = own->centered + u * pass->ld + part.first;
        T *y = target + u * pass->ld + part.first;
        T scale = pass->parameters[layer->scale + u];
        T shift = pass->parameters[layer->shift + u];
        T factor = by_unit ? own->inverse[u] : 1, mean = running ? own->mean[u] : 0;
        EACH(i, part.padded, z[i] = (z[i] - mean) * factor; y[i] = z[i] * scale + shift);
    }
}

/* Sums of dy and of dy * centered over the chunk's rows. */
static void FN(begin_normalization_backward)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    const FN(LayerBuffers) *own = &pass->layers[l];
    Chunk part = FN(chunk_of)(pass, number);
    for (int64_t u = 0; u < pass->spec->layers[l].units; u++) {
        int64_t at = u * pass->ld + part.first;
        FN(partial_sums)(pass, l, number, 0)[u] = FN(sum)(own->grad + at, part.rows);
        FN(partial_sums)(pass, l, number, 1)[u] =
            FN(dot)(own->grad + at, own->centered + at, part.rows);
    }
}

static void FN(end_normalization_backward)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    Chunk part = FN(chunk_of)(pass, number);
    if (pass->spec->layers[l].normalization == LAYER_NORM)
        FN(layer_norm_backward)(pass, l, part);
    else
        FN(batch_norm_backward)(pass, l, part);
}
