/* The whole kernel for one floating type T; kernel.c includes this for each type.

   The files below are templates: they have no include guards, every function is static,
   and FN(name) is the function's or type's name for this T. A file uses what the files
   before it define. */

/* Numbers: vectors of them, elementary functions, matrix products. */
#include "simd.h"
#include "sums.h"
#include "transpose.h"
#include "elementary_functions.h"
#include "gemm_blocked.h"
#include "gemm_dots.h"
#include "gemm_blas.h"

/* A pass of rows through the layers, forward and backward. */
#include "pass.h"
#include "input_noise.h"
#include "compact_rows.h"
#include "gather_batch.h"
#include "linear_layer.h"
#include "batch_normalization.h"
#include "layer_normalization.h"
#include "normalization.h"
#include "activations.h"
#include "residual_connections.h"
#include "dropout.h"
#include "layer_output.h"
#include "gradient_transpose.h"
#include "operations.h"

/* Losses. */
#include "loss_rows.h"
#include "softmax_losses.h"
#include "hinge_loss.h"
#include "outputwise_losses.h"
#include "losses.h"

/* A session, and the gradient of a batch. */
#include "work_sizes.h"
#include "pass_buffers.h"
#include "update_rules.h"
#include "session.h"
#include "weight_gradients.h"
#include "parameter_pieces.h"
#include "penalties.h"
#include "cost_and_gradient.h"

/* The update, steps and epochs. */
#include "gradient_clipping.h"
#include "weight_constraints.h"
#include "running_statistics.h"
#include "apply_update.h"
#include "training_step.h"
#include "epochs.h"

/* What the binding calls. */
#include "session_lifetime.h"
#include "training_session.h"
#include "objective_session.h"
#include "prediction.h"
#include "row_losses.h"
#include "kernel_entry.h"

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
