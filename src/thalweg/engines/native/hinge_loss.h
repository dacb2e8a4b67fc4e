/* The hinge loss of classes: by how much the right class fails to lead the best other
   one by a margin of 1 (Crammer & Singer, 2001). Others that tie share the slope. */

static void FN(hinge)(FN(LossRows) *s) {
    for (int i = 0; i < PAD; i++) {
        T best = -(T)INFINITY, own = 0;
        int64_t ties = 0;
        for (int64_t k = 0; k < s->n; k++) {
            T z = s->z[k * s->ld + i], y = FN(target_of)(s, k, i);
            own += y * z;
            if (y > 0) continue;
            if (z > best || z != z) best = z, ties = 0;
            if (z == best) ties++;
        }
        T margin = 1 + best - own;
        T slope = s->share[i] * (margin > 0 ? 1 : (margin == 0 ? (T)0.5 : 0));
        s->loss[i] += margin <= 0 ? 0 : margin;
        for (int64_t k = 0; k < s->n; k++) {
            T z = s->z[k * s->ld + i], y = FN(target_of)(s, k, i);
            bool other = !(y > 0) && z == best;
            s->d[k * s->ld + i] = slope * ((other ? 1 / (T)ties : 0) - y);
        }
    }
}
