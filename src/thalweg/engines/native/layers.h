/* One block of rows through the layers and back.

   Activations lie feature by feature, rows contiguous and padded to PAD with copies of
   the last row, whose weight is 0. The block's rows are cut into chunks; a chunk passes
   through all layers by itself, except where batch normalization needs every row. So a
   pass is a list of operations, cut into phases at those places: `Pass.steps`. */

typedef struct {
    T *centered; /* what normalization made of x W + b, before scale and shift */
    T *pre;      /* pre-activation, where the slope needs it */
    T *active;   /* output of the activation */
    T *out;      /* the same after dropout */
    T *grad;     /* gradient by `out`, then by each of the above in turn */
    T *turned;   /* the last of those row by row, where the matrix's gradient wants it */
    uint8_t *kept;
    T *mean, *inverse; /* of batch normalization, a number a unit */
    T *row_inverse;    /* of layer normalization, a number a row */
    T *partial;        /* (chunks, 2, units): sums over the rows of each chunk */
    bool input_adds, shortcut_adds; /* whether that gradient was begun before */
} FN(Buffers);

typedef struct {
    void (*run)(void *pass, int layer, int64_t chunk);
    int layer;
    bool serial; /* once, when every chunk has come so far */
} FN(Operation);

typedef struct {
    const Spec *spec;
    const T *theta;
    BlasGemm gemm;
    Team *team;
    bool noisy;   /* with dropout and input noise */
    bool fresh;   /* with the batch's own statistics */
    Stream stream;
    Rows data;
    const int32_t *order; /* of the block's rows, or NULL for `start` onwards */
    int64_t start, rows, first; /* `first`: its number within the batch */
    int64_t capacity, ld, chunk;
    bool by_row;  /* the input is taken row by row, by BLAS */
    bool keep_input; /* the same rows as before: no need to gather them again */
    int lowest;   /* the first layer with anything to train */
    T *gathered;
    const T *input;
    T *targets, *row_weights;
    int32_t *classes;
    double *losses; /* a sum a chunk */
    T share;        /* 1 over the batch's weight */
    FN(Buffers) *layers;
    FN(Operation) *steps;
    int n_steps, first_step;
    int n_forward;  /* steps to the loss; those after it are for the gradient */
    int phase_end;
    void *memory;
} FN(Pass);

static Chunk FN(chunk_of)(const FN(Pass) *pass, int64_t number) {
    int64_t first = number * pass->chunk;
    int64_t rows = pass->rows - first < pass->chunk ? pass->rows - first : pass->chunk;
    return (Chunk){first, rows, ROUND_UP(rows, PAD)};
}

static int64_t FN(n_chunks)(const FN(Pass) *pass) {
    return (pass->rows + pass->chunk - 1) / pass->chunk;
}

static int64_t FN(row_of)(const FN(Pass) *pass, int64_t i) {
    if (i >= pass->rows) i = pass->rows - 1;
    return pass->order != NULL ? pass->order[i] : pass->start + i;
}

static bool FN(batch_statistics)(const FN(Pass) *pass, const Layer *layer) {
    return pass->fresh && layer->normalization == BATCH_NORM && !layer->frozen;
}

/* ---- Input ---- */

static void FN(add_noise)(FN(Pass) *pass, Chunk part) {
    const Spec *spec = pass->spec;
    uint32_t width = (uint32_t)spec->layers[0].fan_in;
    for (int64_t r = part.first; r < part.first + part.padded; r++) {
        uint32_t row = (uint32_t)(pass->first + (r < pass->rows ? r : pass->rows - 1));
        for (uint32_t c = 0; c < width; c++) {
            uint32_t within = (row & 1u) * width + c, u, v;
            threefry_words(pass->stream, (row >> 1) * width + (within >> 1), 0, &u, &v);
            T a = ((T)(u >> 8) + (T)0.5) * (T)0x1p-24;
            T turn = (T)(v >> 8) * (T)0x1p-24 * (T)6.283185307179586477;
            T normal = SQRT(-2 * FN(log)(a)) * (within & 1u ? SIN(turn) : COS(turn));
            int64_t at = pass->by_row ? r * width + c : c * pass->ld + r;
            if (pass->by_row && r >= pass->rows) continue;
            pass->gathered[at] += (T)spec->input_noise * normal;
        }
    }
}

