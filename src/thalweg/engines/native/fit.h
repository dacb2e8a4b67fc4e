/* Sessions: gradients of a batch, steps, whole epochs; cost and gradient; outputs.

   A step has up to five phases, each spread over the team and each with work that is
   cut up by the shapes alone, so that the number of workers never changes a bit:
   rows forward and back (layers.h), gradients of the matrices by tiles, penalties and
   norms by pieces, the update rule by pieces, and the addition by pieces. */

/* Rows that pass through at once: larger batches take several blocks. */
#define BLOCK_ROWS 1024
/* Rows of one chunk, where a step is worth cutting up at all. */
#define CHUNK_ROWS 64
#define MOST_CHUNKS 16
#define PIECE 4096
/* Slices of a training after which it is tried again how many workers are faster. */
#define RETRY 32
/* Multiply-adds of a step below which nothing is cut up: about 100 microseconds. */
#define SERIAL_STEP 3000000
/* And below which a second worker does not pay: about 200 microseconds. */
#define PARALLEL_STEP 8000000

typedef struct {
    Spec spec;
    Layer *layers;
    Rows rows;
    T *theta, *gradient, *accumulated, *average, *states[MAX_STATES];
    FN(Pass) pass;
    Tile *tiles;
    Piece *pieces;
    Norms *norms;
    int64_t n_tiles, n_pieces;
    int64_t step, updates; /* batches met, updates done */
    double total_weight, ratio;
    T l1, l2; /* divided by what the plan divides them by */
    FN(Step) rule;
    double rate, mix;
    double pace[2]; /* seconds a step of late, alone and by the team */
    int64_t slices; /* calls of `advance` that had a team to choose */
    bool first_block;
    bool same_rows; /* every step meets the same rows in the same order */
} FN(Session);

/* ---- Sizes ---- */

/* Of one step on so many rows; an activation costs about as much as sixteen. */
static int64_t FN(multiply_adds)(const Spec *spec, int64_t rows) {
    int64_t total = 0;
    for (int l = 0; l < spec->n_layers; l++) {
        const Layer *layer = &spec->layers[l];
        total += rows * layer->units * (layer->fan_in * (l > 0 ? 3 : 2) + 16);
    }
    return total;
}

/* Batch normalization needs all rows of a batch at once. */
static int64_t FN(block_rows)(const Spec *spec, int64_t batch) {
    for (int l = 0; l < spec->n_layers; l++)
        if (spec->layers[l].normalization == BATCH_NORM && !spec->layers[l].frozen)
            return batch;
    return batch <= BLOCK_ROWS ? batch : BLOCK_ROWS;
}

static int64_t FN(chunk_rows)(const Spec *spec, int64_t rows) {
    if (rows < 1) rows = 1;
    if (FN(multiply_adds)(spec, rows) < SERIAL_STEP) return ROUND_UP(rows, PAD);
    int64_t least = (rows + MOST_CHUNKS - 1) / MOST_CHUNKS;
    return ROUND_UP(least > CHUNK_ROWS ? least : CHUNK_ROWS, PAD);
}

static void *FN(take_numbers)(Arena *arena, int64_t n) {
    return take(arena, (size_t)(n > 0 ? n : 0) * sizeof(T));
}

static void FN(lay_out_layer)(const FN(Pass) *pass, const Layer *layer,
                              FN(Buffers) *own, Arena *arena, bool backward) {
    int64_t size = layer->units * pass->ld;
    int64_t chunks = (pass->capacity + pass->chunk - 1) / pass->chunk;
    bool keep = backward && activation_needs_input(layer->activation);
    if (layer->normalization != NO_NORM) {
        own->centered = FN(take_numbers)(arena, size);
        own->mean = FN(take_numbers)(arena, 2 * layer->units);
        own->inverse = FN(take_numbers)(arena, layer->units);
        own->row_inverse = FN(take_numbers)(arena, pass->ld);
        own->partial = FN(take_numbers)(arena, chunks * 2 * layer->units);
    }
    if (keep) own->pre = FN(take_numbers)(arena, size);
    own->active = FN(take_numbers)(arena, size);
    own->out = own->active;
    if (pass->noisy && layer->dropout > 0) {
        own->out = FN(take_numbers)(arena, size);
        own->kept = take(arena, (size_t)size);
    }
    if (backward) own->grad = FN(take_numbers)(arena, size);
    bool sparse = layer == pass->spec->layers && pass->data.indptr != NULL;
    if (backward && (FN(turns)(layer) || sparse))
        own->turned = FN(take_numbers)(arena, pass->ld * FN(turned_ld)(layer));
}

