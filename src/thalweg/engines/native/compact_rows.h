/* Writes out rows of a table that is kept in compact form.

   A group of features is a run of values, or one code: of a category, whose feature is
   1 and the others 0, or of an interval, before which the features are 1 and behind
   which they are -1, with an offset in between. A code beyond the group is a value that
   is missing or unknown: all its features are 0. */

INLINE void FN(write_row)(const Rows *rows, int64_t row, T *to) {
    const T *values = (const T *)rows->X + row * rows->n_values;
    const uint16_t *codes = rows->codes + row * rows->n_codes;
    for (int64_t g = 0; g < rows->n_groups; g++) {
        Group group = rows->groups[g];
        if (group.code < 0) {
            for (int64_t k = 0; k < group.width; k++) to[k] = values[group.value + k];
            to += group.width;
            continue;
        }
        int64_t code = codes[group.code];
        bool known = code < group.width, ladder = group.value >= 0;
        T before = known && ladder ? 1 : 0, behind = known && ladder ? -1 : 0;
        for (int64_t k = 0; k < group.width; k++) to[k] = k < code ? before : behind;
        if (known) to[code] = ladder ? values[group.value] : 1;
        to += group.width;
    }
}

/* PAD rows of one group of codes, feature by feature, `step` apart. */
INLINE void FN(write_codes)(Group group, const T *codes, const T *offsets, T *to,
                            int64_t step) {
    bool ladder = group.value >= 0;
    T end = (T)group.width, before[PAD], behind[PAD];
    EACH(l, PAD, before[l] = ladder && codes[l] < end ? 1 : 0;
         behind[l] = ladder && codes[l] < end ? -1 : 0);
    for (int64_t k = 0; k < group.width; k++, to += step) {
        T place = (T)k;
        EACH(l, PAD, to[l] = codes[l] == place  ? offsets[l]
                             : codes[l] > place ? before[l]
                                                : behind[l]);
    }
}

/* PAD rows, feature by feature: whole vectors are written. */
static void FN(write_features)(const Rows *rows, const int64_t *numbers, T *to,
                               int64_t step) {
    for (int64_t g = 0; g < rows->n_groups; g++) {
        Group group = rows->groups[g];
        T codes[PAD], offsets[PAD];
        if (group.code < 0) {
            for (int64_t k = 0; k < group.width; k++)
                for (int l = 0; l < PAD; l++)
                    to[k * step + l] =
                        ((const T *)rows->X)[numbers[l] * rows->n_values + group.value +
                                             k];
        } else {
            for (int l = 0; l < PAD; l++) {
                codes[l] = rows->codes[numbers[l] * rows->n_codes + group.code];
                offsets[l] = group.value < 0 ? 1
                                             : ((const T *)rows->X)[numbers[l] *
                                                    rows->n_values + group.value];
            }
            FN(write_codes)(group, codes, offsets, to, step);
        }
        to += group.width * step;
    }
}
