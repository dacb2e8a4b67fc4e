/* RAdam's rectification (Liu et al., 2020): how far the adaptive rate can be trusted.

   In the first steps the variance of Adam's second moment is too large to divide by.
   RAdam leaves it out until then, and afterwards multiplies the update by a factor that
   grows towards 1. */
#ifndef THALWEG_RADAM_H
#define THALWEG_RADAM_H

#include <math.h>

#include "descriptions.h"

/* RAdam's factor of the update, or 0 while the variance is not tractable yet. */
static double radam_rectification(const Spec *spec, double t) {
    double b2 = spec->constants[1], b2t = pow(b2, t);
    double ro_inf = 2 / (1 - b2) - 1, ro = ro_inf - 2 * t * b2t / (1 - b2t);
    if (!(ro >= spec->constants[3])) return 0;
    return sqrt((ro - 4) * (ro - 2) * ro_inf / ((ro_inf - 4) * (ro_inf - 2) * ro));
}
#endif
