/* Batch normalization (Ioffe & Szegedy, 2015): by the statistics of each unit.

   While training, mean and variance are taken over all rows of the batch. Each chunk
   sums over its own rows, and the chunks' sums are added in the order of the chunks.
   A frozen layer, and every layer after training, takes the running statistics. */

static T *FN(partial_sums)(const FN(Pass) *pass, int l, int64_t chunk, int which) {
    int64_t units = pass->spec->layers[l].units;
    return pass->layers[l].partial + (chunk * 2 + which) * units;
}

/* Sum over the chunks, in their order. */
static T FN(total_over_chunks)(const FN(Pass) *pass, int l, int which, int64_t unit) {
    T total = 0;
    for (int64_t c = 0; c < FN(n_chunks)(pass); c++)
        total += FN(partial_sums)(pass, l, c, which)[unit];
    return total;
}

static void FN(batch_mean)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    (void)number;
    for (int64_t u = 0; u < pass->spec->layers[l].units; u++)
        pass->layers[l].mean[u] = FN(total_over_chunks)(pass, l, 0, u) / (T)pass->rows;
}

static void FN(subtract_batch_mean)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    const FN(LayerBuffers) *own = &pass->layers[l];
    Chunk part = FN(chunk_of)(pass, number);
    for (int64_t u = 0; u < pass->spec->layers[l].units; u++) {
        T *z = own->centered + u * pass->ld + part.first;
        T mean = own->mean[u];
        EACH(i, part.padded, z[i] -= mean);
        FN(partial_sums)(pass, l, number, 1)[u] = FN(sum_squares)(z, part.rows);
    }
}

/* The batch's variance is kept behind its mean, for the running statistics. */
static void FN(batch_variance)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    const Layer *layer = &pass->spec->layers[l];
    (void)number;
    for (int64_t u = 0; u < layer->units; u++) {
        T variance = FN(total_over_chunks)(pass, l, 1, u) / (T)pass->rows;
        pass->layers[l].inverse[u] = 1 / SQRT(variance + (T)layer->epsilon);
        pass->layers[l].mean[layer->units + u] = variance;
    }
}

/* The running statistics, where they are used as the batch's own. */
static void FN(use_running_statistics)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    const Layer *layer = &pass->spec->layers[l];
    (void)number;
    for (int64_t u = 0; u < layer->units; u++) {
        T variance = pass->parameters[layer->variance + u];
        pass->layers[l].mean[u] = pass->parameters[layer->mean + u];
        pass->layers[l].inverse[u] = 1 / SQRT(variance + (T)layer->epsilon);
    }
}

static void FN(batch_norm_backward)(FN(Pass) *pass, int l, Chunk part) {
    const Layer *layer = &pass->spec->layers[l];
    const FN(LayerBuffers) *own = &pass->layers[l];
    T n = (T)pass->rows;
    for (int64_t u = 0; u < layer->units; u++) {
        T *d = own->grad + u * pass->ld + part.first;
        const T *z = own->centered + u * pass->ld + part.first;
        T factor = pass->parameters[layer->scale + u] * own->inverse[u];
        if (!FN(uses_batch_statistics)(pass, layer)) {
            EACH(i, part.padded, d[i] *= factor);
            continue;
        }
        T mean = FN(total_over_chunks)(pass, l, 0, u) / n;
        T slope = FN(total_over_chunks)(pass, l, 1, u) / n;
        EACH(i, part.padded, d[i] = factor * (d[i] - mean - z[i] * slope));
        for (int64_t i = part.rows; i < part.padded; i++) d[i] = 0;
    }
}
