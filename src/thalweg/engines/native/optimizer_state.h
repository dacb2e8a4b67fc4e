/* How many vectors an update rule keeps from step to step, and what they begin with.

   Each state is as long as the vector of trained parameters: the velocity of momentum,
   for example, or the two moments of Adam. */
#ifndef THALWEG_OPTIMIZER_STATE_H
#define THALWEG_OPTIMIZER_STATE_H

#include "descriptions.h"

enum { MAX_STATES = 3 };

static int rule_state_count(int rule, bool variant) {
    switch (rule) {
        case SGD: case SIGN_SGD: return 0;
        case MOMENTUM: case NESTEROV: case ADAGRAD: case LION: return 1;
        case RMSPROP: return variant ? 2 : 1;
        case AMSGRAD: return 3;
        default: return 2;
    }
}

/* What the states begin with. */
static double rule_initial_state(const Spec *spec) {
    if (spec->rule == ADAGRAD) return spec->constants[0];
    return spec->rule == YOGI ? 1e-6 : 0;
}
#endif
