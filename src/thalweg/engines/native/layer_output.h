/* What makes a layer's output of its linear part: bias, shortcut, activation, dropout.

   The backward operation undoes these in the reverse order: the gradient by the output
   becomes the gradient by the pre-activation. */

static void FN(layer_output_forward)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    const Layer *layer = &pass->spec->layers[l];
    const FN(LayerBuffers) *own = &pass->layers[l];
    Chunk part = FN(chunk_of)(pass, number);
    bool normalized = layer->normalization != NO_NORM;
    T constant = (T)layer->activation_constant;
    for (int64_t u = 0; u < layer->units; u++) {
        int64_t at = u * pass->ld + part.first;
        T *a = own->active + at, *z = own->pre != NULL ? own->pre + at : a;
        T b = normalized ? 0 : pass->parameters[layer->bias + u];
        if (own->pre != NULL || layer->residual) {
            EACH(i, part.padded, z[i] += b);
            b = 0;
        }
        if (layer->residual) FN(add_shortcut)(pass, l, u, part, z);
        FN(activation_forward)(layer->activation, constant, part.padded, z, b, a);
    }
    if (FN(has_dropout)(pass, l))
        FN(apply_dropout)(pass, l, part);
    else if (own->out != own->active)
        for (int64_t u = 0; u < layer->units; u++) {
            int64_t at = u * pass->ld + part.first;
            memcpy(own->out + at, own->active + at, (size_t)part.padded * sizeof(T));
        }
}

static void FN(layer_output_backward)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    const Layer *layer = &pass->spec->layers[l];
    const FN(LayerBuffers) *own = &pass->layers[l];
    Chunk part = FN(chunk_of)(pass, number);
    T rest = 1 - (T)layer->dropout, constant = (T)layer->activation_constant;
    for (int64_t u = 0; u < layer->units; u++) {
        int64_t at = u * pass->ld + part.first;
        T *d = own->grad + at;
        const T *a = own->active + at, *z = own->pre != NULL ? own->pre + at : a;
        if (FN(has_dropout)(pass, l)) {
            const uint8_t *kept = own->kept + at;
            EACH(i, part.padded, d[i] = kept[i] ? d[i] / rest : 0);
        }
        FN(activation_backward)(layer->activation, constant, part.padded, z, a, d);
        FN(shortcut_backward)(pass, l, at, part);
    }
}
