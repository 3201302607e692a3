// Quadratic integrate-and-fire, forward Euler; `rate` is dt / membrane time constant.
#pragma once
#include "core/neuron.h"
#include "core/neuron_adjoint.h"

namespace inferno {

template <class C>
struct Qif {
  using Adaptation = NoAdaptation;
  static constexpr const char* name = "qif";
  static constexpr const char* parameters = "thresh_v rest_v resistance rate crit_v affinity reset_v";
  C thresh_v, rest_v, resistance, rate, crit_v, affinity, reset_v;

  INFERNO_HD C integrate(C voltage, C current) const {
    return voltage + rate * (affinity * (voltage - rest_v) * (voltage - crit_v) + resistance * current);
  }
  INFERNO_HD C reset(C) const { return reset_v; }

  INFERNO_HD MembraneSlopes<C> slopes(C voltage, C) const {
    return {C(1) + rate * affinity * ((voltage - rest_v) + (voltage - crit_v)), rate * resistance};
  }
  INFERNO_HD C reset_slope() const { return C(0); }
  INFERNO_HD void add_gradients(const StepGradients<C>& g, C voltage, C current, C, Qif& gradients) const {
    const C above_rest = voltage - rest_v, above_crit = voltage - crit_v, moved = g.integrated * rate;
    gradients.rest_v -= moved * (affinity * above_crit);
    gradients.resistance += moved * current;
    gradients.rate += g.integrated * (affinity * above_rest * above_crit + resistance * current);
    gradients.crit_v -= moved * (affinity * above_rest);
    gradients.affinity += moved * (above_rest * above_crit);
    gradients.reset_v += g.reset;
  }
};

}  // namespace inferno