static void FN(gather_rows)(FN(Pass) *pass, Chunk part) {
    int64_t width = pass->spec->layers[0].fan_in;
    const T *X = pass->data.X;
    for (int64_t r = part.first; r < part.first + part.rows; r++)
        memcpy(pass->gathered + r * width, X + FN(row_of)(pass, r) * width,
               (size_t)width * sizeof(T));
}

/* Sixteen rows at a time: whole vectors are written, feature by feature. */
static void FN(gather_features)(FN(Pass) *pass, Chunk part) {
    int64_t width = pass->spec->layers[0].fan_in, ld = pass->ld;
    const T *X = pass->data.X;
    for (int64_t r = part.first; r < part.first + part.padded; r += PAD) {
        const T *rows[PAD];
        for (int l = 0; l < PAD; l++) rows[l] = X + FN(row_of)(pass, r + l) * width;
        FN(turn_rows)(rows, width, pass->gathered + r, ld);
    }
}

static void FN(gather_targets)(FN(Pass) *pass, Chunk part) {
    int64_t width = pass->spec->layers[pass->spec->n_layers - 1].units;
    const T *targets = pass->data.targets, *weights = pass->data.weights;
    for (int64_t r = part.first; r < part.first + part.padded; r++) {
        int64_t row = FN(row_of)(pass, r);
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
    return !pass->by_row || pass->order != NULL || noise;
}

static void FN(gather)(void *argument, int layer, int64_t number) {
    FN(Pass) *pass = argument;
    (void)layer;
    if (pass->keep_input) return;
    Chunk part = FN(chunk_of)(pass, number);
    if (pass->data.classes != NULL || pass->data.targets != NULL)
        FN(gather_targets)(pass, part);
    if (pass->data.indptr != NULL || !FN(copies_input)(pass)) return;
    if (pass->by_row)
        FN(gather_rows)(pass, part);
    else
        FN(gather_features)(pass, part);
    if (pass->noisy && pass->spec->input_noise > 0) FN(add_noise)(pass, part);
}

/* ---- Linear part ---- */

static T *FN(linear_target)(const FN(Pass) *pass, int l) {
    const FN(Buffers) *own = &pass->layers[l];
    if (own->centered != NULL) return own->centered;
    return own->pre != NULL ? own->pre : own->active;
}

static const T *FN(layer_input)(const FN(Pass) *pass, int l) {
    return l == 0 ? pass->input : pass->layers[l - 1].out;
}

/* The padded columns repeat the last real one. */
static void FN(pad_columns)(T *z, int64_t units, int64_t ld, Chunk part) {
    for (int64_t u = 0; u < units; u++)
        for (int64_t r = part.rows; r < part.padded; r++)
            z[u * ld + r] = z[u * ld + part.rows - 1];
}

static const T *FN(owned_weights)(const FN(Pass) *pass, const Layer *layer) {
    return pass->theta + pass->spec->layers[layer->owner].weights;
}

/* Units that are summed at once, where what is added lies side by side. */
#define SPAN 64

static void FN(sparse_linear)(FN(Pass) *pass, Chunk part, T *z) {
    const Layer *layer = &pass->spec->layers[0];
    const T *W = FN(owned_weights)(pass, layer), *values = pass->data.X;
    int64_t units = layer->units, ld = pass->ld;
    for (int64_t r = 0; r < part.rows; r++) {
        int64_t row = FN(row_of)(pass, part.first + r);
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

static void FN(linear)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    const Layer *layer = &pass->spec->layers[l];
    Chunk part = FN(chunk_of)(pass, number);
    int64_t m = layer->units, depth = layer->fan_in, ld = pass->ld;
    T *z = FN(linear_target)(pass, l) + part.first;
    if (l == 0 && pass->data.indptr != NULL) {
        FN(sparse_linear)(pass, part, z);
        return;
    }
    const T *W = FN(owned_weights)(pass, layer), *input = FN(layer_input)(pass, l);
    FN(Matrix) w = layer->transposed ? (FN(Matrix)){W, depth, false}
                                     : (FN(Matrix)){W, m, true};
    if (l == 0 && pass->by_row) {
        FN(Matrix) x = {input + part.first * depth, depth, true};
        FN(blas_product)(pass->gemm, m, part.rows, depth, w, x, z, ld, false);
        FN(pad_columns)(z, m, ld, part);
    } else if (pass->gemm == NULL || FN(is_small)(m, part.padded, depth)) {
        FN(Strided) a = layer->transposed ? (FN(Strided)){W, depth, 1}
                                          : (FN(Strided)){W, 1, m};
        FN(small_product)(m, part.padded, depth, a, input + part.first, ld, z, ld, false);
    } else {
        FN(Matrix) x = {input + part.first, ld, false};
        FN(blas_product)(pass->gemm, m, part.padded, depth, w, x, z, ld, false);
    }
}

/* Gradient by the layer's input, from that by its linear part. */
static void FN(linear_back)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    const Layer *layer = &pass->spec->layers[l];
    Chunk part = FN(chunk_of)(pass, number);
    int64_t m = layer->fan_in, depth = layer->units, ld = pass->ld;
    const T *W = FN(owned_weights)(pass, layer);
    const T *d = pass->layers[l].grad + part.first;
    T *to = pass->layers[l - 1].grad + part.first;
    bool add = pass->layers[l].input_adds;
    if (pass->gemm == NULL || FN(is_small)(m, part.padded, depth)) {
        FN(Strided) a = layer->transposed ? (FN(Strided)){W, 1, m}
                                          : (FN(Strided)){W, depth, 1};
        FN(small_product)(m, part.padded, depth, a, d, ld, to, ld, add);
        return;
    }
    FN(Matrix) w = layer->transposed ? (FN(Matrix)){W, m, true}
                                     : (FN(Matrix)){W, depth, false};
    FN(blas_product)(pass->gemm, m, part.padded, depth, w, (FN(Matrix)){d, ld, false}, to,
                     ld, add);
}

/* ---- Normalization ---- */

static T *FN(partial_of)(const FN(Pass) *pass, int l, int64_t chunk, int which) {
    int64_t units = pass->spec->layers[l].units;
    return pass->layers[l].partial + (chunk * 2 + which) * units;
}

/* Sum over the chunks, in their order. */
static T FN(total)(const FN(Pass) *pass, int l, int which, int64_t unit) {
    T total = 0;
    for (int64_t c = 0; c < FN(n_chunks)(pass); c++)
        total += FN(partial_of)(pass, l, c, which)[unit];
    return total;
}

/* Adds the bias; sums over the chunk's rows where the batch's mean is wanted. */
static void FN(begin_norm)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    const Layer *layer = &pass->spec->layers[l];
    Chunk part = FN(chunk_of)(pass, number);
    for (int64_t u = 0; u < layer->units; u++) {
        T *z = pass->layers[l].centered + u * pass->ld + part.first;
        T b = pass->theta[layer->bias + u];
        EACH(i, part.padded, z[i] += b);
        if (FN(batch_statistics)(pass, layer))
            FN(partial_of)(pass, l, number, 0)[u] = FN(sum)(z, part.rows);
    }
}

