/* The counter-based generator of dropout masks and input noise.

   `thalweg.engines.jax.random` specifies it: Threefry-2x32 with 20 rounds, key (seed,
   step), counter (pair of elements, layer), elements counted row by row. A bit depends
   on nothing else, so any worker can draw any element. */
#ifndef THALWEG_THREEFRY_H
#define THALWEG_THREEFRY_H

#include <stdint.h>

typedef struct {
    uint32_t seed, step;
} Stream;

#define ROTATE_(x, by) (((x) << (by)) | ((x) >> (32 - (by))))
#define ROUND_(by) x0 += x1, x1 = ROTATE_(x1, by) ^ x0
#define FOUR_EVEN_ ROUND_(13), ROUND_(15), ROUND_(26), ROUND_(6)
#define FOUR_ODD_ ROUND_(17), ROUND_(29), ROUND_(16), ROUND_(24)

static inline void threefry_words(Stream stream, uint32_t pair, uint32_t layer,
                                  uint32_t *word0, uint32_t *word1) {
    const uint32_t k0 = stream.seed, k1 = stream.step, k2 = 0x1BD11BDAu ^ k0 ^ k1;
    uint32_t x0 = pair + k0, x1 = layer + k1;
    FOUR_EVEN_, x0 += k1, x1 += k2 + 1u;
    FOUR_ODD_, x0 += k2, x1 += k0 + 2u;
    FOUR_EVEN_, x0 += k0, x1 += k1 + 3u;
    FOUR_ODD_, x0 += k1, x1 += k2 + 4u;
    FOUR_EVEN_, x0 += k2, x1 += k0 + 5u;
    *word0 = x0;
    *word1 = x1;
}

/* The word of element (row, column) of a layer's output, `width` wide. */
static inline uint32_t random_word(Stream stream, uint32_t layer, uint32_t row,
                                   uint32_t column, uint32_t width) {
    /* (row * width + column) / 2 in 32 bits, for batches beyond 2^32 elements. */
    uint32_t within = (row & 1u) * width + column;
    uint32_t word0, word1;
    threefry_words(stream, (row >> 1) * width + (within >> 1), layer, &word0, &word1);
    return within & 1u ? word1 : word0;
}
#endif
