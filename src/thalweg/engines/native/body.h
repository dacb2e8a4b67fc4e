/* All of the kernel for one floating type T; kernel.c includes it for each. */
#include "vector.h"
#include "elementary.h"
#include "gemm.h"
#include "activations.h"
#include "layers.h"
#include "losses.h"
#include "updates.h"
#include "fit.h"

/* What differs between the types is defined anew. */
#undef VEC
#undef VEC_BYTES
#undef LANES
#undef MANTISSA
#undef BIAS
#undef MAGIC
#undef EXP_HIGH
#undef EXP_LOW
#undef EXP_NONE
#undef LN2_HIGH
#undef LN2_LOW
#undef SMALLEST_NORMAL
#undef SQRT_HALF_BITS
#undef ERFC
#undef SQRT
#undef POW
#undef COS
#undef SIN
#undef EPSILON
#undef REAL_BITS
#undef SPAN
#undef T
#undef U
#undef FN
