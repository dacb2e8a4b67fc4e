/* What the binding and the kernels share: descriptions of a network, a plan and data.

   Nothing here depends on the floating type or on the instruction set. A kernel is
   compiled once for each pair of them and is reached through the `Kernel` tables at the
   end; `kernel_pick` takes the best one that this processor runs.

   All parameters lie in one vector. The trained ones come first, layer by layer
   (weights, bias, scale, shift), so that an update rule is one loop; frozen parameters
   and running statistics follow. */
#ifndef THALWEG_DENSE_H
#define THALWEG_DENSE_H

#include <stdbool.h>
#include <stdint.h>

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

typedef struct {
    int64_t fan_in, units;
    int activation, normalization, constraint;
    double activation_constant, epsilon, momentum, limit;
    int residual;      /* layers that the shortcut spans; 0 for none */
    int owner;         /* the layer whose weights this one uses */
    bool transposed, frozen;
    bool cold; /* running statistics keep `momentum` from the first step on */
    double dropout;
    uint32_t threshold; /* words below it drop their element */
    double rate;        /* factor of the learning rate */
    /* Offsets into the vector of parameters; -1 where there is none. */
    int64_t weights, bias, scale, shift, mean, variance;
} Layer;

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

/* Rows. X is dense (row-major) or, where `indptr` is set, compressed sparse rows with
   `X` their values. y is class numbers, or values of shape (n_rows, n_outputs). */
typedef struct {
    int64_t n_rows;
    const void *X;
    const int32_t *indices;
    const int64_t *indptr;
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

typedef void (*BlasGemm)(char *, char *, int *, int *, int *, void *, void *, int *,
                         void *, int *, void *, void *, int *);

typedef struct {
    /* Sessions for `advance` and for `cost`; NULL if there is no memory. */
    void *(*create)(const Spec *spec, const void *parameters, const Rows *rows,
                    BlasGemm gemm);
    void *(*create_cost)(const Spec *spec, const Rows *rows, BlasGemm gemm);
    void (*destroy)(void *session);
    void (*advance)(void *session, Progress *progress);
    void (*copy)(void *session, void *parameters);
    void *(*memory)(void *session, int64_t *bytes, int64_t **steps, int64_t **updates);
    /* Of blocks of so many rows; one array a layer, NULL where none is wanted. 0, or -1 if there is no memory. */
    int (*outputs)(const Spec *spec, const void *parameters, const Rows *rows,
                   void **results, int64_t block, BlasGemm gemm, int workers);
    double (*cost)(void *session, const void *parameters, void *gradient, int workers);
    void (*settle)(void *session, void *parameters);
    int (*losses)(const Spec *spec, const void *outputs, const Rows *rows, void *result);
    /* How many of the workers a step on so many rows is worth. */
    int (*workers)(const Spec *spec, int64_t n_rows, int available);
    bool (*wants_blas)(const Spec *spec, int64_t n_rows);
    /* For tests: exp, tanh, log, log1p or expm1 of many numbers. */
    void (*elementary)(int which, int64_t n, const void *x, void *result);
    const char *level;
} Kernel;

const Kernel *kernel_pick(bool is_double, const char *level);

/* Threefry-2x32, 20 rounds; for tests. */
void threefry(uint32_t key0, uint32_t key1, uint32_t *word0, uint32_t *word1);

#endif
