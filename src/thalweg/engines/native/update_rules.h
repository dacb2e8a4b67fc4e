/* Update rules, from SGD to Yogi: optax's formulas, one pass over the gradient.

   A rule turns a piece of the gradient into the update, in place: the learning rate and
   its sign are in it. What depends on the step alone is worked out once, in double. */

/* One step of a rule: its constants, with what depends on the step worked in. */
typedef struct {
    int kind;
    bool variant;
    T rate, a, b, c, d, e, fresh; /* see `prepare_adam` and `prepare_rule` */
} FN(RuleStep);

/* Adam's family: a, b the decays; c, d the bias corrections of the moments; e epsilon.
   NAdam corrects the moment as of the next step and adds `fresh` times the gradient. */
static FN(RuleStep) FN(prepare_adam)(const Spec *spec, double rate, double t) {
    double b1 = spec->constants[0], b2 = spec->constants[1];
    double c1 = 1 - pow(b1, t), c2 = 1 - pow(b2, t);
    FN(RuleStep) step = {spec->rule, spec->variant, (T)rate, (T)b1, (T)b2, (T)(1 / c1),
                     (T)(1 / c2), (T)spec->constants[2], (T)((1 - b1) / c1)};
    if (spec->rule == ADAM && spec->variant) {
        step.rate = (T)(rate * sqrt(c2) / c1);
        step.c = step.d = 1;
    }
    if (spec->rule == NADAM) step.c = (T)(b1 / (1 - pow(b1, t + 1)));
    return step;
}

static FN(RuleStep) FN(prepare_rule)(const Spec *spec, double rate, int64_t count) {
    double t = (double)count;
    const double *k = spec->constants;
    FN(RuleStep) step = {spec->rule, spec->variant, (T)rate, (T)k[0], (T)k[1],
                         0, 0, 0, 0};
    switch (spec->rule) {
        case ADAM: case AMSGRAD: case ADAMAX: case ADABELIEF: case YOGI: case RADAM:
        case NADAM:
            step = FN(prepare_adam)(spec, rate, t);
            break;
        default:
            break;
    }
    if (spec->rule == RADAM) {
        double factor = radam_rectification(spec, t);
        step.variant = factor == 0;
        if (factor != 0) step.rate = (T)(rate * factor);
    }
    return step;
}

INLINE T FN(sign)(T x) { return x > 0 ? 1 : (x < 0 ? -1 : x); }

#define FOR_ALL NO_OVERLAP for (int64_t i = 0; i < n; i++)

/* Rules without a scale for each parameter: SGD and momentum. v is the velocity. */
static void FN(sgd_rules)(const FN(RuleStep) *s, int64_t n, T *g, T *v) {
    const T rate = s->rate, a = s->a;
    switch (s->kind) {
        case SGD: FOR_ALL g[i] = -rate * g[i]; break;
        case SIGN_SGD: FOR_ALL g[i] = -rate * FN(sign)(g[i]); break;
        case MOMENTUM:
            if (s->variant)
                FOR_ALL g[i] = v[i] = a * v[i] - rate * g[i];
            else
                FOR_ALL { v[i] = g[i] + a * v[i]; g[i] = -rate * v[i]; }
            break;
        default: /* NESTEROV */
            if (s->variant)
                FOR_ALL { v[i] = a * v[i] - rate * g[i]; g[i] = a * v[i] - rate * g[i]; }
            else
                FOR_ALL { v[i] = g[i] + a * v[i]; g[i] = -rate * (g[i] + a * v[i]); }
    }
}

/* Rules that scale each parameter's step by its past gradients, and Lion. */
static void FN(scaled_rules)(const FN(RuleStep) *s, int64_t n, T *g, T *v, T *w) {
    const T rate = s->rate, a = s->a, b = s->b;
    switch (s->kind) {
        case ADAGRAD: /* b: epsilon */
            FOR_ALL {
                v[i] += g[i] * g[i];
                g[i] = v[i] > 0 ? -rate * g[i] / SQRT(v[i] + b) : -rate * 0 * g[i];
            }
            break;
        case RMSPROP: /* a: decay, b: epsilon; w the mean where it is centered */
            if (s->variant)
                FOR_ALL {
                    w[i] = a * w[i] + (1 - a) * g[i];
                    v[i] = a * v[i] + (1 - a) * g[i] * g[i];
                    g[i] = -rate * g[i] / SQRT(v[i] - w[i] * w[i] + b);
                }
            else
                FOR_ALL {
                    v[i] = a * v[i] + (1 - a) * g[i] * g[i];
                    g[i] = -rate * g[i] / SQRT(v[i] + b);
                }
            break;
        case ADADELTA: /* a: rho, b: epsilon */
            FOR_ALL {
                v[i] = a * v[i] + (1 - a) * g[i] * g[i];
                T u = SQRT(w[i] + b) / SQRT(v[i] + b) * g[i];
                w[i] = a * w[i] + (1 - a) * u * u;
                g[i] = -rate * u;
            }
            break;
        default: /* LION; a, b: decays */
            FOR_ALL {
                T mixed = (1 - a) * g[i] + a * v[i];
                v[i] = b * v[i] + (1 - b) * g[i];
                g[i] = -rate * FN(sign)(mixed);
            }
    }
}

