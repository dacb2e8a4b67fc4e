/* The table of entry points of this kernel, one for each floating type.

   The binding reaches everything through it (kernel_table.h). */

/* For tests: the functions of elementary_functions.h, by number. */
static void FN(evaluate_elementary)(int which, int64_t n, const void *from, void *to) {
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
    .create_training = FN(create_training),
    .create_objective = FN(create_objective),
    .destroy = FN(destroy_session),
    .advance = FN(advance),
    .adapt = FN(adapt),
    .copy_parameters = FN(copy_parameters),
    .stepped_parameters = FN(stepped_parameters),
    .optimizer_memory = FN(optimizer_memory),
    .predict = FN(predict),
    .evaluate_objective = FN(evaluate_objective),
    .set_running_statistics = FN(set_running_statistics),
    .row_losses = FN(row_losses),
    .workers_worth_using = FN(workers_worth_using),
    .wants_blas = FN(wants_blas),
    .evaluate_elementary = FN(evaluate_elementary),
    .level = LEVEL_NAME,
};