static void FN(find_mean)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    (void)number;
    for (int64_t u = 0; u < pass->spec->layers[l].units; u++)
        pass->layers[l].mean[u] = FN(total)(pass, l, 0, u) / (T)pass->rows;
}

static void FN(center)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    const FN(Buffers) *own = &pass->layers[l];
    Chunk part = FN(chunk_of)(pass, number);
    for (int64_t u = 0; u < pass->spec->layers[l].units; u++) {
        T *z = own->centered + u * pass->ld + part.first;
        T mean = own->mean[u];
        EACH(i, part.padded, z[i] -= mean);
        FN(partial_of)(pass, l, number, 1)[u] = FN(sum_squares)(z, part.rows);
    }
}

/* The batch's variance is kept behind its mean, for the running statistics. */
static void FN(find_variance)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    const Layer *layer = &pass->spec->layers[l];
    (void)number;
    for (int64_t u = 0; u < layer->units; u++) {
        T variance = FN(total)(pass, l, 1, u) / (T)pass->rows;
        pass->layers[l].inverse[u] = 1 / SQRT(variance + (T)layer->epsilon);
        pass->layers[l].mean[layer->units + u] = variance;
    }
}

/* The running statistics, where they are used as the batch's own. */
static void FN(use_running)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    const Layer *layer = &pass->spec->layers[l];
    (void)number;
    for (int64_t u = 0; u < layer->units; u++) {
        T variance = pass->theta[layer->variance + u];
        pass->layers[l].mean[u] = pass->theta[layer->mean + u];
        pass->layers[l].inverse[u] = 1 / SQRT(variance + (T)layer->epsilon);
    }
}

