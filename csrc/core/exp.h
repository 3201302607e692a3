// One exponential for every backend: additions and multiplications only, so that all of them round alike.
#pragma once
#include "core/scalar.h"

namespace inferno {

// What the exponential needs to know of a floating type: how its bits are read, where the exponential becomes zero or
// infinite, ln(2) in two parts, of which the first has so few bits that a whole multiple of it is exact, and how many
// terms the polynomial needs.
template <class C>
struct ExpFormat;

template <>
struct ExpFormat<double> {
  using Bits = uint64_t;  // unsigned: those of a NaN may be shifted away
  static constexpr int mantissa = 52, terms = 14;
  static constexpr double bias = 1023, shift = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double lowest = -746, lowest_normal = -708, highest = 710;
  static constexpr double ln2_high = 0.6931471803691238, ln2_low = 1.9082149292705877e-10;
};

template <>
struct ExpFormat<float> {
  using Bits = uint32_t;
  static constexpr int mantissa = 23, terms = 8;
  static constexpr float bias = 127, shift = 12582912.0f;  // 1.5 * 2^23
  static constexpr float lowest = -104, lowest_normal = -87, highest = 89;
  static constexpr float ln2_high = 0.693359375f, ln2_low = -0.00021219444f;
};

template <class C>
INFERNO_HD typename ExpFormat<C>::Bits bits_of(C x) {
  typename ExpFormat<C>::Bits bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

// 2^exponent for a whole number within the normal range. The integer is read off the bits of a sum: that vectorises,
// where a conversion from double to 64 bits does not.
template <class C>
INFERNO_HD C power_of_two(C exponent) {
  using Format = ExpFormat<C>;
  const auto bits = (bits_of(exponent + (Format::shift + Format::bias)) - bits_of(C(Format::shift)))
                    << Format::mantissa;
  C x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

// To the nearest integer, ties to even, for numbers below a quarter of 2^mantissa.
template <class C>
INFERNO_HD C round_even(C x) {
  return (x + ExpFormat<C>::shift) - ExpFormat<C>::shift;
}

// 1 / 13!, 1 / 12!, ..., 1 / 2!, 1, 1
constexpr int exp_terms = 14;
constexpr double exp_taylor[exp_terms] = {1.6059043836821613e-10,
                                          2.08767569878681e-09,
                                          2.505210838544172e-08,
                                          2.755731922398589e-07,
                                          2.7557319223985893e-06,
                                          2.48015873015873e-05,
                                          0.0001984126984126984,
                                          0.001388888888888889,
                                          0.008333333333333333,
                                          0.041666666666666664,
                                          0.16666666666666666,
                                          0.5,
                                          1.0,
                                          1.0};

// p * r^n plus the terms from `next` on, n of them; not a loop, because it stands in loops that are to be vectorised.
template <int next, class C>
INFERNO_HD C exp_polynomial(C p, C r) {
  if constexpr (next == exp_terms) {
    return p;
  } else {
    constexpr C term = C(exp_taylor[next]);
    return exp_polynomial<next + 1>(p * r + term, r);
  }
}

// exp(x) within 1.5 ulp: x = k ln 2 + r, a polynomial in r, and a scale in two factors, so that results below the
// normal range come out gradually.
template <class C>
INFERNO_HD C exp_portable(C x) {
  using Format = ExpFormat<C>;
  const C bounded = x < Format::lowest ? Format::lowest : (x > Format::highest ? Format::highest : x);
  const C k = round_even(bounded * C(1.4426950408889634));
  const C r = (bounded - k * Format::ln2_high) - k * Format::ln2_low;
  const C half = round_even(k * C(0.5));
  constexpr int first = exp_terms - Format::terms;
  constexpr C highest = C(exp_taylor[first]);
  const C scaled = exp_polynomial<first + 1>(highest, r) * power_of_two(half) * power_of_two(k - half);
  return x == x ? scaled : x;
}

// The same from lowest_normal to 0, where nothing is to be bounded and one factor does.
template <class C>
INFERNO_HD C exp_of_decay(C x) {
  using Format = ExpFormat<C>;
  const C k = round_even(x * C(1.4426950408889634));
  const C r = (x - k * Format::ln2_high) - k * Format::ln2_low;
  constexpr int first = exp_terms - Format::terms;
  constexpr C highest = C(exp_taylor[first]);
  return exp_polynomial<first + 1>(highest, r) * power_of_two(k);
}

}  // namespace inferno
