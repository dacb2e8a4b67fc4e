/* Gaussian noise on the inputs while training, by the Box-Muller transform.

   Two uniform numbers from the counter-based generator (threefry.h) give two normal
   ones. The noise of an element depends only on the seed, the step and the element's
   place in the batch, so any thread can draw any of it. */

static void FN(add_input_noise)(FN(Pass) *pass, Chunk part) {
    const Spec *spec = pass->spec;
    uint32_t width = (uint32_t)spec->layers[0].fan_in;
    for (int64_t r = part.first; r < part.first + part.padded; r++) {
        uint32_t row = (uint32_t)(pass->first + (r < pass->rows ? r : pass->rows - 1));
        for (uint32_t c = 0; c < width; c++) {
            uint32_t within = (row & 1u) * width + c, u, v;
            threefry_words(pass->stream, (row >> 1) * width + (within >> 1), 0, &u, &v);
            T a = ((T)(u >> 8) + (T)0.5) * (T)0x1p-24;
            T turn = (T)(v >> 8) * (T)0x1p-24 * (T)6.283185307179586477;
            T normal = SQRT(-2 * FN(log)(a)) * (within & 1u ? SIN(turn) : COS(turn));
            int64_t at = pass->input_by_row ? r * width + c : c * pass->ld + r;
            if (pass->input_by_row && r >= pass->rows) continue;
            pass->gathered[at] += (T)spec->input_noise * normal;
        }
    }
}
