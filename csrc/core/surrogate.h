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

// Each is made from the scale, and gives the derivative at x.
template <class C>
struct ATan {
  C slope, peak;
  INFERNO_HD explicit ATan(double scale) : slope(C(0.5 * 3.141592653589793 * scale)), peak(C(0.5 * scale)) {}
  INFERNO_HD C operator()(C x) const {
    const C u = slope * x;
    return peak / (C(1) + u * u);
  }
};

template <class C>
struct Sigmoid {
  C scale;
  INFERNO_HD explicit Sigmoid(double k) : scale(C(k)) {}
  // Even in x as it is written, so that no gradient is lost to cancellation above the threshold.
  INFERNO_HD C operator()(C x) const {
    const C e = exp_portable(-(scale * magnitude(x)));
    const C d = C(1) + e;
    return (scale * e) / (d * d);
  }
};

template <class C>
struct FastSigmoid {
  C scale, peak;
  INFERNO_HD explicit FastSigmoid(double k) : scale(C(k)), peak(C(0.5 * k)) {}
  INFERNO_HD C operator()(C x) const {
    const C d = C(1) + scale * magnitude(x);
    return peak / (d * d);
  }
};

template <class C>
struct SuperSpike {
  C scale;
  INFERNO_HD explicit SuperSpike(double k) : scale(C(k)) {}
  INFERNO_HD C operator()(C x) const {
    const C d = C(1) + scale * magnitude(x);
    return C(1) / (d * d);
  }
};

template <class C>
struct Triangular {
  C scale;
  INFERNO_HD explicit Triangular(double k) : scale(C(k)) {}
  INFERNO_HD C operator()(C x) const {
    const C height = C(1) - scale * magnitude(x);
    return scale * (height < C(0) ? C(0) : height);
  }
};

template <class C>
struct Gaussian {
  C scale, peak;
  INFERNO_HD explicit Gaussian(double k) : scale(C(k)), peak(C(k / 2.5066282746310002)) {}  // sqrt(2 pi)
  INFERNO_HD C operator()(C x) const {
    const C u = scale * x;
    return peak * exp_portable(C(-0.5) * (u * u));
  }
};

template <class C>
struct Boxcar {
  C scale;
  INFERNO_HD explicit Boxcar(double k) : scale(C(k)) {}
  INFERNO_HD C operator()(C x) const { return scale * magnitude(x) < C(0.5) ? scale : C(0); }
};

template <class C>
struct StraightThrough {
  C scale;
  INFERNO_HD explicit StraightThrough(double k) : scale(C(k)) {}
  INFERNO_HD C operator()(C) const { return scale; }
};

// Of spikes that have no gradient.
template <class C>
struct NoSurrogate {
  INFERNO_HD explicit NoSurrogate(double) {}
  INFERNO_HD C operator()(C) const { return C(0); }
};

// In the order of enum Surrogate.
#define INFERNO_SURROGATES(X) \
  X(ATan) X(Sigmoid) X(FastSigmoid) X(SuperSpike) X(Triangular) X(Gaussian) X(Boxcar) X(StraightThrough) X(NoSurrogate)

// The derivative at x of a surrogate.
template <class C>
INFERNO_HD C surrogate_slope(Surrogate surrogate, double scale, C x) {
  int number = 0;
#define INFERNO_ENTRY(S) \
  if (int(surrogate) == number++) return S<C>(scale)(x);
  INFERNO_SURROGATES(INFERNO_ENTRY)
#undef INFERNO_ENTRY
  return C(0);
}

}  // namespace inferno
