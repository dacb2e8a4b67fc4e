/* The outputs of some or all layers for many rows, block by block.

   Blocks keep the memory flat in the number of rows. Each thread has its own pass. */

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
            for (int64_t k = 0; k < width; k++)
                to[r * width + k] = out[k * pass->ld + r];
    }
}

static int FN(predict)(const Spec *spec, const void *parameters, const Rows *rows,
                       void **results, int64_t block, BlasGemm gemm, int workers) {
    int opened = 0;
    if (rows->n_rows < 1) return 0;
    FN(Pass) *passes = calloc((size_t)workers, sizeof *passes);
    int64_t n = rows->n_rows, capacity = n < block ? n : block;
    bool good = passes != NULL;
    for (; good && opened < workers; opened++) {
        good = FN(open_pass)(&passes[opened], spec, rows, capacity,
                             ROUND_UP(capacity, PAD), false, false, gemm);
        passes[opened].parameters = parameters;
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
