/* Gradients of weights, biases, scales and shifts, from the gradients of a pass.

   The gradient of a weight matrix is the product of the layer's input with the gradient
   by its linear part, summed over the rows of the batch. Each matrix is cut into tiles
   of its rows. Where layers share a matrix, its gradient is a sum over these layers. */

static void FN(sparse_gradient)(FN(Session) *s, T *to) {
    FN(Pass) *pass = &s->pass;
    int64_t units = s->spec.layers[0].units, width = s->spec.layers[0].fan_in;
    const T *values = pass->data.X, *slopes = pass->layers[0].grad_by_row;
    int64_t step = FN(transposed_ld)(&s->spec.layers[0]);
    if (s->first_block) memset(to, 0, (size_t)(units * width) * sizeof(T));
    for (int64_t r = 0; r < pass->rows; r++) {
        int64_t row = FN(data_row)(pass, r);
        for (int64_t e = pass->data.indptr[row]; e < pass->data.indptr[row + 1]; e++) {
            T *w = to + pass->data.indices[e] * units, x = values[e];
            const T *d = slopes + r * step;
            NO_OVERLAP for (int64_t u = 0; u < units; u++) w[u] += x * d[u];
        }
    }
}

/* What layer l, which uses the owner's matrix, adds to the tile of its gradient. */
static void FN(matrix_gradient)(FN(Session) *s, int l, Tile tile, bool add) {
    FN(Pass) *pass = &s->pass;
    const Layer *layer = &s->spec.layers[l], *owner = &s->spec.layers[tile.owner];
    int64_t n = owner->units, ld = pass->ld;
    T *to = s->gradient + owner->weights + tile.first * n;
    const T *input = FN(layer_input)(pass, l), *d = pass->layers[l].grad;
    if (l == 0 && pass->data.indptr != NULL) {
        FN(sparse_gradient)(s, to);
        return;
    }
    if (pass->layers[l].grad_by_row != NULL) {
        bool rows = l == 0 && pass->input_by_row;
        FN(Strided) x = rows ? (FN(Strided)){input + tile.first, 1, layer->fan_in}
                             : (FN(Strided)){input + tile.first * ld, ld, 1};
        FN(blocked_product)(tile.rows, n, pass->rows, x, pass->layers[l].grad_by_row,
                            FN(transposed_ld)(layer), to, n, add);
        return;
    }
    FN(Matrix) right = {layer->transposed ? input : d, ld, true};
    if (l == 0 && pass->input_by_row) {
        FN(Matrix) left = {input + tile.first, layer->fan_in, true};
        FN(blas_product)(pass->gemm, tile.rows, n, pass->rows, left, right, to, n, add);
        return;
    }
    const T *left = (layer->transposed ? d : input) + tile.first * ld;
    int64_t padded = ROUND_UP(pass->rows, PAD);
    if (pass->gemm == NULL || FN(is_small_product)(tile.rows, n, padded))
        FN(row_dot_products)(tile.rows, n, padded, left, ld, right.data, ld, to, n,
                             add);
    else
        FN(blas_product)(pass->gemm, tile.rows, n, pass->rows,
                         (FN(Matrix)){left, ld, false}, right, to, n, add);
}

static void FN(vector_gradients)(FN(Session) *s, int l) {
    FN(Pass) *pass = &s->pass;
    const Layer *layer = &s->spec.layers[l];
    bool add = !s->first_block;
    T *bias = s->gradient + layer->bias, sums[4];
    for (int64_t u = 0; u < layer->units; u += 4) {
        int64_t rows = layer->units - u < 4 ? layer->units - u : 4;
        /* The slopes of padded rows are 0. */
        FN(row_sums)(pass->layers[l].grad + u * pass->ld, pass->ld, rows,
                     ROUND_UP(pass->rows, PAD), sums);
        for (int64_t k = 0; k < rows; k++)
            bias[u + k] = (add ? bias[u + k] : 0) + sums[k];
    }
    if (layer->normalization == NO_NORM) return;
    T *shift = s->gradient + layer->shift, *scale = s->gradient + layer->scale;
    for (int64_t u = 0; u < layer->units; u++) {
        shift[u] = (add ? shift[u] : 0) + FN(total_over_chunks)(pass, l, 0, u);
        scale[u] = (add ? scale[u] : 0) + FN(total_over_chunks)(pass, l, 1, u);
    }
}

static void FN(gradient_tile)(void *argument, int64_t number, int worker) {
    FN(Session) *s = argument;
    Tile tile = s->tiles[number];
    bool add = !s->first_block;
    (void)worker;
    if (tile.owner < 0) {
        FN(vector_gradients)(s, tile.layer);
        return;
    }
    for (int l = tile.owner; l < s->spec.n_layers; l++) {
        if (s->spec.layers[l].owner != tile.owner) continue;
        FN(matrix_gradient)(s, l, tile, add);
        add = true;
    }
}

static int64_t FN(tile_rows)(const FN(Session) *s, int l) {
    const Layer *layer = &s->spec.layers[l];
    int64_t work = layer->fan_in * layer->units * s->pass.capacity;
    int64_t tiles = work / (SERIAL_STEP / 2);
    tiles = tiles < 1 ? 1 : (tiles > MOST_CHUNKS ? MOST_CHUNKS : tiles);
    bool sparse = l == 0 && s->rows.indptr != NULL;
    return sparse ? layer->fan_in : ROUND_UP((layer->fan_in + tiles - 1) / tiles, 8);
}

static void FN(list_tiles)(FN(Session) *s, bool count_only) {
    s->n_tiles = 0;
    for (int l = 0; l < s->spec.n_layers; l++) {
        const Layer *layer = &s->spec.layers[l];
        if (layer->frozen) continue;
        int64_t step = FN(tile_rows)(s, l);
        for (int64_t i = 0; layer->owner == l && i < layer->fan_in; i += step) {
            int64_t rows = layer->fan_in - i < step ? layer->fan_in - i : step;
            if (!count_only) s->tiles[s->n_tiles] = (Tile){l, l, i, rows};
            s->n_tiles++;
        }
        if (!count_only) s->tiles[s->n_tiles] = (Tile){-1, l, 0, 0};
        s->n_tiles++;
    }
}
