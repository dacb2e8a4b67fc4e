/* The vector of trained parameters, cut into pieces that the threads take one by one.

   Each piece keeps what it adds to the norms, and these are added in the pieces' order:
   the sums do not depend on which thread computed what. */

/* Most numbers of a piece. */
#define PIECE 4096

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
            FN(add_pieces)(s, layer->weights, layer->weights + matrix, true,
                           layer->rate, count_only);
        FN(add_pieces)(s, layer->bias, layer->bias + vectors, false, layer->rate,
                       count_only);
    }
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
