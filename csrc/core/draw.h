// Numbers of a distribution from a pair of random words. Sums, products and quotients only: all backends round alike.
#pragma once
#include <cmath>

#include "core/exp.h"
#include "core/philox.h"

namespace inferno {

// Natural logarithm of a positive number of the normal range: x = 2^e m with m between sqrt(1/2) and sqrt(2), and
// log m = 2 atanh(s), s = (m - 1) / (m + 1).
INFERNO_HD double log_portable(double x) {
  const uint64_t bits = bits_of(x);
  const uint64_t unit = (bits & 0xfffffffffffffu) | 0x3ff0000000000000u, raised = bits >> 52 | 0x4330000000000000u;
  double whole, exponent;
  memcpy(&whole, &unit, sizeof whole);
  memcpy(&exponent, &raised, sizeof exponent);
  const bool large = whole > 1.4142135623730951;
  const double m = large ? whole * 0.5 : whole;
  const double e = exponent - (4503599627370496.0 + (large ? 1022 : 1023));
  const double s = (m - 1) / (m + 1), z = s * s;
  double p = 2.0 / 21;
  p = p * z + 2.0 / 19;
  p = p * z + 2.0 / 17;
  p = p * z + 2.0 / 15;
  p = p * z + 2.0 / 13;
  p = p * z + 2.0 / 11;
  p = p * z + 2.0 / 9;
  p = p * z + 2.0 / 7;
  p = p * z + 2.0 / 5;
  p = p * z + 2.0 / 3;
  p = p * z + 2.0;
  return e * 0.6931471803691238 + (p * s + e * 1.9082149292705877e-10);
}

// Square root of a positive number of the normal range: half the exponent is within 0.07 of it, and Heron's rule
// squares the error four times. That of torch on the CPU is not always the nearest number.
INFERNO_HD double sqrt_portable(double x) {
  const uint64_t bits = (bits_of(x) >> 1) + 0x1ff8000000000000u;
  double root;
  memcpy(&root, &bits, sizeof root);
  for (int i = 0; i < 4; ++i) root = 0.5 * (root + x / root);
  return root;
}

// Coefficients of AS 241, PPND16 (Wichura 1988), the highest power first; the last of a denominator is 1.
struct Rational {
  double top[8], bottom[8];
};

INFERNO_HD double quotient_at(const Rational& c, double r) {
  double p = c.top[0], q = c.bottom[0];
  for (int i = 1; i < 8; ++i) {
    p = p * r + c.top[i];
    q = q * r + c.bottom[i];
  }
  return p / q;
}

INFERNO_HD bool in_centre(double u) { return std::fabs(u - 0.5) <= 0.425; }

// The standard normal number below which a share u of all lie, for u in the centre, which is 85 of 100.
INFERNO_HD double normal_centre(double u) {
  constexpr Rational c{{2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
                        13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608},
                       {5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
                        5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0}};
  const double q = u - 0.5;
  return q * quotient_at(c, 0.180625 - q * q);
}

// The same for u outside the centre.
INFERNO_HD double normal_tail(double u) {
  constexpr Rational near{
      {7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
       3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734},
      {1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
       0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0}};
  constexpr Rational far{
      {2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386, 0.026532189526576123093,
       0.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772},
      {2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4,
       0.0148753612908506148525, 0.13692988092273580531, 0.59983220655588793769, 1.0}};
  const double smaller = u < 1 - u ? u : 1 - u;
  const double r = sqrt_portable(-log_portable(smaller));
  const double z = r <= 5 ? quotient_at(near, r - 1.6) : quotient_at(far, r - 5);
  return u < 0.5 ? -z : z;
}

INFERNO_HD double normal_quantile(double u) { return in_centre(u) ? normal_centre(u) : normal_tail(u); }

enum class Distribution : int32_t { uniform, normal, lognormal };

struct DrawArgs {
  Distribution distribution;
  Scalar type;  // of the numbers: f32 or f64
  bool redraw;  // numbers outside the bounds are drawn again, otherwise moved to the bound
  uint64_t seed;
  uint32_t stream;
  double a, b;  // low and high, or mean and standard deviation, of a lognormal number's logarithm
  double low, high;
  const int64_t* index;  // [count]
  void* out;             // [count]
  int64_t count;
};

void draw_cpu(const DrawArgs& args, int64_t begin, int64_t end);
void draw_cuda(const DrawArgs& args, void* stream);

// From a uniform number, or from a normal one.
template <Distribution D>
INFERNO_HD double transformed(double x, double a, double b) {
  if constexpr (D == Distribution::uniform) {
    return a + (b - a) * x;
  } else {
    const double y = a + b * x;
    return D == Distribution::lognormal ? exp_portable(y) : y;
  }
}

INFERNO_HD double attempt_of(const DrawArgs& args, int64_t index, uint32_t attempt) {
  const Words w = philox(args.seed, uint64_t(index), args.stream, attempt);
  const double u = uniform_of(pair_of(w.a, w.b));
  if (args.distribution == Distribution::uniform) return transformed<Distribution::uniform>(u, args.a, args.b);
  const double z = normal_quantile(u);
  return args.distribution == Distribution::normal ? transformed<Distribution::normal>(z, args.a, args.b)
                                                   : transformed<Distribution::lognormal>(z, args.a, args.b);
}

INFERNO_HD bool is_outside(const DrawArgs& args, double x) { return (x < args.low) | (x > args.high); }

INFERNO_HD double clipped(double x, double low, double high) { return x < low ? low : (x > high ? high : x); }

INFERNO_HD double drawn(const DrawArgs& args, int64_t index) {
  double x = attempt_of(args, index, 0);
  if (!args.redraw) return clipped(x, args.low, args.high);
  for (uint32_t attempt = 1; is_outside(args, x); ++attempt) x = attempt_of(args, index, attempt);
  return x;
}

}  // namespace inferno