static void FN(lay_out)(FN(Pass) *pass, Arena *arena, bool backward) {
    const Spec *spec = pass->spec;
    const Layer *last = &spec->layers[spec->n_layers - 1];
    pass->layers = take(arena, sizeof(FN(Buffers)) * (size_t)spec->n_layers);
    pass->steps = take(arena, sizeof(FN(Operation)) * (size_t)(12 * spec->n_layers + 4));
    for (int l = 0; l < spec->n_layers; l++) {
        FN(Buffers) measured = {0}; /* the first time, there is nothing to write to */
        FN(Buffers) *own = pass->layers == NULL ? &measured : &pass->layers[l];
        FN(lay_out_layer)(pass, &spec->layers[l], own, arena, backward);
    }
    pass->gathered = FN(take_numbers)(arena, spec->layers[0].fan_in * pass->ld);
    pass->losses = take(arena, sizeof(double) * (size_t)(pass->capacity / pass->chunk + 1));
    if (!backward) return;
    pass->row_weights = FN(take_numbers)(arena, pass->ld);
    if (pass->data.classes != NULL)
        pass->classes = take(arena, sizeof(int32_t) * (size_t)pass->ld);
    else
        pass->targets = FN(take_numbers)(arena, last->units * pass->ld);
}

/* Whether a gradient was begun by a shortcut before the layer above adds to it. */
static void FN(find_additions)(FN(Pass) *pass) {
    const Spec *spec = pass->spec;
    for (int l = spec->n_layers - 1; l >= pass->lowest; l--) {
        for (int other = spec->n_layers - 1; other >= l; other--) {
            int to = other - spec->layers[other].residual;
            bool begins = spec->layers[other].residual > 0;
            if (begins && to == l - 1) pass->layers[l].input_adds = true;
            int mine = l - spec->layers[l].residual;
            if (begins && other > l && to == mine) pass->layers[l].shortcut_adds = true;
        }
    }
}

/* A pass over blocks of up to `capacity` rows; false if there is no memory. */
static bool FN(open_pass)(FN(Pass) *pass, const Spec *spec, const Rows *data,
                          int64_t capacity, int64_t chunk, bool noisy, bool backward,
                          BlasGemm gemm) {
    memset(pass, 0, sizeof *pass);
    pass->spec = spec;
    pass->data = *data;
    pass->gemm = gemm;
    pass->noisy = noisy;
    pass->fresh = backward;
    pass->lowest = backward ? lowest_trained(spec) : spec->n_layers;
    pass->capacity = capacity > 0 ? capacity : 1;
    pass->chunk = chunk;
    pass->ld = ROUND_UP(pass->capacity, PAD);
    /* A power of two would map every feature to the same sets of the cache. */
    if (pass->ld * (int64_t)sizeof(T) % 2048 == 0) pass->ld += PAD;
    const Layer *first = &spec->layers[0];
    int64_t part = pass->chunk < pass->capacity ? pass->chunk : pass->capacity;
    pass->by_row = gemm != NULL && data->indptr == NULL &&
                   !FN(is_small)(first->units, part, first->fan_in);
    Arena arena = {NULL, 0};
    FN(lay_out)(pass, &arena, backward);
    pass->memory = arena.base = aligned_zeros(arena.used);
    if (pass->memory == NULL) return false;
    arena.used = 0;
    FN(lay_out)(pass, &arena, backward);
    FN(find_additions)(pass);
    FN(list_forward)(pass);
    if (!backward) return true;
    FN(list)(pass, spec->n_layers - 1, false, FN(loss));
    pass->n_forward = pass->n_steps;
    FN(list_backward)(pass);
    return true;
}

/* ---- Gradients of the matrices ---- */

static void FN(sparse_gradient)(FN(Session) *s, T *to) {
    FN(Pass) *pass = &s->pass;
    int64_t units = s->spec.layers[0].units, width = s->spec.layers[0].fan_in;
    const T *values = pass->data.X, *slopes = pass->layers[0].turned;
    int64_t step = FN(turned_ld)(&s->spec.layers[0]);
    if (s->first_block) memset(to, 0, (size_t)(units * width) * sizeof(T));
    for (int64_t r = 0; r < pass->rows; r++) {
        int64_t row = FN(row_of)(pass, r);
        for (int64_t e = pass->data.indptr[row]; e < pass->data.indptr[row + 1]; e++) {
            T *w = to + pass->data.indices[e] * units, x = values[e];
            const T *d = slopes + r * step;
            NO_OVERLAP for (int64_t u = 0; u < units; u++) w[u] += x * d[u];
        }
    }
}

