/* What the binding tells the kernel: a network, a plan, rows of data, and progress.

   These are plain C structs that Cython fills in (_dense.pyx). Nothing here depends on
   the floating type or on the instruction set.

   All parameters lie in one vector. The trained ones come first, layer by layer
   (weights, bias, scale, shift), so that an update rule is one loop; frozen parameters
   and running statistics follow. */
#ifndef THALWEG_DESCRIPTIONS_H
#define THALWEG_DESCRIPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* The enumerations keep the order of Python's tables, which hand over positions. */
enum Activation {
    IDENTITY, LOGISTIC, TANH, RELU, LEAKY_RELU, ELU, SELU, GELU, SILU, MISH, SOFTPLUS,
    SOFTSIGN, HARD_LOGISTIC, HARD_TANH, HARD_SILU, RELU6
};
enum Normalization { NO_NORM, BATCH_NORM, LAYER_NORM };
enum Constraint { NO_CONSTRAINT, MAX_NORM, UNIT_NORM, NON_NEGATIVE };
enum Loss {
    CROSS_ENTROPY, BINARY_CROSS_ENTROPY, SQUARED, ABSOLUTE, HUBER, LOG_COSH, QUANTILE,
    POISSON, HINGE, FOCAL
};
enum Rule {
    SGD, MOMENTUM, NESTEROV, ADAGRAD, RMSPROP, ADADELTA, ADAM, AMSGRAD, NADAM, RADAM,
    ADAMAX, LION, ADABELIEF, YOGI, SIGN_SGD
};

/* One dense layer. */
typedef struct {
    int64_t fan_in, units;
    int activation, normalization, constraint;
    double activation_constant, epsilon, momentum, limit;
    int residual;      /* layers that the shortcut spans; 0 for none */
    int owner;         /* the layer whose weights this one uses */
    bool transposed, frozen;
    bool no_warmup; /* running statistics keep `momentum` from the first step on */
    double dropout;
    uint32_t threshold; /* words below it drop their element */
    double rate;        /* factor of the learning rate */
    /* Offsets into the vector of parameters; -1 where there is none. */
    int64_t weights, bias, scale, shift, mean, variance;
} Layer;

/* A network and a plan: how to train it. */
typedef struct {
    int n_layers;
    const Layer *layers;
    double input_noise;
    int64_t n_parameters, n_trained;
    int loss;
    double loss_constant, loss_scale;
    bool loss_variant; /* clipped or averaged */
    int rule;
    double constants[4]; /* the rule's, in the order of the plan's table */
    bool variant;        /* rate_in_velocity, uncorrected_epsilon or centered */
    double l1, l2, decay, clip_norm, clip_value; /* clips: infinity for none */
    bool penalty_by_batch, averaged;
    int64_t accumulate, batch;
    uint32_t seed;
    int64_t first_step;
} Spec;

/* Neighboring features of rows in compact form: `width` values from number `value` on,
   or one code (compact_rows.h); -1 for no value or no code. */
typedef struct {
    int64_t width, value, code;
} Group;

/* Rows. X is dense (row-major) or, where `indptr` is set, compressed sparse rows with
   `X` their values, or, where `groups` is set, the values of rows in compact form. y is
   class numbers, or values of shape (n_rows, n_outputs). */
typedef struct {
    int64_t n_rows;
    const void *X;
    const int32_t *indices;
    const int64_t *indptr;
    const uint16_t *codes;
    const Group *groups;
    int64_t n_groups, n_values, n_codes;
    const int32_t *classes;
    const void *targets;
    const void *weights; /* NULL for ones */
} Rows;

/* Where `advance` is, so that it can return in between and go on. */
typedef struct {
    int64_t n_epochs, per_epoch, n_met, batch; /* rows of an epoch, of a batch */
    const int32_t *orders; /* NULL for the rows' own order */
    const double *rates, *mixes;
    double *loss, *gradient_norm, *update_ratio; /* one number an epoch */
    int64_t done;   /* steps of this call */
    double slice;   /* seconds after which to return */
    int64_t epoch_limit; /* return when so many epochs are done */
    bool finite, stopped;
    /* The stopping rule on the training loss; patience below 0 for none. */
    int64_t patience, count;
    double tol, best;
    volatile int *cancel;
    int workers;
    double sum_loss, sum_rows, sum_norm; /* of the epoch under way */
} Progress;
#endif
