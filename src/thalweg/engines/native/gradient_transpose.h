/* The gradient by a layer's linear part, transposed: row by row instead of by feature.

   Where a layer is wide enough, the gradient of its weights is computed faster from the
   transposed gradient, as a product with vectors of units (gemm_blocked.h), than by dot
   products along the rows (gemm_dots.h). Sparse inputs always need it. */

/* From row to row of the transposed gradient; no power of two, as for `ld`. */
static int64_t FN(transposed_ld)(const Layer *layer) {
    int64_t ld = ROUND_UP(layer->units, PAD);
    return ld * (int64_t)sizeof(T) % 2048 == 0 ? ld + PAD : ld;
}

/* Whether transposing pays, as measured. A sum along the rows has to add up the lanes
   of a vector at its end, which costs more the wider the vectors are; with eight lanes
   or fewer, dot products are as fast as the product of vectors of units. */
static bool FN(wants_transposed_gradient)(const Layer *layer) {
    return LANES > 8 && !layer->transposed && layer->units >= LANES &&
           layer->fan_in >= 2 * LANES;
}

static void FN(transpose_gradient)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    const Layer *layer = &pass->spec->layers[l];
    Chunk part = FN(chunk_of)(pass, number);
    int64_t units = layer->units, ld = pass->ld, step = FN(transposed_ld)(layer);
    const T *d = pass->layers[l].grad + part.first;
    T *to = pass->layers[l].grad_by_row + part.first * step;
    for (int64_t u = 0; u < units; u += PAD) {
        const T *rows[PAD];
        for (int k = 0; k < PAD; k++)
            rows[k] = d + (u + k < units ? u + k : units - 1) * ld;
        FN(transpose_rows)(rows, part.padded, to + u, step);
    }
}
