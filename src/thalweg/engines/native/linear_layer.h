/* The linear part of a layer, x W, and the gradient by its input.

   The bias is added later, with whatever follows: the normalization or the activation.
   The first layer reads dense rows or compressed sparse ones. A layer can use the
   weights of another one, the owner, also transposed. */

/* Where x W is written: the first buffer that the layer has for what follows. */
static T *FN(linear_output)(const FN(Pass) *pass, int l) {
    const FN(LayerBuffers) *own = &pass->layers[l];
    if (own->centered != NULL) return own->centered;
    return own->pre != NULL ? own->pre : own->active;
}

/* The padded columns repeat the last real one. */
static void FN(pad_columns)(T *z, int64_t units, int64_t ld, Chunk part) {
    for (int64_t u = 0; u < units; u++)
        for (int64_t r = part.rows; r < part.padded; r++)
            z[u * ld + r] = z[u * ld + part.rows - 1];
}

static const T *FN(owned_weights)(const FN(Pass) *pass, const Layer *layer) {
    return pass->parameters + pass->spec->layers[layer->owner].weights;
}

/* Units that are summed at once for a sparse row: their weights lie side by side. */
#define SPAN 64

static void FN(sparse_linear_forward)(FN(Pass) *pass, Chunk part, T *z) {
    const Layer *layer = &pass->spec->layers[0];
    const T *W = FN(owned_weights)(pass, layer), *values = pass->data.X;
    int64_t units = layer->units, ld = pass->ld;
    for (int64_t r = 0; r < part.rows; r++) {
        int64_t row = FN(data_row)(pass, part.first + r);
        for (int64_t first = 0; first < units; first += SPAN) {
            int64_t n = units - first < SPAN ? units - first : SPAN;
            T sums[SPAN] = {0};
            for (int64_t e = pass->data.indptr[row]; e < pass->data.indptr[row + 1]; e++) {
                const T *w = W + pass->data.indices[e] * units + first;
                T x = values[e];
                for (int64_t u = 0; u < n; u++) sums[u] += x * w[u];
            }
            for (int64_t u = 0; u < n; u++) z[(first + u) * ld + r] = sums[u];
        }
    }
    FN(pad_columns)(z, units, ld, part);
}

static void FN(linear_forward)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    const Layer *layer = &pass->spec->layers[l];
    Chunk part = FN(chunk_of)(pass, number);
    int64_t m = layer->units, depth = layer->fan_in, ld = pass->ld;
    T *z = FN(linear_output)(pass, l) + part.first;
    if (l == 0 && pass->data.indptr != NULL) {
        FN(sparse_linear_forward)(pass, part, z);
        return;
    }
    const T *W = FN(owned_weights)(pass, layer), *input = FN(layer_input)(pass, l);
    FN(Matrix) w = layer->transposed ? (FN(Matrix)){W, depth, false}
                                     : (FN(Matrix)){W, m, true};
    if (l == 0 && pass->input_by_row) {
        FN(Matrix) x = {input + part.first * depth, depth, true};
        FN(blas_product)(pass->gemm, m, part.rows, depth, w, x, z, ld, false);
        FN(pad_columns)(z, m, ld, part);
    } else if (pass->gemm == NULL || FN(is_small_product)(m, part.padded, depth)) {
        FN(Strided) a = layer->transposed ? (FN(Strided)){W, depth, 1}
                                          : (FN(Strided)){W, 1, m};
        FN(blocked_product)(m, part.padded, depth, a, input + part.first, ld, z, ld,
                            false);
    } else {
        FN(Matrix) x = {input + part.first, ld, false};
        FN(blas_product)(pass->gemm, m, part.padded, depth, w, x, z, ld, false);
    }
}

/* Gradient by the layer's input, from that by its linear part. */
static void FN(linear_backward)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    const Layer *layer = &pass->spec->layers[l];
    Chunk part = FN(chunk_of)(pass, number);
    int64_t m = layer->fan_in, depth = layer->units, ld = pass->ld;
    const T *W = FN(owned_weights)(pass, layer);
    const T *d = pass->layers[l].grad + part.first;
    T *to = pass->layers[l - 1].grad + part.first;
    bool add = pass->layers[l].input_adds;
    if (pass->gemm == NULL || FN(is_small_product)(m, part.padded, depth)) {
        FN(Strided) a = layer->transposed ? (FN(Strided)){W, 1, m}
                                          : (FN(Strided)){W, depth, 1};
        FN(blocked_product)(m, part.padded, depth, a, d, ld, to, ld, add);
        return;
    }
    FN(Matrix) w = layer->transposed ? (FN(Matrix)){W, m, true}
                                     : (FN(Matrix)){W, depth, false};
    FN(blas_product)(pass->gemm, m, part.padded, depth, w, (FN(Matrix)){d, ld, false}, to,
                     ld, add);
}
