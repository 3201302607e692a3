// One step of the leaky integrate-and-fire neuron.
#pragma once
#include "core/args.h"
#include "core/scalar.h"

namespace inferno {

template <class C>
struct LifParams {
  C dt, snap, decay, rest_v, reset_v, thresh_v, refrac_t, resistance;
};

template <class C>
LifParams<C> lif_params(const LifArgs& a) {
  // A countdown within a thousandth of a step of zero has only rounding left to count.
  return {C(a.dt),      C(a.dt * 1e-3), C(a.decay),    C(a.rest_v),
          C(a.reset_v), C(a.thresh_v),  C(a.refrac_t), C(a.resistance)};
}

// Masks and selects instead of branches, so that compilers vectorise or predicate it. Lock is a template argument for
// the same reason: with a run-time flag the loop around this is not vectorised.
template <bool Lock, class C>
INFERNO_HD int32_t lif_step(C& voltage, C& refrac, C input, const LifParams<C>& p) {
  const C left = refrac - p.dt;
  const int32_t waiting = int32_t(left > p.snap);
  const C drive = p.resistance * (waiting ? C(0) : input);
  const C integrated = p.rest_v + (voltage - p.rest_v - drive) * p.decay + drive;
  const C v = Lock && waiting ? voltage : integrated;
  const int32_t fire = int32_t(v >= p.thresh_v) & (waiting ^ 1);
  voltage = fire ? p.reset_v : v;
  refrac = fire ? p.refrac_t : (waiting ? left : C(0));
  return fire;
}

}  // namespace inferno
