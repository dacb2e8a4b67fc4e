/* Residual connections (He et al., 2016): shortcuts that add an earlier layer's input.

   The shortcut is added before the activation. Backward, the gradient by the
   pre-activation goes to the layer that the shortcut comes from as well. */

static const T *FN(shortcut_input)(const FN(Pass) *pass, int l) {
    int span = pass->spec->layers[l].residual;
    return span == 0 ? NULL : FN(layer_input)(pass, l + 1 - span);
}

/* Element (feature u, row i of the block) of a shortcut, which may be the input. */
static void FN(add_shortcut)(const FN(Pass) *pass, int l, int64_t u, Chunk part, T *z) {
    const T *from = FN(shortcut_input)(pass, l);
    bool rows = pass->input_by_row && l + 1 - pass->spec->layers[l].residual == 0;
    int64_t width = pass->spec->layers[0].fan_in;
    if (!rows) {
        from += u * pass->ld + part.first;
        EACH(i, part.padded, z[i] += from[i]);
        return;
    }
    for (int64_t i = 0; i < part.padded; i++) {
        int64_t row = part.first + (i < part.rows ? i : part.rows - 1);
        z[i] += from[row * width + u];
    }
}

static void FN(shortcut_backward)(const FN(Pass) *pass, int l, int64_t at, Chunk part) {
    int to = l - pass->spec->layers[l].residual; /* the layer that it begins behind */
    if (pass->spec->layers[l].residual == 0 || to < pass->lowest) return;
    T *target = pass->layers[to].grad + at;
    const T *d = pass->layers[l].grad + at;
    if (pass->layers[l].shortcut_adds) {
        EACH(i, part.padded, target[i] += d[i]);
    } else {
        memcpy(target, d, (size_t)part.padded * sizeof(T));
    }
}