/* What layer l, which uses the owner's matrix, adds to rows [first, first + rows). */
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
    if (pass->layers[l].turned != NULL) {
        bool rows = l == 0 && pass->by_row;
        FN(Strided) x = rows ? (FN(Strided)){input + tile.first, 1, layer->fan_in}
                             : (FN(Strided)){input + tile.first * ld, ld, 1};
        FN(small_product)(tile.rows, n, pass->rows, x, pass->layers[l].turned,
                          FN(turned_ld)(layer), to, n, add);
        return;
    }
    FN(Matrix) right = {layer->transposed ? input : d, ld, true};
    if (l == 0 && pass->by_row) {
        FN(Matrix) left = {input + tile.first, layer->fan_in, true};
        FN(blas_product)(pass->gemm, tile.rows, n, pass->rows, left, right, to, n, add);
        return;
    }
    const T *left = (layer->transposed ? d : input) + tile.first * ld;
    int64_t padded = ROUND_UP(pass->rows, PAD);
    if (pass->gemm == NULL || FN(is_small)(tile.rows, n, padded))
        FN(small_dots)(tile.rows, n, padded, left, ld, right.data, ld, to, n, add);
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
        for (int64_t k = 0; k < rows; k++) bias[u + k] = (add ? bias[u + k] : 0) + sums[k];
    }
    if (layer->normalization == NO_NORM) return;
    T *shift = s->gradient + layer->shift, *scale = s->gradient + layer->scale;
    for (int64_t u = 0; u < layer->units; u++) {
        shift[u] = (add ? shift[u] : 0) + FN(total)(pass, l, 0, u);
        scale[u] = (add ? scale[u] : 0) + FN(total)(pass, l, 1, u);
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

static void FN(add_pieces)(FN(Session) *s, int64_t from, int64_t to, bool is_weights,
                           double rate, bool count_only) {
    for (; from < to; from += PIECE) {
        int64_t n = to - from < PIECE ? to - from : PIECE;
        if (!count_only) s->pieces[s->n_pieces] = (Piece){from, n, is_weights, rate};
        s->n_pieces++;
    }
}

static void FN(list_pieces)(FN(Session) *s, bool count_only) {
    s->n_pieces = 0;
    for (int l = 0; l < s->spec.n_layers; l++) {
        const Layer *layer = &s->spec.layers[l];
        if (layer->frozen) continue;
        int64_t matrix = layer->owner == l ? layer->fan_in * layer->units : 0;
        int64_t vectors = layer->units * (layer->normalization == NO_NORM ? 1 : 3);
        if (matrix > 0)
            FN(add_pieces)(s, layer->weights, layer->weights + matrix, true, layer->rate,
                           count_only);
        FN(add_pieces)(s, layer->bias, layer->bias + vectors, false, layer->rate,
                       count_only);
    }
}

/* ---- The objective of a batch and its gradient ---- */

static bool FN(all_one)(const T *weights, int64_t n) {
    for (int64_t i = 0; weights != NULL && i < n; i++)
        if (weights[i] != 1) return false;
    return true;
}

static double FN(weight_of)(const Rows *rows, const int32_t *order, int64_t start,
                            int64_t n) {
    const T *weights = rows->weights;
    if (weights == NULL) return (double)n;
    double total = 0;
    for (int64_t i = 0; i < n; i++)
        total += (double)weights[order != NULL ? order[i] : start + i];
    return total;
}

/* Loss of the batch, without penalties; the gradient goes to s->gradient. */
static double FN(descend)(FN(Session) *s, const int32_t *order, int64_t start, int64_t n,
                          double weight) {
    FN(Pass) *pass = &s->pass;
    double total = 0, some = weight > 0 ? weight : 1;
    pass->theta = s->theta;
    pass->share = (T)(1 / some);
    pass->stream = (Stream){s->spec.seed, (uint32_t)s->step};
    for (int64_t first = 0; first < n; first += pass->capacity) {
        pass->rows = n - first < pass->capacity ? n - first : pass->capacity;
        pass->order = order == NULL ? NULL : order + first;
        pass->start = start + first;
        pass->first = first;
        FN(run_pass)(pass);
        s->first_block = first == 0;
        if (pass->n_steps > pass->n_forward)
            team_run(pass->team, FN(gradient_tile), s, s->n_tiles);
        for (int64_t c = 0; c < FN(n_chunks)(pass); c++) total += pass->losses[c];
    }
    return total / some;
}

INLINE T FN(absolute_slope)(T w) { return w >= 0 ? 1 : (w < 0 ? -1 : w); }

/* Adds the penalties' slopes to a piece of the gradient, and takes its norms. */
static void FN(penalize)(void *argument, int64_t number, int worker) {
    FN(Session) *s = argument;
    Piece piece = s->pieces[number];
    Norms *norms = &s->norms[number];
    T *g = s->gradient + piece.first, l1 = s->l1, l2 = s->l2;
    const T *w = s->theta + piece.first;
    (void)worker;
    norms->penalty = 0;
    if (piece.is_weights && l2 != 0) {
        for (int64_t i = 0; i < piece.n; i++) g[i] += l2 * w[i];
        norms->penalty += (double)(l2 / 2 * FN(sum_squares)(w, piece.n));
    }
    if (piece.is_weights && l1 != 0) {
        double size = 0;
        for (int64_t i = 0; i < piece.n; i++) {
            g[i] += l1 * FN(absolute_slope)(w[i]);
            size += (double)FN(abs)(w[i]);
        }
        norms->penalty += (double)l1 * size;
    }
    norms->gradient = (double)FN(sum_squares)(g, piece.n);
}

static Norms FN(total_norms)(const FN(Session) *s) {
    Norms total = {0, 0, 0, 0};
    for (int64_t i = 0; i < s->n_pieces; i++) {
        total.gradient += s->norms[i].gradient;
        total.update += s->norms[i].update;
        total.weights += s->norms[i].weights;
        total.penalty += s->norms[i].penalty;
    }
    return total;
}

static void FN(set_penalties)(FN(Session) *s, double weight) {
    double divisor = s->spec.penalty_by_batch ? (weight > 0 ? weight : 1) : s->total_weight;
    s->l1 = (T)(s->spec.l1 / divisor);
    s->l2 = (T)(s->spec.l2 / divisor);
}

/* ---- The update ---- */

static void FN(clip_gradient)(FN(Session) *s, T *g) {
    int64_t n = s->spec.n_trained;
    T limit = (T)s->spec.clip_value;
    if (s->spec.clip_value < INFINITY)
        for (int64_t i = 0; i < n; i++) g[i] = FN(clip)(g[i], -limit, limit);
    if (!(s->spec.clip_norm < INFINITY)) return;
    double total = 0;
    for (int64_t i = 0; i < s->n_pieces; i++)
        total += (double)FN(sum_squares)(g + s->pieces[i].first, s->pieces[i].n);
    double norm = sqrt(total), factor = s->spec.clip_norm / (norm > 0 ? norm : 1);
    if (factor >= 1) return;
    for (int64_t i = 0; i < n; i++) g[i] *= (T)factor;
}

/* The piece's update, in place of its gradient. */
static void FN(find_update)(void *argument, int64_t number, int worker) {
    FN(Session) *s = argument;
    Piece piece = s->pieces[number];
    Norms *norms = &s->norms[number];
    T *g = s->gradient + piece.first;
    const T *w = s->theta + piece.first;
    T *states[MAX_STATES];
    (void)worker;
    for (int k = 0; k < MAX_STATES; k++)
        states[k] = s->states[k] == NULL ? NULL : s->states[k] + piece.first;
    FN(apply_rule)(&s->rule, piece.n, g, states);
    T decay = (T)(s->rate * s->spec.decay), factor = (T)piece.rate;
    if (piece.is_weights && decay != 0)
        for (int64_t i = 0; i < piece.n; i++) g[i] -= decay * w[i];
    if (factor != 1)
        for (int64_t i = 0; i < piece.n; i++) g[i] *= factor;
    norms->update = (double)FN(sum_squares)(g, piece.n);
    norms->weights = (double)FN(sum_squares)(w, piece.n);
}

static void FN(add_update)(void *argument, int64_t number, int worker) {
    FN(Session) *s = argument;
    Piece piece = s->pieces[number];
    T *w = s->theta + piece.first;
    const T *u = s->gradient + piece.first;
    (void)worker;
    for (int64_t i = 0; i < piece.n; i++) w[i] += u[i];
}

static void FN(project_column)(const Layer *layer, T *w) {
    T square = 0, tiny = (T)1e-12;
    for (int64_t i = 0; i < layer->fan_in; i++) {
        T x = w[i * layer->units];
        square += x * x;
    }
    T norm = SQRT(square), factor;
    norm = norm > tiny ? norm : tiny;
    factor = layer->constraint == UNIT_NORM ? 1 / norm : (T)layer->limit / norm;
    if (layer->constraint == MAX_NORM && factor >= 1) return;
    for (int64_t i = 0; i < layer->fan_in; i++) w[i * layer->units] *= factor;
}

static void FN(project)(FN(Session) *s) {
    for (int l = 0; l < s->spec.n_layers; l++) {
        const Layer *layer = &s->spec.layers[l];
        if (layer->frozen || layer->owner != l) continue;
        T *w = s->theta + layer->weights;
        if (layer->constraint == NON_NEGATIVE)
            for (int64_t i = 0; i < layer->fan_in * layer->units; i++)
                w[i] = w[i] < 0 ? 0 : w[i];
        else if (layer->constraint != NO_CONSTRAINT)
            for (int64_t u = 0; u < layer->units; u++) FN(project_column)(layer, w + u);
    }
}

/* `cold` is the share kept by layers whose statistics have no warm-up. */
static void FN(keep_statistics)(FN(Session) *s, double cold) {
    double done = (double)s->step;
    for (int l = 0; l < s->spec.n_layers; l++) {
        const Layer *layer = &s->spec.layers[l];
        if (!FN(batch_statistics)(&s->pass, layer)) continue;
        double share = layer->cold ? cold : done / (done + 1);
        T kept = (T)(share < layer->momentum ? share : layer->momentum);
        T *mean = s->theta + layer->mean, *variance = s->theta + layer->variance;
        const T *fresh = s->pass.layers[l].mean;
        for (int64_t u = 0; u < layer->units; u++) {
            mean[u] = kept * mean[u] + (1 - kept) * fresh[u];
            variance[u] = kept * variance[u] + (1 - kept) * fresh[layer->units + u];
        }
    }
}

/* Steps 3 to 8 of the plan's list; false if the update is not finite. */
static bool FN(move)(FN(Session) *s) {
    Team *team = s->pass.team;
    FN(clip_gradient)(s, s->gradient);
    s->rule = FN(prepare)(&s->spec, s->rate, ++s->updates);
    team_run(team, FN(find_update), s, s->n_pieces);
    Norms norms = FN(total_norms)(s);
    if (!isfinite((T)norms.update)) return false;
    s->ratio = sqrt(norms.update) / (norms.weights > 0 ? sqrt(norms.weights) : 1);
    team_run(team, FN(add_update), s, s->n_pieces);
    FN(project)(s);
    if (s->average != NULL)
        for (int64_t i = 0; i < s->spec.n_trained; i++)
            s->average[i] += (T)s->mix * (s->theta[i] - s->average[i]);
    return true;
}

static bool FN(accumulate)(FN(Session) *s) {
    int64_t k = s->spec.accumulate, n = s->spec.n_trained;
    if (k == 1) return FN(move)(s);
    for (int64_t i = 0; i < n; i++) s->accumulated[i] += s->gradient[i] / (T)k;
    if ((s->step + 1) % k != 0) return true;
    memcpy(s->gradient, s->accumulated, (size_t)n * sizeof(T));
    memset(s->accumulated, 0, (size_t)n * sizeof(T));
    return FN(move)(s);
}

/* One step; false if something was not finite. */
static bool FN(take_step)(FN(Session) *s, Progress *p, const int32_t *order,
                          int64_t start, int64_t n) {
    double weight = FN(weight_of)(&s->rows, order, start, n);
    FN(set_penalties)(s, weight);
    double value = FN(descend)(s, order, start, n, weight);
    team_run(s->pass.team, FN(penalize), s, s->n_pieces);
    Norms norms = FN(total_norms)(s);
    value += norms.penalty;
    double norm = sqrt(norms.gradient);
    p->sum_loss += value * (double)n;
    p->sum_rows += (double)n;
    p->sum_norm += norm;
    bool finite = isfinite((T)value) && isfinite((T)norms.gradient) && FN(accumulate)(s);
    if (finite) FN(keep_statistics)(s, 1);
    s->step++;
    return finite;
}

/* ---- Epochs ---- */

static void FN(end_epoch)(FN(Session) *s, Progress *p, int64_t epoch, int64_t steps) {
    double loss = p->sum_loss / p->sum_rows;
    p->loss[epoch] = loss;
    p->gradient_norm[epoch] = p->sum_norm / (double)steps;
    p->update_ratio[epoch] = s->ratio;
    p->sum_loss = p->sum_rows = p->sum_norm = 0;
    if (p->patience < 0) return;
    p->count = loss <= p->best - p->tol ? 0 : p->count + 1;
    if (loss < p->best) p->best = loss;
    if (p->count > p->patience) p->stopped = true;
}

static void FN(one_step)(FN(Session) *s, Progress *p) {
    int64_t n_rows = p->n_met, batch = p->batch;
    int64_t epoch = p->done / p->per_epoch, step = p->done % p->per_epoch;
    int64_t first = step * batch, n = n_rows - first < batch ? n_rows - first : batch;
    const int32_t *order = p->orders == NULL ? NULL : p->orders + epoch * n_rows + first;
    s->rate = p->rates[p->done];
    s->mix = p->mixes[p->done];
    p->finite = FN(take_step)(s, p, order, first, n);
    s->pass.keep_input = s->same_rows && order == NULL;
    p->done++;
    if (step + 1 == p->per_epoch || !p->finite) FN(end_epoch)(s, p, epoch, step + 1);
}

/* Whether a team is worth it. Where other processes want the processors too, a step
   waits for whichever worker they have put off, and can take longer than alone; which
   it is, shows in the time that it takes. The result is the same either way. */
static bool FN(by_team)(const FN(Session) *s, const Progress *p) {
    if (p->workers < 2) return false;
    int64_t turn = s->slices % RETRY;
    return turn == 0 || (turn != 1 && s->pace[1] < s->pace[0]);
}

/* Trains until all is done, or the slice of time is over, or training has to stop. */
static void FN(advance)(void *argument, Progress *p) {
    FN(Session) *s = argument;
    int64_t end = p->n_epochs * p->per_epoch, before = p->done;
    if (p->epoch_limit * p->per_epoch < end) end = p->epoch_limit * p->per_epoch;
    bool together = FN(by_team)(s, p), trial = s->slices % RETRY < 2;
    double start = seconds_now();
    double until = start + (p->workers > 1 && trial ? p->slice / 8 : p->slice);
    s->pass.team = together ? team_start(p->workers) : NULL;
    s->pass.keep_input = false;
    while (p->done < end && p->finite && !p->stopped && !*p->cancel) {
        FN(one_step)(s, p);
        if ((p->done & 15) == 0 || p->workers > 1)
            if (seconds_now() > until) break;
    }
    team_stop(s->pass.team);
    s->pass.team = NULL;
    if (p->workers < 2 || p->done == before) return;
    s->pace[together] = (seconds_now() - start) / (double)(p->done - before);
    s->slices++;
}

/* ---- Sessions ---- */

static void FN(destroy)(void *argument) {
    FN(Session) *s = argument;
    if (s == NULL) return;
    free_aligned(s->pass.memory);
    free(s->layers);
    free(s->tiles);
    free(s->pieces);
    free(s->norms);
    free_aligned(s->theta);
    free_aligned(s);
}

static bool FN(allocate)(FN(Session) *s) {
    const Spec *spec = &s->spec;
    int64_t full = ROUND_UP(spec->n_parameters, PAD), n = ROUND_UP(spec->n_trained, PAD);
    int states = rule_states(spec->rule, spec->variant);
    int extra = (spec->accumulate > 1) + spec->averaged;
    /* One allocation: parameters, gradient, the rule's states and the rest. */
    T *at = s->theta = aligned_zeros((size_t)(full + n * (1 + states + extra)) * sizeof(T));
    if (at == NULL) return false;
    s->gradient = at += full;
    for (int k = 0; k < states; k++) {
        s->states[k] = at += n;
        for (int64_t i = 0; i < n; i++) s->states[k][i] = (T)rule_start(spec);
    }
    if (spec->accumulate > 1) s->accumulated = at += n;
    if (spec->averaged) s->average = at += n;
    return true;
}

static bool FN(list_work)(FN(Session) *s) {
    FN(list_tiles)(s, true);
    FN(list_pieces)(s, true);
    s->tiles = calloc((size_t)s->n_tiles + 1, sizeof(Tile));
    s->pieces = calloc((size_t)s->n_pieces + 1, sizeof(Piece));
    s->norms = calloc((size_t)s->n_pieces + 1, sizeof(Norms));
    if (s->tiles == NULL || s->pieces == NULL || s->norms == NULL) return false;
    FN(list_tiles)(s, false);
    FN(list_pieces)(s, false);
    return true;
}

static bool FN(open)(FN(Session) *s, const Spec *spec, const Rows *rows, BlasGemm gemm,
                     bool noisy) {
    size_t bytes = sizeof(Layer) * (size_t)spec->n_layers;
    s->spec = *spec;
    s->rows = *rows;
    s->layers = malloc(bytes);
    if (s->layers == NULL) return false;
    s->spec.layers = memcpy(s->layers, spec->layers, bytes);
    s->step = spec->first_step;
    if (FN(all_one)(rows->weights, rows->n_rows)) s->rows.weights = NULL;
    s->total_weight = FN(weight_of)(&s->rows, NULL, 0, rows->n_rows);
    int64_t block = FN(block_rows)(&s->spec, spec->batch);
    s->same_rows = spec->batch >= rows->n_rows && block >= rows->n_rows &&
                   spec->input_noise == 0;
    int64_t chunk = FN(chunk_rows)(spec, block);
    return FN(open_pass)(&s->pass, &s->spec, &s->rows, block, chunk, noisy, true, gemm) &&
           FN(allocate)(s) && FN(list_work)(s);
}

/* What the rule remembers from step to step, and how often it was asked. */
static void *FN(memory)(void *argument, int64_t *bytes, int64_t **steps,
                        int64_t **updates) {
    FN(Session) *s = argument;
    int64_t n = ROUND_UP(s->spec.n_trained, PAD);
    int64_t vectors = rule_states(s->spec.rule, s->spec.variant);
    vectors += s->accumulated != NULL;
    *bytes = n * vectors * (int64_t)sizeof(T);
    *steps = &s->step;
    *updates = &s->updates;
    return s->gradient + n;
}

static void *FN(create)(const Spec *spec, const void *parameters, const Rows *rows,
                        BlasGemm gemm) {
    FN(Session) *s = aligned_zeros(sizeof *s);
    if (s == NULL) return NULL;
    if (!FN(open)(s, spec, rows, gemm, true)) {
        FN(destroy)(s);
        return NULL;
    }
    memcpy(s->theta, parameters, (size_t)spec->n_parameters * sizeof(T));
    if (s->average != NULL)
        memcpy(s->average, parameters, (size_t)spec->n_trained * sizeof(T));
    return s;
}

/* The parameters: the averages, where the plan averages. */
static void FN(copy)(void *argument, void *target) {
    FN(Session) *s = argument;
    memcpy(target, s->theta, (size_t)s->spec.n_parameters * sizeof(T));
    if (s->average != NULL)
        memcpy(target, s->average, (size_t)s->spec.n_trained * sizeof(T));
}

/* ---- Cost and gradient ---- */

static void *FN(create_cost)(const Spec *spec, const Rows *rows, BlasGemm gemm) {
    FN(Session) *s = aligned_zeros(sizeof *s);
    if (s == NULL) return NULL;
    if (!FN(open)(s, spec, rows, gemm, false)) {
        FN(destroy)(s);
        return NULL;
    }
    return s;
}

/* Of the value alone where `gradient` is NULL. */
static double FN(cost)(void *argument, const void *parameters, void *gradient,
                       int workers) {
    FN(Session) *s = argument;
    int n_steps = s->pass.n_steps;
    size_t bytes = (size_t)s->spec.n_trained * sizeof(T);
    memcpy(s->theta, parameters, (size_t)s->spec.n_parameters * sizeof(T));
    memset(s->gradient, 0, bytes);
    s->pass.team = team_start(workers);
    if (gradient == NULL) s->pass.n_steps = s->pass.n_forward;
    FN(set_penalties)(s, s->total_weight);
    double value = FN(descend)(s, NULL, 0, s->rows.n_rows, s->total_weight);
    team_run(s->pass.team, FN(penalize), s, s->n_pieces);
    team_stop(s->pass.team);
    s->pass.team = NULL;
    s->pass.keep_input = s->same_rows;
    s->pass.n_steps = n_steps;
    if (gradient != NULL) memcpy(gradient, s->gradient, bytes);
    return value + FN(total_norms)(s).penalty;
}

/* The running statistics in `parameters` become those of all rows. */
static void FN(settle)(void *argument, void *parameters) {
    FN(Session) *s = argument;
    FN(cost)(s, parameters, NULL, 1);
    FN(keep_statistics)(s, 0);
    memcpy(parameters, s->theta, (size_t)s->spec.n_parameters * sizeof(T));
}

/* ---- Outputs and losses of many rows, block by block ---- */

typedef struct {
    FN(Pass) *passes; /* one a worker */
    T **results;      /* one a layer; NULL for those not asked for */
    int64_t n_rows, block;
} FN(Prediction);

static void FN(predict_block)(void *argument, int64_t number, int worker) {
    FN(Prediction) *p = argument;
    FN(Pass) *pass = &p->passes[worker];
    int64_t start = number * p->block, left = p->n_rows - start;
    pass->start = start;
    pass->rows = left < p->block ? left : p->block;
    FN(run_pass)(pass);
    for (int l = 0; l < pass->spec->n_layers; l++) {
        int64_t width = pass->spec->layers[l].units;
        const T *out = pass->layers[l].out;
        if (p->results[l] == NULL) continue;
        T *to = p->results[l] + start * width;
        for (int64_t r = 0; r < pass->rows; r++)
            for (int64_t k = 0; k < width; k++) to[r * width + k] = out[k * pass->ld + r];
    }
}

static int FN(outputs)(const Spec *spec, const void *parameters, const Rows *rows,
                       void **results, int64_t block, BlasGemm gemm, int workers) {
    int opened = 0;
    if (rows->n_rows < 1) return 0;
    FN(Pass) *passes = calloc((size_t)workers, sizeof *passes);
    int64_t n = rows->n_rows, capacity = n < block ? n : block;
    bool good = passes != NULL;
    for (; good && opened < workers; opened++) {
        good = FN(open_pass)(&passes[opened], spec, rows, capacity,
                             ROUND_UP(capacity, PAD), false, false, gemm);
        passes[opened].theta = parameters;
    }
    if (good) {
        FN(Prediction) p = {passes, (T **)results, n, block};
        Team *team = team_start(workers);
        team_run(team, FN(predict_block), &p, (n + block - 1) / block);
        team_stop(team);
    }
    for (int i = 0; i < opened; i++) free_aligned(passes[i].memory);
    free(passes);
    return good ? 0 : -1;
}

/* Loss of each row of `outputs` (n_rows, n_outputs), without penalties. */
static int FN(losses)(const Spec *spec, const void *outputs, const Rows *rows,
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
        FN(Scored) s = {
            .n = n, .ld = PAD, .z = block, .targets = block + n * PAD,
            .classes = rows->classes != NULL ? classes : NULL, .share = share,
            .constant = (T)spec->loss_constant,
            .variant = spec->loss_variant, .d = block + 2 * n * PAD, .loss = loss,
        };
        FN(score)(spec->loss, &s);
        for (int i = 0; i < PAD && first + i < rows->n_rows; i++)
            ((T *)result)[first + i] = (T)spec->loss_scale * loss[i];
    }
    free_aligned(block);
    return 0;
}

