/* Constraints on the weights: after each update they are projected back.

   The norms are of the weights that come into one unit, a column of the matrix. */

/* `w` is the first weight of a column; they are `units` apart. */
static void FN(project_column)(const Layer *layer, T *w) {
    T square = 0, tiny = (T)1e-12;
    for (int64_t i = 0; i < layer->fan_in; i++) {
        T x = w[i * layer->units];
        square += x * x;
    }
    T norm = SQRT(square), factor;
    norm = norm > tiny ? norm : tiny;
    factor = layer->constraint == UNIT_NORM ? 1 / norm : (T)layer->limit / norm;
    if (layer->constraint == MAX_NORM && factor >= 1) return;
    for (int64_t i = 0; i < layer->fan_in; i++) w[i * layer->units] *= factor;
}

static void FN(project_weights)(FN(Session) *s) {
    for (int l = 0; l < s->spec.n_layers; l++) {
        const Layer *layer = &s->spec.layers[l];
        if (layer->frozen || layer->owner != l) continue;
        T *w = s->parameters + layer->weights;
        if (layer->constraint == NON_NEGATIVE)
            for (int64_t i = 0; i < layer->fan_in * layer->units; i++)
                w[i] = w[i] < 0 ? 0 : w[i];
        else if (layer->constraint != NO_CONSTRAINT)
            for (int64_t u = 0; u < layer->units; u++) FN(project_column)(layer, w + u);
    }
}