static void FN(layer_norm)(FN(Pass) *pass, int l, Chunk part) {
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

/* Finishes `centered` and writes scale * centered + shift where the activation reads. */
static void FN(end_norm)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    const Layer *layer = &pass->spec->layers[l];
    const FN(Buffers) *own = &pass->layers[l];
    Chunk part = FN(chunk_of)(pass, number);
    bool by_unit = layer->normalization == BATCH_NORM;
    bool running = by_unit && !FN(batch_statistics)(pass, layer);
    if (!by_unit) FN(layer_norm)(pass, l, part);
    T *target = own->pre != NULL ? own->pre : own->active;
    for (int64_t u = 0; u < layer->units; u++) {
        T *z = own->centered + u * pass->ld + part.first;
        T *y = target + u * pass->ld + part.first;
        T scale = pass->theta[layer->scale + u], shift = pass->theta[layer->shift + u];
        T factor = by_unit ? own->inverse[u] : 1, mean = running ? own->mean[u] : 0;
        EACH(i, part.padded, z[i] = (z[i] - mean) * factor; y[i] = z[i] * scale + shift);
    }
}

/* Sums of dy and of dy * centered over the chunk's rows. */
static void FN(begin_norm_back)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    const FN(Buffers) *own = &pass->layers[l];
    Chunk part = FN(chunk_of)(pass, number);
    for (int64_t u = 0; u < pass->spec->layers[l].units; u++) {
        int64_t at = u * pass->ld + part.first;
        FN(partial_of)(pass, l, number, 0)[u] = FN(sum)(own->grad + at, part.rows);
        FN(partial_of)(pass, l, number, 1)[u] =
            FN(dot)(own->grad + at, own->centered + at, part.rows);
    }
}

static void FN(batch_norm_back)(FN(Pass) *pass, int l, Chunk part) {
    const Layer *layer = &pass->spec->layers[l];
    const FN(Buffers) *own = &pass->layers[l];
    T n = (T)pass->rows;
    for (int64_t u = 0; u < layer->units; u++) {
        T *d = own->grad + u * pass->ld + part.first;
        const T *z = own->centered + u * pass->ld + part.first;
        T factor = pass->theta[layer->scale + u] * own->inverse[u];
        if (!FN(batch_statistics)(pass, layer)) {
            EACH(i, part.padded, d[i] *= factor);
            continue;
        }
        T mean = FN(total)(pass, l, 0, u) / n, slope = FN(total)(pass, l, 1, u) / n;
        EACH(i, part.padded, d[i] = factor * (d[i] - mean - z[i] * slope));
        for (int64_t i = part.rows; i < part.padded; i++) d[i] = 0;
    }
}

static void FN(layer_norm_back)(FN(Pass) *pass, int l, Chunk part) {
    const Layer *layer = &pass->spec->layers[l];
    const FN(Buffers) *own = &pass->layers[l];
    const T *scale = pass->theta + layer->scale;
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

static void FN(end_norm_back)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    Chunk part = FN(chunk_of)(pass, number);
    if (pass->spec->layers[l].normalization == LAYER_NORM)
        FN(layer_norm_back)(pass, l, part);
    else
        FN(batch_norm_back)(pass, l, part);
}