/* ---- What a plan is worth ---- */

static int FN(worth_workers)(const Spec *spec, int64_t n_rows, int available) {
    if (FN(multiply_adds)(spec, n_rows) < PARALLEL_STEP) return 1;
    return available < MOST_CHUNKS ? available : MOST_CHUNKS;
}

static bool FN(wants_blas)(const Spec *spec, int64_t n_rows) {
    for (int l = 0; l < spec->n_layers; l++)
        if (!FN(is_small)(spec->layers[l].units, ROUND_UP(n_rows, PAD),
                          spec->layers[l].fan_in))
            return true;
    return false;
}

static void FN(elementary)(int which, int64_t n, const void *from, void *to) {
    const T *x = from;
    T *y = to;
    for (int64_t i = 0; i < n; i++) {
        switch (which) {
            case 0: y[i] = FN(exp)(x[i]); break;
            case 1: y[i] = FN(tanh)(x[i]); break;
            case 2: y[i] = FN(log)(x[i]); break;
            case 3: y[i] = FN(log1p_unit)(x[i]); break;
            default: y[i] = FN(expm1_negative)(x[i]);
        }
    }
}

static const Kernel FN(kernel) = {
    FN(create), FN(create_cost), FN(destroy), FN(advance), FN(copy), FN(memory),
    FN(outputs), FN(cost), FN(settle), FN(losses), FN(worth_workers), FN(wants_blas), FN(elementary), LEVEL_NAME,
};
