/* The units that a step's work is cut into, so that several threads can share it.

   Rows are cut into chunks, the gradient of a weight matrix into tiles, and the vector
   of trained parameters into pieces. Where the cuts are depends on the shapes alone and
   never on the number of threads, so every sum is added up in the same order and a
   training gives the same bits whatever the number of threads. */
#ifndef THALWEG_WORK_UNITS_H
#define THALWEG_WORK_UNITS_H

#include <stdbool.h>
#include <stdint.h>

/* Consecutive rows of a block; `padded` is `rows` rounded up to whole vectors. */
typedef struct {
    int64_t first, rows, padded;
} Chunk;

/* Consecutive rows of the gradient of one weight matrix. */
typedef struct {
    int owner; /* layer of the matrix, or -1 for vectors of `layer` only */
    int layer;
    int64_t first, rows;
} Tile;

/* Consecutive numbers of the vector of trained parameters, all of one layer. */
typedef struct {
    int64_t first, n;
    bool is_weights;
    double rate; /* the layer's factor */
} Piece;

/* What one piece adds to the squared norms of the gradient, of the update and of the
   parameters, and to the penalty. */
typedef struct {
    double gradient, update, weights, penalty;
} Norms;
#endif
