/* exp, expm1, log, log1p and tanh, as polynomials without branches.

   Written so that the compiler vectorizes the loops they stand in: no calls, no table,
   no data-dependent jump. NaN and infinity propagate because the clamps are written
   `x > limit ? limit : x`, which keeps a NaN. Polynomials are Chebyshev interpolants;
   each function is within 2 units in the last place over its whole range. */

#if REAL_BITS == 64
#define MANTISSA 52
#define BIAS 1023
#define MAGIC 6755399441055744.0 /* 1.5 * 2^52: adding it rounds to an integer */
#define EXP_HIGH 710.0
#define EXP_LOW -746.0
#define EXP_NONE -709.08956571282405 /* BIAS halvings */
#define LN2_HIGH 6.93147180369123816490e-01
#define LN2_LOW 1.90821492927058770002e-10
#define SMALLEST_NORMAL 2.2250738585072014e-308
#define SQRT_HALF_BITS 0x3fe6a09e667f3bcdULL
#else
#define MANTISSA 23
#define BIAS 127
#define MAGIC 12582912.0f
#define EXP_HIGH 89.0f
#define EXP_LOW -104.0f
#define EXP_NONE -88.02969193111305f
#define LN2_HIGH 6.93145752e-01f
#define LN2_LOW 1.42860677e-06f
#define SMALLEST_NORMAL 1.17549435e-38f
#define SQRT_HALF_BITS 0x3f3504f3U
#endif
#define LOG2_E ((T)1.44269504088896340736)

INLINE U FN(bits)(T x) {
    U u;
    memcpy(&u, &x, sizeof u);
    return u;
}

INLINE T FN(from_bits)(U u) {
    T x;
    memcpy(&x, &u, sizeof x);
    return x;
}

INLINE T FN(power_of_two)(U n) { return FN(from_bits)((n + BIAS) << MANTISSA); }

/* x = k ln 2 + r with |r| <= ln 2 / 2; returns exp(r) - 1, and k's bits. */
INLINE T FN(reduced_expm1)(T x, U *k) {
    T shifted = x * LOG2_E + MAGIC;
    *k = FN(bits)(shifted) - FN(bits)(MAGIC);
    T whole = shifted - MAGIC;
    T r = (x - whole * LN2_HIGH) - whole * LN2_LOW;
#if REAL_BITS == 64
    T q = 2.5100472505694996003e-8;
    q = q * r + 2.7620201591031548792e-7;
    q = q * r + 2.7557268276905696187e-6;
    q = q * r + 2.4801521057868205199e-5;
    q = q * r + 1.9841269863171556026e-4;
    q = q * r + 1.3888888917367080562e-3;
    q = q * r + 8.3333333333300381973e-3;
    q = q * r + 4.1666666666623820532e-2;
    q = q * r + 1.6666666666666667460e-1;
    q = q * r + 5.0000000000000010314e-1;
#else
    T q = 1.39262508315e-3f;
    q = q * r + 8.36323288368e-3f;
    q = q * r + 4.1666554213e-2f;
    q = q * r + 1.66665766661e-1f;
    q = q * r + 0.5f;
#endif
    return r + (r * r) * q;
}

INLINE T FN(exp)(T x) {
    x = x > EXP_HIGH ? EXP_HIGH : x;
    x = x < EXP_LOW ? EXP_LOW : x;
    U k;
    T y = FN(reduced_expm1)(x, &k) + 1;
    /* Two factors, so that neither overflows and denormals are rounded once. */
    U half = ((k + 4096) >> 1) - 2048;
    return (y * FN(power_of_two)(half)) * FN(power_of_two)(k - half);
}

/* exp(x) for x <= 0, 0 where it is denormal: cheaper by a third. */
INLINE T FN(exp_negative)(T x) {
    U k;
    T y = FN(reduced_expm1)(x < EXP_NONE ? EXP_NONE : x, &k) + 1;
    return y * FN(power_of_two)(k);
}

/* exp(x) - 1 for x <= 0, which is all that is needed. */
INLINE T FN(expm1_negative)(T x) {
    T clamped = x < -60 ? -60 : x;
    U k;
    T y = FN(reduced_expm1)(clamped, &k);
    T scale = FN(power_of_two)(k);
    /* A zero keeps its sign. */
    return x == 0 ? x : y * scale + (scale - 1);
}

