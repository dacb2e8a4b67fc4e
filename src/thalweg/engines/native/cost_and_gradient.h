/* The loss of a batch and its gradient by all trained parameters.

   Batches of more rows than a block holds take several blocks, whose losses and
   gradients are added up. */

static bool FN(all_weights_one)(const T *weights, int64_t n) {
    for (int64_t i = 0; weights != NULL && i < n; i++)
        if (weights[i] != 1) return false;
    return true;
}

/* Of rows order[0..n), or [start, start + n) where `order` is NULL. */
static double FN(sum_of_weights)(const Rows *rows, const int32_t *order, int64_t start,
                                 int64_t n) {
    const T *weights = rows->weights;
    if (weights == NULL) return (double)n;
    double total = 0;
    for (int64_t i = 0; i < n; i++)
        total += (double)weights[order != NULL ? order[i] : start + i];
    return total;
}

/* Mean loss of the batch, without penalties; the gradient goes to s->gradient. The
   batch is rows order[0..n), or [start, start + n) where `order` is NULL. */
static double FN(cost_and_gradient)(FN(Session) *s, const int32_t *order,
                                    int64_t start, int64_t n, double weight) {
    FN(Pass) *pass = &s->pass;
    double total = 0, divisor = weight > 0 ? weight : 1;
    pass->parameters = s->parameters;
    pass->inverse_weight = (T)(1 / divisor);
    pass->stream = (Stream){s->spec.seed, (uint32_t)s->step};
    for (int64_t first = 0; first < n; first += pass->capacity) {
        pass->rows = n - first < pass->capacity ? n - first : pass->capacity;
        pass->order = order == NULL ? NULL : order + first;
        pass->start = start + first;
        pass->first = first;
        FN(run_pass)(pass);
        s->first_block = first == 0;
        if (pass->n_operations > pass->n_forward)
            team_run(pass->team, FN(gradient_tile), s, s->n_tiles);
        for (int64_t c = 0; c < FN(n_chunks)(pass); c++) total += pass->losses[c];
    }
    return total / divisor;
}