/* ---- Gradients by row, for the matrices ---- */

/* From row to row of `turned`; no power of two, as for `ld`. */
static int64_t FN(turned_ld)(const Layer *layer) {
    int64_t ld = ROUND_UP(layer->units, PAD);
    return ld * (int64_t)sizeof(T) % 2048 == 0 ? ld + PAD : ld;
}

/* Whether that pays: measured. The wider the vectors, the more do sums along the rows
   cost at their ends; with eight lanes or fewer they are as fast as the product. */
static bool FN(turns)(const Layer *layer) {
    return LANES > 8 && !layer->transposed && layer->units >= LANES &&
           layer->fan_in >= 2 * LANES;
}

static void FN(turn)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    const Layer *layer = &pass->spec->layers[l];
    Chunk part = FN(chunk_of)(pass, number);
    int64_t units = layer->units, ld = pass->ld, step = FN(turned_ld)(layer);
    const T *d = pass->layers[l].grad + part.first;
    T *to = pass->layers[l].turned + part.first * step;
    for (int64_t u = 0; u < units; u += PAD) {
        const T *rows[PAD];
        for (int k = 0; k < PAD; k++) rows[k] = d + (u + k < units ? u + k : units - 1) * ld;
        FN(turn_rows)(rows, part.padded, to + u, step);
    }
}

/* ---- Activation, shortcut and dropout ---- */

static const T *FN(shortcut)(const FN(Pass) *pass, int l) {
    int span = pass->spec->layers[l].residual;
    return span == 0 ? NULL : FN(layer_input)(pass, l + 1 - span);
}

/* Element (feature u, row i of the block) of a shortcut, which may be the input. */
static void FN(add_shortcut)(const FN(Pass) *pass, int l, int64_t u, Chunk part, T *z) {
    const T *from = FN(shortcut)(pass, l);
    bool rows = pass->by_row && l + 1 - pass->spec->layers[l].residual == 0;
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

static void FN(drop)(FN(Pass) *pass, int l, Chunk part) {
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
             uint32_t word = element_word(pass->stream, (uint32_t)l + 1u,
                                          row + (uint32_t)i, u, width);
             kept[i] = word >= limit; out[i] = kept[i] ? a[i] / rest : 0);
    }
}

static bool FN(drops)(const FN(Pass) *pass, int l) {
    return pass->noisy && pass->spec->layers[l].dropout > 0;
}

static void FN(finish)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    const Layer *layer = &pass->spec->layers[l];
    const FN(Buffers) *own = &pass->layers[l];
    Chunk part = FN(chunk_of)(pass, number);
    bool normalized = layer->normalization != NO_NORM;
    T constant = (T)layer->activation_constant;
    for (int64_t u = 0; u < layer->units; u++) {
        int64_t at = u * pass->ld + part.first;
        T *a = own->active + at, *z = own->pre != NULL ? own->pre + at : a;
        T b = normalized ? 0 : pass->theta[layer->bias + u];
        if (own->pre != NULL || layer->residual) {
            EACH(i, part.padded, z[i] += b);
            b = 0;
        }
        if (layer->residual) FN(add_shortcut)(pass, l, u, part, z);
        FN(activate)(layer->activation, constant, part.padded, z, b, a);
    }
    if (FN(drops)(pass, l))
        FN(drop)(pass, l, part);
    else if (own->out != own->active)
        for (int64_t u = 0; u < layer->units; u++) {
            int64_t at = u * pass->ld + part.first;
            memcpy(own->out + at, own->active + at, (size_t)part.padded * sizeof(T));
        }
}