/* Of a positive normal number, times 2 to the power of `more`. */
INLINE T FN(log_normal)(T x, T more) {
    U b = FN(bits)(x);
    U offset = (U)BIAS << MANTISSA;
    U e = (b - SQRT_HALF_BITS + offset) >> MANTISSA;
    T m = FN(from_bits)(b - ((e - BIAS) << MANTISSA));
    T k = FN(from_bits)(FN(bits)(MAGIC) + e) - MAGIC - BIAS + more;
    T f = m - 1, s = f / (2 + f), z = s * s, hfsq = f * f / 2;
#if REAL_BITS == 64
    /* The coefficients are those of Sun's fdlibm (e_log.c). */
    T w = z * z;
    T even = w * (3.999999999940941908e-01 +
                  w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
    T odd = z * (6.666666666666735130e-01 +
                 w * (2.857142874366239149e-01 +
                      w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
    T R = even + odd;
#else
    T w = z * z;
    T R = w * (0.40000972152f + w * 0.24279078841f) +
          z * (0.66666662693f + w * 0.28498786688f);
#endif
    return k * LN2_HIGH - ((hfsq - (s * (hfsq + R) + k * LN2_LOW)) - f);
}

INLINE T FN(log)(T x) {
    bool tiny = x < SMALLEST_NORMAL;
    T y = FN(log_normal)(tiny ? x * (T)18014398509481984.0 : x, tiny ? -54 : 0);
    y = x > 0 ? y : (x == 0 ? -(T)INFINITY : (T)NAN);
    return x == (T)INFINITY ? x : y;
}

/* log(1 + x) for 0 <= x <= 1, which is all that is needed. */
INLINE T FN(log1p_unit)(T x) {
    T u = 1 + x;
    T lost = x - (u - 1);
    T y = FN(log)(u) + lost / u;
    return u == 1 ? x : y;
}

INLINE T FN(abs)(T x) { return FN(from_bits)(FN(bits)(x) & ~((U)1 << (REAL_BITS - 1))); }

INLINE T FN(with_sign)(T size, T sign) {
    return FN(from_bits)(FN(bits)(size) |
                         (FN(bits)(sign) & ((U)1 << (REAL_BITS - 1))));
}

INLINE T FN(tanh)(T x) {
    T a = FN(abs)(x), u = x * x;
#if REAL_BITS == 64
    T p = -0.000018335962110039419923;
    p = p * u + 0.000081547378065253651385;
    p = p * u - 0.000232251040679385094;
    p = p * u + 0.00058805415484187290001;
    p = p * u - 0.0014554648028007449162;
    p = p * u + 0.0035920831663434575029;
    p = p * u - 0.0088632321135414731873;
    p = p * u + 0.021869488383780929152;
    p = p * u - 0.053968253964757624783;
    p = p * u + 0.13333333333330196177;
    p = p * u - 0.33333333333333328669;
    T bound = a > 22 ? 22 : a;
#else
    T p = -0.00626911971965f;
    p = p * u + 0.0211109590495f;
    p = p * u - 0.0538739488486f;
    p = p * u + 0.13332915367f;
    p = p * u - 0.333333303327f;
    T bound = a > 12 ? 12 : a;
#endif
    U k;
    T e = FN(reduced_expm1)(2 * bound, &k) + 1;
    T far = 1 - 2 / (e * FN(power_of_two)(k) + 1);
    T near = a + a * (u * p);
    return FN(with_sign)(a < (T)0.6 ? near : far, x);
}

INLINE T FN(logistic)(T x) { return 1 / (1 + FN(exp)(-x)); }

INLINE T FN(softplus)(T x) {
    T large = x < 0 ? 0 : x; /* keeps a NaN */
    return large + FN(log1p_unit)(FN(exp)(-FN(abs)(x)));
}

#if REAL_BITS == 64
#define ERFC erfc
#define SQRT sqrt
#define POW pow
#define COS cos
#define SIN sin
#else
#define ERFC erfcf
#define SQRT sqrtf
#define POW powf
#define COS cosf
#define SIN sinf
#endif
