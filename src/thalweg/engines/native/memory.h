/* Memory for the kernel's buffers: zeroed, aligned to the processor's cache lines.

   An arena is one block of memory from which many buffers are cut one after the other,
   so that a whole pass needs a single allocation and a single call to free it. The code
   that cuts the buffers runs twice: the first time without memory, only to measure how
   much is needed, and the second time to hand out the addresses. */
#ifndef THALWEG_MEMORY_H
#define THALWEG_MEMORY_H

#include <stdint.h>
#include <stdlib.h>

/* Every buffer is padded to a multiple of so many elements, so that loops over whole
   vectors never need a remainder loop. */
#define PAD 16
#define ROUND_UP(n, grain) (((n) + (grain) - 1) / (grain) * (grain))

typedef struct {
    char *base;
    size_t used;
} Arena;

/* The next `bytes` of the arena, or NULL where it has no memory yet. */
static void *arena_take(Arena *arena, size_t bytes) {
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
#endif
