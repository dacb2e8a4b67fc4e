/* What a kernel needs whatever its floating type: sizes, memory, the clock. */
#ifndef THALWEG_COMMON_H
#define THALWEG_COMMON_H

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dense.h"

#define PAD 16 /* every buffer is padded to so many elements */
#define ROUND_UP(n, grain) (((n) + (grain) - 1) / (grain) * (grain))

typedef struct {
    int64_t first, rows, padded;
} Chunk;

typedef struct {
    int owner; /* layer of the matrix, or -1 for vectors of `layer` only */
    int layer;
    int64_t first, rows;
} Tile;

typedef struct {
    int64_t first, n;
    bool is_weights;
    double rate; /* the layer's factor */
} Piece;

typedef struct {
    double gradient, update, weights, penalty;
} Norms;

/* ---- Memory: one block for all buffers, aligned to the cache's lines ---- */

typedef struct {
    char *base;
    size_t used;
} Arena;

/* Called twice: first without memory, to measure. */
static void *take(Arena *arena, size_t bytes) {
    char *at = arena->base == NULL ? NULL : arena->base + arena->used;
    arena->used += ROUND_UP(bytes, 64);
    return at;
}

static void *aligned_zeros(size_t bytes) {
    char *raw = calloc(1, bytes + 128);
    if (raw == NULL) return NULL;
    char *aligned = raw + 64 + (64 - ((uintptr_t)raw & 63)) % 64;
    ((void **)aligned)[-1] = raw;
    return aligned;
}

static void free_aligned(void *memory) {
    if (memory != NULL) free(((void **)memory)[-1]);
}

static double seconds_now(void) {
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- What layers and rules ask for ---- */

static int lowest_trained(const Spec *spec) {
    int lowest = 0;
    while (lowest < spec->n_layers && spec->layers[lowest].frozen) lowest++;
    return lowest;
}

static bool activation_needs_input(int kind) {
    return kind != IDENTITY && kind != LOGISTIC && kind != TANH && kind != RELU &&
           kind != SELU;
}

enum { MAX_STATES = 3 };

static int rule_states(int rule, bool variant) {
    switch (rule) {
        case SGD: case SIGN_SGD: return 0;
        case MOMENTUM: case NESTEROV: case ADAGRAD: case LION: return 1;
        case RMSPROP: return variant ? 2 : 1;
        case AMSGRAD: return 3;
        default: return 2;
    }
}

/* What the states begin with. */
static double rule_start(const Spec *spec) {
    if (spec->rule == ADAGRAD) return spec->constants[0];
    return spec->rule == YOGI ? 1e-6 : 0;
}

/* RAdam's factor of the update, or 0 while the variance is not tractable yet. */
static double radam_factor(const Spec *spec, double t) {
    double b2 = spec->constants[1], b2t = pow(b2, t);
    double ro_inf = 2 / (1 - b2) - 1, ro = ro_inf - 2 * t * b2t / (1 - b2t);
    if (!(ro >= spec->constants[3])) return 0;
    return sqrt((ro - 4) * (ro - 2) * ro_inf / ((ro_inf - 4) * (ro_inf - 2) * ro));
}
#endif
