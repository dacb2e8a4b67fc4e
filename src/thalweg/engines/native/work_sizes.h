/* How large a step is, and into how many parts it is worth cutting.

   A step of few multiply-adds is done by one thread and in one part, because starting
   others would take longer than the work itself. All sizes depend on the shapes alone,
   so that the number of threads never changes a result. */

/* Rows that pass through the layers at once: larger batches take several blocks. */
#define BLOCK_ROWS 1024
/* Fewest rows of a chunk, where a step is worth cutting up at all. */
#define CHUNK_ROWS 64
/* Most chunks of a block, most tiles of a matrix, and so most threads. */
#define MOST_CHUNKS 16
/* Multiply-adds of a step below which nothing is cut up: about 100 microseconds. */
#define SERIAL_STEP 3000000
/* Multiply-adds below which a second thread does not pay: about 200 microseconds. */
#define PARALLEL_STEP 8000000

/* Multiply-adds of a step on so many rows; an activation counts as sixteen. */
static int64_t FN(multiply_adds)(const Spec *spec, int64_t rows) {
    int64_t total = 0;
    for (int l = 0; l < spec->n_layers; l++) {
        const Layer *layer = &spec->layers[l];
        total += rows * layer->units * (layer->fan_in * (l > 0 ? 3 : 2) + 16);
    }
    return total;
}

/* Rows of a block. Batch normalization needs all rows of a batch at once. */
static int64_t FN(block_rows)(const Spec *spec, int64_t batch) {
    for (int l = 0; l < spec->n_layers; l++)
        if (spec->layers[l].normalization == BATCH_NORM && !spec->layers[l].frozen)
            return batch;
    return batch <= BLOCK_ROWS ? batch : BLOCK_ROWS;
}

/* Rows of a chunk, for blocks of so many rows. */
static int64_t FN(chunk_rows)(const Spec *spec, int64_t rows) {
    if (rows < 1) rows = 1;
    if (FN(multiply_adds)(spec, rows) < SERIAL_STEP) return ROUND_UP(rows, PAD);
    int64_t least = (rows + MOST_CHUNKS - 1) / MOST_CHUNKS;
    return ROUND_UP(least > CHUNK_ROWS ? least : CHUNK_ROWS, PAD);
}

/* How many of the available threads a step on so many rows is worth. */
static int FN(workers_worth_using)(const Spec *spec, int64_t n_rows, int available) {
    if (FN(multiply_adds)(spec, n_rows) < PARALLEL_STEP) return 1;
    return available < MOST_CHUNKS ? available : MOST_CHUNKS;
}

/* Whether some layer's product is large enough for BLAS. */
static bool FN(wants_blas)(const Spec *spec, int64_t n_rows) {
    for (int l = 0; l < spec->n_layers; l++)
        if (!FN(is_small_product)(spec->layers[l].units, ROUND_UP(n_rows, PAD),
                                  spec->layers[l].fan_in))
            return true;
    return false;
}
