// Surrogate derivatives of a spike. x is the voltage less the threshold, mV; `scale` is in 1/mV. What follows from the
// scale alone is computed in double and rounded once.
#pragma once
#include "core/args.h"
#include "core/exp.h"
#include "core/scalar.h"

namespace inferno {

template <class C>
INFERNO_HD C magnitude(C x) {
  return x < C(0) ? -x : x;
}

// What a surrogate needs to know of its scale.
template <class C>
struct SurrogateNumbers {
  C scale, peak;
};

template <class C>
SurrogateNumbers<C> surrogate_numbers(Surrogate surrogate, double scale) {
  switch (surrogate) {
    case Surrogate::atan:
      return {C(0.5 * 3.141592653589793 * scale), C(0.5 * scale)};
    case Surrogate::fast_sigmoid:
      return {C(scale), C(0.5 * scale)};
    case Surrogate::super_spike:
      return {C(scale), C(1)};
    case Surrogate::gaussian:
      return {C(scale), C(scale / 2.5066282746310002)};  // sqrt(2 pi)
    default:
      return {C(scale), C(scale)};
  }
}

// Each has the derivative at x.
struct ATan {
  template <class C>
  static INFERNO_HD C slope(C x, const SurrogateNumbers<C>& n) {
    const C u = n.scale * x;
    return n.peak / (C(1) + u * u);
  }
};

struct Sigmoid {
  // Even in x as it is written, so that no gradient is lost to cancellation above the threshold.
  template <class C>
  static INFERNO_HD C slope(C x, const SurrogateNumbers<C>& n) {
    const C e = exp_portable(-(n.scale * magnitude(x)));
    const C d = C(1) + e;
    return (n.peak * e) / (d * d);
  }
};

struct FastSigmoid {
  template <class C>
  static INFERNO_HD C slope(C x, const SurrogateNumbers<C>& n) {
    const C d = C(1) + n.scale * magnitude(x);
    return n.peak / (d * d);
  }
};

struct SuperSpike : FastSigmoid {};

struct Triangular {
  template <class C>
  static INFERNO_HD C slope(C x, const SurrogateNumbers<C>& n) {
    const C height = C(1) - n.scale * magnitude(x);
    return n.peak * (height < C(0) ? C(0) : height);
  }
};

struct Gaussian {
  template <class C>
  static INFERNO_HD C slope(C x, const SurrogateNumbers<C>& n) {
    const C u = n.scale * x;
    return n.peak * exp_portable(C(-0.5) * (u * u));
  }
};

struct Boxcar {
  template <class C>
  static INFERNO_HD C slope(C x, const SurrogateNumbers<C>& n) {
    return n.scale * magnitude(x) < C(0.5) ? n.peak : C(0);
  }
};

struct StraightThrough {
  template <class C>
  static INFERNO_HD C slope(C, const SurrogateNumbers<C>& n) {
    return n.peak;
  }
};

// Of spikes that have no gradient.
struct NoSurrogate {
  template <class C>
  static INFERNO_HD C slope(C, const SurrogateNumbers<C>&) {
    return C(0);
  }
};

// In the order of enum Surrogate.
#define INFERNO_SURROGATES(X) \
  X(ATan) X(Sigmoid) X(FastSigmoid) X(SuperSpike) X(Triangular) X(Gaussian) X(Boxcar) X(StraightThrough) X(NoSurrogate)

// The derivative at x of a surrogate.
template <class C>
INFERNO_HD C surrogate_slope(Surrogate surrogate, C x, const SurrogateNumbers<C>& numbers) {
  int number = 0;
#define INFERNO_ENTRY(S) \
  if (int(surrogate) == number++) return S::slope(x, numbers);
  INFERNO_SURROGATES(INFERNO_ENTRY)
#undef INFERNO_ENTRY
  return C(0);
}

}  // namespace inferno
