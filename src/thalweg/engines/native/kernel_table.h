/* The entry points of a kernel: a table of functions that the binding calls.

   A kernel is compiled once for each pair of a floating type and an instruction set.
   Each of them offers one table, and `choose_kernel` returns that of the best one that
   this processor runs. */
#ifndef THALWEG_KERNEL_TABLE_H
#define THALWEG_KERNEL_TABLE_H

#include "descriptions.h"

/* Fortran's gemm, single or double, as SciPy hands it out. */
typedef void (*BlasGemm)(char *, char *, int *, int *, int *, void *, void *, int *,
                         void *, int *, void *, void *, int *);

/* `session` is what `create_training` or `create_objective` returned. */
typedef struct {
    /* A session for `advance`, or for `evaluate_objective`; NULL without memory. */
    void *(*create_training)(const Spec *spec, const void *parameters,
                             const Rows *rows, BlasGemm gemm);
    void *(*create_objective)(const Spec *spec, const Rows *rows, BlasGemm gemm);
    void (*destroy)(void *session);
    void (*advance)(void *session, Progress *progress);
    /* Sets the weight decay and each layer's dropout from here on. */
    void (*adapt)(void *session, double decay, const double *dropout);
    void (*copy_parameters)(void *session, void *parameters);
    /* The parameters that the steps change, and where their averages are. */
    void *(*stepped_parameters)(void *session, void **average);
    /* What the update rule remembers, and where the session counts. */
    void *(*optimizer_memory)(void *session, int64_t *bytes, int64_t **steps,
                              int64_t **updates);
    /* Outputs, computed in blocks of so many rows: one array for each layer, NULL where
       none is wanted. Returns 0, or -1 if there is no memory. */
    int (*predict)(const Spec *spec, const void *parameters, const Rows *rows,
                   void **results, int64_t block, BlasGemm gemm, int workers);
    double (*evaluate_objective)(void *session, const void *parameters, void *gradient,
                                 int workers);
    void (*set_running_statistics)(void *session, void *parameters);
    /* Loss of each row of given outputs. Returns 0, or -1 if there is no memory. */
    int (*row_losses)(const Spec *spec, const void *outputs, const Rows *rows,
                      void *result);
    /* How many of the workers a step on so many rows is worth. */
    int (*workers_worth_using)(const Spec *spec, int64_t n_rows, int available);
    bool (*wants_blas)(const Spec *spec, int64_t n_rows);
    /* For tests: exp, tanh, log, log1p or expm1 of many numbers. */
    void (*evaluate_elementary)(int which, int64_t n, const void *x, void *result);
    const char *level;
} Kernel;

/* The kernel of one floating type, at the level of that name ("avx2", for instance) or,
   for NULL, at the best level there is. NULL if this build or this processor does not
   have the level. */
const Kernel *choose_kernel(bool is_double, const char *level);
#endif
