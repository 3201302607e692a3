// Exponential integrate-and-fire, forward Euler; `rate` is dt / membrane time constant.
#pragma once
#include "core/exp.h"
#include "core/neuron.h"
#include "core/neuron_adjoint.h"

namespace inferno {

template <class C>
struct Eif {
  using Adaptation = NoAdaptation;
  static constexpr const char* name = "eif";
  static constexpr const char* parameters = "thresh_v rest_v resistance rate rheobase_v sharpness reset_v";
  C thresh_v, rest_v, resistance, rate, rheobase_v, sharpness, reset_v;

  INFERNO_HD C integrate(C voltage, C current) const {
    const C onset = sharpness * exp_portable((voltage - rheobase_v) / sharpness);
    return voltage + rate * (rest_v - voltage + onset + resistance * current);
  }
  INFERNO_HD C reset(C) const { return reset_v; }

  INFERNO_HD MembraneSlopes<C> slopes(C voltage, C) const {
    return {C(1) + rate * (exp_portable((voltage - rheobase_v) / sharpness) - C(1)), rate * resistance};
  }
  INFERNO_HD C reset_slope() const { return C(0); }
  INFERNO_HD void add_gradients(const StepGradients<C>& g, C voltage, C current, C, Eif& gradients) const {
    const C u = (voltage - rheobase_v) / sharpness, e = exp_portable(u), moved = g.integrated * rate;
    gradients.rest_v += moved;
    gradients.resistance += moved * current;
    gradients.rate += g.integrated * (rest_v - voltage + sharpness * e + resistance * current);
    gradients.rheobase_v -= moved * e;
    gradients.sharpness += moved * (e * (C(1) - u));
    gradients.reset_v += g.reset;
  }
};

}  // namespace inferno
