/* The running mean and variance of batch normalization, updated after each step.

   A running value keeps a share of itself and takes the rest from the batch. The share
   grows with the steps done, up to the layer's momentum, so that the first batch sets
   the value; without that warm-up it is the momentum from the first step on. */

/* `cold_share` is the share kept by layers whose statistics have no warm-up. */
static void FN(update_running_statistics)(FN(Session) *s, double cold_share) {
    double done = (double)s->step;
    for (int l = 0; l < s->spec.n_layers; l++) {
        const Layer *layer = &s->spec.layers[l];
        if (!FN(uses_batch_statistics)(&s->pass, layer)) continue;
        double share = layer->no_warmup ? cold_share : done / (done + 1);
        T kept = (T)(share < layer->momentum ? share : layer->momentum);
        T *mean = s->parameters + layer->mean;
        T *variance = s->parameters + layer->variance;
        const T *fresh = s->pass.layers[l].mean;
        for (int64_t u = 0; u < layer->units; u++) {
            mean[u] = kept * mean[u] + (1 - kept) * fresh[u];
            variance[u] = kept * variance[u] + (1 - kept) * fresh[layer->units + u];
        }
    }
}
