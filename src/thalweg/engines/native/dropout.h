/* Dropout (Srivastava et al., 2014): in training a share of the outputs is zeroed.

   The others are divided by the share that is kept. Whether an element is kept comes
   from the counter-based generator (threefry.h), so it depends on the element's place
   alone and not on which thread asks. */

static void FN(apply_dropout)(FN(Pass) *pass, int l, Chunk part) {
    const Layer *layer = &pass->spec->layers[l];
    T rest = 1 - (T)layer->dropout;
    uint32_t width = (uint32_t)layer->units, limit = layer->threshold;
    uint32_t row = (uint32_t)(pass->first + part.first);
    for (uint32_t u = 0; u < width; u++) {
        int64_t at = u * pass->ld + part.first;
        const T *a = pass->layers[l].active + at;
        T *out = pass->layers[l].out + at;
        uint8_t *kept = pass->layers[l].kept + at;
        EACH(i, part.padded,
             uint32_t word = random_word(pass->stream, (uint32_t)l + 1u,
                                         row + (uint32_t)i, u, width);
             kept[i] = word >= limit; out[i] = kept[i] ? a[i] / rest : 0);
    }
}

static bool FN(has_dropout)(const FN(Pass) *pass, int l) {
    return pass->noisy && pass->spec->layers[l].dropout > 0;
}
