/* The loss of each single row of given outputs, for validation. */

/* Loss of each row of `outputs` (n_rows, n_outputs), without penalties. */
static int FN(row_losses)(const Spec *spec, const void *outputs, const Rows *rows,
                          void *result) {
    int64_t n = spec->layers[spec->n_layers - 1].units;
    const T *z = outputs, *targets = rows->targets;
    T *block = aligned_zeros((size_t)(3 * n * PAD) * sizeof(T));
    if (block == NULL) return -1;
    for (int64_t first = 0; first < rows->n_rows; first += PAD) {
        T loss[PAD] = {0}, share[PAD] = {0};
        int32_t classes[PAD];
        for (int i = 0; i < PAD; i++) {
            int64_t row = first + i < rows->n_rows ? first + i : rows->n_rows - 1;
            if (rows->classes != NULL) classes[i] = rows->classes[row];
            for (int64_t k = 0; k < n; k++) {
                block[k * PAD + i] = z[row * n + k];
                if (targets != NULL) block[(n + k) * PAD + i] = targets[row * n + k];
            }
        }
        FN(LossRows) s = {
            .n = n, .ld = PAD, .z = block, .targets = block + n * PAD,
            .classes = rows->classes != NULL ? classes : NULL, .share = share,
            .constant = (T)spec->loss_constant,
            .variant = spec->loss_variant, .d = block + 2 * n * PAD, .loss = loss,
        };
        FN(loss_and_slope)(spec->loss, &s);
        for (int i = 0; i < PAD && first + i < rows->n_rows; i++)
            ((T *)result)[first + i] = (T)spec->loss_scale * loss[i];
    }
    free_aligned(block);
    return 0;
}
