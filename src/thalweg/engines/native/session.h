/* A session: one network with its parameters, its data and all buffers of a step.

   A training session takes steps of an update rule, and an objective session evaluates
   the objective on all rows. A step has up to five phases, each shared out among the
   team's threads:

   1. the rows pass forward and backward, by chunks (operations.h);
   2. the gradients of weights and biases, by tiles (weight_gradients.h);
   3. penalties and norms, by pieces of the parameters (penalties.h);
   4. the update rule, by pieces (apply_update.h);
   5. the addition of the update, by pieces. */

typedef struct {
    Spec spec;
    Layer *layers;
    Rows rows;
    T *parameters, *gradient;
    T *accumulated;         /* the mean of the batches' gradients so far, or NULL */
    T *average;             /* of the trained parameters, or NULL */
    T *states[MAX_STATES];  /* what the update rule keeps */
    FN(Pass) pass;
    Tile *tiles;
    Piece *pieces;
    Norms *norms; /* one for each piece */
    int64_t n_tiles, n_pieces;
    int64_t step, updates; /* batches met, updates done */
    double total_weight;   /* of all rows */
    double ratio;          /* norm of the last update over that of the parameters */
    T l1, l2;              /* divided by what the plan divides them by */
    FN(RuleStep) rule;
    double rate, mix; /* of this step: learning rate, mixing factor of the average */
    double seconds_per_step[2]; /* in the last slices, alone and by the team */
    int64_t slices;   /* calls of `advance` that had a team to choose */
    bool first_block; /* of a batch: gradients are set, not added to */
    bool same_rows;   /* every step meets the same rows in the same order */
} FN(Session);
