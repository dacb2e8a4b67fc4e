/* One block of rows on its way through the layers: forward to the loss, and backward.

   Activations lie feature by feature: a buffer holds `units` rows of `ld` numbers (the
   leading dimension, as BLAS calls it), one number for each row of the batch. They are
   padded to PAD with copies of the last row, whose weight in the loss is 0. The rows of
   the block are cut into chunks, and each chunk passes through all layers by itself,
   except where batch normalization needs every row of the batch. So a pass is a list of
   operations (operations.h), which such places cut into phases. */

/* The buffers of one layer; those that the layer does not need are NULL. */
typedef struct {
    T *centered; /* x W + b after normalization, before scale and shift */
    T *pre;      /* pre-activation, where the slope needs it */
    T *active;   /* output of the activation */
    T *out;      /* the same after dropout */
    T *grad;     /* gradient by `out`; going backward, then by each of the above */
    T *grad_by_row;    /* the last of those transposed: see gradient_transpose.h */
    uint8_t *kept;     /* whether dropout kept the element */
    T *mean, *inverse; /* of batch normalization: mean, 1 / standard deviation */
    T *row_inverse;    /* of layer normalization: 1 / standard deviation of a row */
    T *partial;        /* (chunks, 2, units): sums over the rows of each chunk */
    /* Whether the gradient that this layer passes on, to the layer before or along its
       shortcut, is added to one that was begun by another shortcut. */
    bool input_adds, shortcut_adds;
} FN(LayerBuffers);

/* One operation of a pass, on one chunk of rows. */
typedef struct {
    void (*run)(void *pass, int layer, int64_t chunk);
    int layer;
    bool serial; /* runs once, when every chunk has come so far */
} FN(Operation);

typedef struct {
    const Spec *spec;
    const T *parameters;
    BlasGemm gemm; /* NULL without BLAS */
    Team *team;
    bool noisy;            /* with dropout and input noise */
    bool batch_statistics; /* batch normalization by the batch's own statistics */
    Stream stream;
    Rows data;
    const int32_t *order; /* of the block's rows, or NULL for `start` onwards */
    int64_t start, rows, first; /* `first`: number of the first row within the batch */
    int64_t capacity; /* most rows of a block */
    int64_t ld;       /* leading dimension: from one feature to the next */
    int64_t chunk;    /* rows of a chunk */
    bool input_by_row; /* the input is taken row by row, by BLAS */
    bool keep_input;   /* the same rows as before: no need to gather them again */
    int lowest;        /* the first layer with anything to train */
    T *gathered;       /* a copy of the block's input */
    const T *input;    /* what the first layer reads: `gathered` or the data in place */
    T *targets, *row_weights;
    int32_t *classes;
    double *losses;   /* a sum for each chunk */
    T inverse_weight; /* 1 / the sum of the batch's weights */
    FN(LayerBuffers) *layers;
    FN(Operation) *operations;
    int n_operations;
    int phase_begin; /* the running phase is the operations from here to `phase_end` */
    int n_forward;   /* operations up to the loss; the others are for the gradient */
    int phase_end;
    void *memory;
} FN(Pass);

/* Chunk of that number; the last one may be shorter. */
static Chunk FN(chunk_of)(const FN(Pass) *pass, int64_t number) {
    int64_t first = number * pass->chunk;
    int64_t rows = pass->rows - first < pass->chunk ? pass->rows - first : pass->chunk;
    return (Chunk){first, rows, ROUND_UP(rows, PAD)};
}

static int64_t FN(n_chunks)(const FN(Pass) *pass) {
    return (pass->rows + pass->chunk - 1) / pass->chunk;
}

/* The row of the data that is row i of the block; padding repeats the last one. */
static int64_t FN(data_row)(const FN(Pass) *pass, int64_t i) {
    if (i >= pass->rows) i = pass->rows - 1;
    return pass->order != NULL ? pass->order[i] : pass->start + i;
}

static bool FN(uses_batch_statistics)(const FN(Pass) *pass, const Layer *layer) {
    return pass->batch_statistics && layer->normalization == BATCH_NORM &&
           !layer->frozen;
}

/* What layer l reads: the gathered input, or the output of the layer before. */
static const T *FN(layer_input)(const FN(Pass) *pass, int l) {
    return l == 0 ? pass->input : pass->layers[l - 1].out;
}