static void FN(shortcut_back)(const FN(Pass) *pass, int l, int64_t at, Chunk part) {
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

static void FN(finish_back)(void *argument, int l, int64_t number) {
    FN(Pass) *pass = argument;
    const Layer *layer = &pass->spec->layers[l];
    const FN(Buffers) *own = &pass->layers[l];
    Chunk part = FN(chunk_of)(pass, number);
    T rest = 1 - (T)layer->dropout, constant = (T)layer->activation_constant;
    for (int64_t u = 0; u < layer->units; u++) {
        int64_t at = u * pass->ld + part.first;
        T *d = own->grad + at;
        const T *a = own->active + at, *z = own->pre != NULL ? own->pre + at : a;
        if (FN(drops)(pass, l)) {
            const uint8_t *kept = own->kept + at;
            EACH(i, part.padded, d[i] = kept[i] ? d[i] / rest : 0);
        }
        FN(activate_back)(layer->activation, constant, part.padded, z, a, d);
        FN(shortcut_back)(pass, l, at, part);
    }
}

/* ---- The list of operations ---- */

static void FN(list)(FN(Pass) *pass, int layer, bool serial,
                     void (*run)(void *, int, int64_t)) {
    pass->steps[pass->n_steps++] = (FN(Operation)){run, layer, serial};
}

static void FN(list_forward)(FN(Pass) *pass) {
    for (int l = 0; l < pass->spec->n_layers; l++) {
        const Layer *layer = &pass->spec->layers[l];
        if (layer->normalization == BATCH_NORM && !FN(batch_statistics)(pass, layer))
            FN(list)(pass, l, true, FN(use_running));
    }
    FN(list)(pass, 0, false, FN(gather));
    for (int l = 0; l < pass->spec->n_layers; l++) {
        const Layer *layer = &pass->spec->layers[l];
        FN(list)(pass, l, false, FN(linear));
        if (layer->normalization != NO_NORM) FN(list)(pass, l, false, FN(begin_norm));
        if (FN(batch_statistics)(pass, layer)) {
            FN(list)(pass, l, true, FN(find_mean));
            FN(list)(pass, l, false, FN(center));
            FN(list)(pass, l, true, FN(find_variance));
        }
        if (layer->normalization != NO_NORM) FN(list)(pass, l, false, FN(end_norm));
        FN(list)(pass, l, false, FN(finish));
    }
}

static void FN(nothing)(void *pass, int layer, int64_t chunk) {
    (void)pass, (void)layer, (void)chunk;
}

static void FN(list_backward)(FN(Pass) *pass) {
    for (int l = pass->spec->n_layers - 1; l >= pass->lowest; l--) {
        const Layer *layer = &pass->spec->layers[l];
        FN(list)(pass, l, false, FN(finish_back));
        if (layer->normalization != NO_NORM) {
            FN(list)(pass, l, false, FN(begin_norm_back));
            if (FN(batch_statistics)(pass, layer)) FN(list)(pass, l, true, FN(nothing));
            FN(list)(pass, l, false, FN(end_norm_back));
        }
        if (pass->layers[l].turned != NULL) FN(list)(pass, l, false, FN(turn));
        if (l > pass->lowest) FN(list)(pass, l, false, FN(linear_back));
    }
}

static void FN(phase)(void *argument, int64_t number, int worker) {
    FN(Pass) *pass = argument;
    (void)worker;
    for (int s = pass->first_step; s < pass->phase_end; s++)
        pass->steps[s].run(pass, pass->steps[s].layer, number);
}

/* Runs the list: chunks side by side, serial operations in between. */
static void FN(run_pass)(FN(Pass) *pass) {
    int s = 0;
    pass->input = FN(copies_input)(pass) ? pass->gathered
                                         : (const T *)pass->data.X +
                                               pass->start * pass->spec->layers[0].fan_in;
    while (s < pass->n_steps) {
        if (pass->steps[s].serial) {
            pass->steps[s].run(pass, pass->steps[s].layer, 0);
            s++;
            continue;
        }
        pass->first_step = s;
        while (s < pass->n_steps && !pass->steps[s].serial) s++;
        pass->phase_end = s;
        team_run(pass->team, FN(phase), pass, FN(n_chunks)(pass));
    }
}