#define FIRST_MOMENT m[i] = a * m[i] + (1 - a) * g[i]
#define SECOND_MOMENT v[i] = b * v[i] + (1 - b) * (g[i] * g[i])

/* Adam and its nearest relatives; m and v are the two moments. */
static void FN(adam_rules)(const FN(RuleStep) *s, int64_t n, T *g, T *m, T *v, T *top) {
    const T rate = s->rate, a = s->a, b = s->b, c = s->c, d = s->d, e = s->e;
    switch (s->kind) {
        case ADAM:
            FOR_ALL {
                FIRST_MOMENT;
                SECOND_MOMENT;
                g[i] = -rate * (m[i] * c) / (SQRT(v[i] * d) + e);
            }
            break;
        case RADAM: /* `variant`: the variance is not tractable yet */
            if (s->variant)
                FOR_ALL { FIRST_MOMENT; SECOND_MOMENT; g[i] = -rate * (m[i] * c); }
            else
                FOR_ALL {
                    FIRST_MOMENT;
                    SECOND_MOMENT;
                    g[i] = -rate * (m[i] * c) / (SQRT(v[i] * d) + e);
                }
            break;
        case AMSGRAD:
            FOR_ALL {
                FIRST_MOMENT;
                SECOND_MOMENT;
                T corrected = v[i] * d;
                top[i] = corrected <= top[i] ? top[i] : corrected;
                g[i] = -rate * (m[i] * c) / (SQRT(top[i]) + e);
            }
            break;
        default: /* ADAMAX */
            FOR_ALL {
                T size = FN(abs)(g[i]) + e, faded = b * v[i];
                FIRST_MOMENT;
                v[i] = size <= faded ? faded : size;
                g[i] = -rate * (m[i] * c) / v[i];
            }
    }
}

/* Rules with the moments of Adam that change more of it. */
static void FN(adam_variants)(const FN(RuleStep) *s, int64_t n, T *g, T *m, T *v) {
    const T rate = s->rate, a = s->a, b = s->b, c = s->c, d = s->d, e = s->e;
    const T fresh = s->fresh;
    switch (s->kind) {
        case NADAM:
            FOR_ALL {
                FIRST_MOMENT;
                SECOND_MOMENT;
                g[i] = -rate * (m[i] * c + g[i] * fresh) / (SQRT(v[i] * d) + e);
            }
            break;
        case ADABELIEF:
            FOR_ALL {
                FIRST_MOMENT;
                T off = g[i] - m[i];
                v[i] = b * v[i] + (1 - b) * (off * off) + (T)1e-16;
                g[i] = -rate * (m[i] * c) / (SQRT(v[i] * d) + e);
            }
            break;
        default: /* YOGI */
            FOR_ALL {
                T square = g[i] * g[i];
                FIRST_MOMENT;
                v[i] -= (1 - b) * FN(sign)(v[i] - square) * square;
                g[i] = -rate * (m[i] * c) / (SQRT(v[i] * d) + e);
            }
    }
}

/* `states` are the rule's own vectors, at the piece. */
static void FN(apply_rule)(const FN(RuleStep) *s, int64_t n, T *g,
                           T *states[MAX_STATES]) {
    switch (s->kind) {
        case SGD: case SIGN_SGD: case MOMENTUM: case NESTEROV:
            FN(sgd_rules)(s, n, g, states[0]);
            break;
        case ADAGRAD: case RMSPROP: case ADADELTA: case LION:
            FN(scaled_rules)(s, n, g, states[0], states[1]);
            break;
        case NADAM: case ADABELIEF: case YOGI:
            FN(adam_variants)(s, n, g, states[0], states[1]);
            break;
        default:
            FN(adam_rules)(s, n, g, states[0], states[1], states[2]);
    }
}
