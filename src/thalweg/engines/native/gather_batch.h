/* Collects the rows of a batch: inputs, targets and weights, in the order of the epoch.

   Dense inputs are copied feature by feature, as the layers read them, or row by row
   where BLAS reads the first layer's input. They are not copied at all where BLAS can
   read them in place. Sparse inputs are always read in place, and rows in compact form
   are always written out. */

static void FN(gather_rows)(FN(Pass) *pass, Chunk part) {
    int64_t width = pass->spec->layers[0].fan_in;
    const T *X = pass->data.X;
    for (int64_t r = part.first; r < part.first + part.rows; r++) {
        T *to = pass->gathered + r * width;
        int64_t row = FN(data_row)(pass, r);
        if (pass->data.groups != NULL)
            FN(write_row)(&pass->data, row, to);
        else
            memcpy(to, X + row * width, (size_t)width * sizeof(T));
    }
}

/* Sixteen rows at a time: whole vectors are written, feature by feature. */
static void FN(gather_features)(FN(Pass) *pass, Chunk part) {
    int64_t width = pass->spec->layers[0].fan_in, ld = pass->ld;
    const T *X = pass->data.X;
    for (int64_t r = part.first; r < part.first + part.padded; r += PAD) {
        if (pass->data.groups != NULL) {
            int64_t numbers[PAD];
            for (int l = 0; l < PAD; l++) numbers[l] = FN(data_row)(pass, r + l);
            FN(write_features)(&pass->data, numbers, pass->gathered + r, ld);
            continue;
        }
        const T *rows[PAD];
        for (int l = 0; l < PAD; l++) rows[l] = X + FN(data_row)(pass, r + l) * width;
        FN(transpose_rows)(rows, width, pass->gathered + r, ld);
    }
}

static void FN(gather_targets)(FN(Pass) *pass, Chunk part) {
    int64_t width = pass->spec->layers[pass->spec->n_layers - 1].units;
    const T *targets = pass->data.targets, *weights = pass->data.weights;
    for (int64_t r = part.first; r < part.first + part.padded; r++) {
        int64_t row = FN(data_row)(pass, r);
        T weight = weights != NULL ? weights[row] : 1;
        pass->row_weights[r] = r < pass->rows ? weight : 0;
        if (pass->data.classes != NULL) {
            pass->classes[r] = pass->data.classes[row];
            continue;
        }
        for (int64_t k = 0; k < width; k++)
            pass->targets[k * pass->ld + r] = targets[row * width + k];
    }
}

static bool FN(copies_input)(const FN(Pass) *pass) {
    bool noise = pass->noisy && pass->spec->input_noise > 0;
    return !pass->input_by_row || pass->order != NULL || noise ||
           pass->data.groups != NULL;
}

static void FN(gather_chunk)(void *argument, int layer, int64_t number) {
    FN(Pass) *pass = argument;
    (void)layer;
    if (pass->keep_input) return;
    Chunk part = FN(chunk_of)(pass, number);
    if (pass->data.classes != NULL || pass->data.targets != NULL)
        FN(gather_targets)(pass, part);
    if (pass->data.indptr != NULL || !FN(copies_input)(pass)) return;
    if (pass->input_by_row)
        FN(gather_rows)(pass, part);
    else
        FN(gather_features)(pass, part);
    if (pass->noisy && pass->spec->input_noise > 0) FN(add_input_noise)(pass, part);
}
