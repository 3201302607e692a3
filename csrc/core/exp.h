// One exponential for every backend: additions and multiplications only, so that all of them round alike.
#pragma once
#include "core/scalar.h"

namespace inferno {

INFERNO_HD int64_t double_bits(double x) {
  int64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

// 2^exponent for a whole number within the normal range. The integer is read off the bits of a sum: that vectorises,
// where a conversion from double to 64 bits does not.
INFERNO_HD double power_of_two(double exponent) {
  const double shift = 6755399441055744.0;  // 1.5 * 2^52
  const int64_t bits = (double_bits(exponent + (shift + 1023.0)) - double_bits(shift)) << 52;
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

// To the nearest integer, ties to even, for |x| < 2^51.
INFERNO_HD double round_even(double x) {
  const double shift = 6755399441055744.0;  // 1.5 * 2^52
  return (x + shift) - shift;
}

// exp(r) for |r| <= ln(2) / 2, by a Taylor polynomial: what exp_portable comes down to there, bit for bit.
INFERNO_HD double exp_polynomial(double r) {
  double p = 1.6059043836821613e-10;  // 1 / 13!
  p = p * r + 2.08767569878681e-09;
  p = p * r + 2.505210838544172e-08;
  p = p * r + 2.755731922398589e-07;
  p = p * r + 2.7557319223985893e-06;
  p = p * r + 2.48015873015873e-05;
  p = p * r + 0.0001984126984126984;
  p = p * r + 0.001388888888888889;
  p = p * r + 0.008333333333333333;
  p = p * r + 0.041666666666666664;
  p = p * r + 0.16666666666666666;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  return p;
}

// exp(x) within 1.5 ulp: x = k ln 2 + r, a polynomial in r, and a scale in two factors, so that results below the
// normal range come out gradually.
INFERNO_HD double exp_portable(double x) {
  const double bounded = x < -746.0 ? -746.0 : (x > 710.0 ? 710.0 : x);
  const double k = round_even(bounded * 1.4426950408889634);
  const double r = (bounded - k * 0.6931471803691238) - k * 1.9082149292705877e-10;
  const double half = round_even(k * 0.5);
  return x == x ? exp_polynomial(r) * power_of_two(half) * power_of_two(k - half) : x;
}

}  // namespace inferno
