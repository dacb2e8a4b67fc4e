/* Layer normalization (Ba et al., 2016): by the statistics of each row over the units.

   Needs no other row, so a chunk does it by itself, sixteen rows at a time. */

static void FN(layer_norm_forward)(FN(Pass) *pass, int l, Chunk part) {
    const Layer *layer = &pass->spec->layers[l];
    T each = 1 / (T)layer->units;
    for (int64_t r = part.first; r < part.first + part.padded; r += PAD) {
        T mean[PAD] = {0}, variance[PAD] = {0};
        T *z = pass->layers[l].centered + r, *inverse = pass->layers[l].row_inverse + r;
        for (int64_t u = 0; u < layer->units; u++)
            LANE(i) mean[i] += z[u * pass->ld + i] * each;
        for (int64_t u = 0; u < layer->units; u++) {
            LANE(i) {
                T d = z[u * pass->ld + i] - mean[i];
                variance[i] += d * d * each;
            }
        }
        LANE(i)
            inverse[i] = 1 / SQRT(variance[i] + (T)layer->epsilon);
        for (int64_t u = 0; u < layer->units; u++)
            LANE(i)
                z[u * pass->ld + i] = (z[u * pass->ld + i] - mean[i]) * inverse[i];
    }
}

static void FN(layer_norm_backward)(FN(Pass) *pass, int l, Chunk part) {
    const Layer *layer = &pass->spec->layers[l];
    const FN(LayerBuffers) *own = &pass->layers[l];
    const T *scale = pass->parameters + layer->scale;
    T each = 1 / (T)layer->units;
    for (int64_t r = part.first; r < part.first + part.padded; r += PAD) {
        T mean[PAD] = {0}, slope[PAD] = {0};
        T *grad = own->grad + r;
        const T *centered = own->centered + r;
        for (int64_t u = 0; u < layer->units; u++) {
            LANE(i) {
                T d = grad[u * pass->ld + i] * scale[u];
                mean[i] += d * each;
                slope[i] += d * centered[u * pass->ld + i] * each;
            }
        }
        for (int64_t u = 0; u < layer->units; u++) {
            LANE(i) {
                T z = centered[u * pass->ld + i], d = grad[u * pass->ld + i] * scale[u];
                grad[u * pass->ld + i] =
                    own->row_inverse[r + i] * (d - mean[i] - z * slope[i]);
            }
        }
    }
}
