// Leaky integrate-and-fire: a membrane that relaxes exponentially, exact for a current that is constant in a step.
#pragma once
#include "core/neuron.h"
#include "core/neuron_adjoint.h"

namespace inferno {

template <class C>
INFERNO_HD C linear_membrane(C voltage, C current, C rest_v, C resistance, C decay) {
  const C drive = resistance * current;
  return rest_v + (voltage - rest_v - drive) * decay + drive;
}

template <class C>
INFERNO_HD MembraneSlopes<C> linear_membrane_slopes(C resistance, C decay) {
  return {decay, resistance * (C(1) - decay)};
}

template <class Model, class C>
INFERNO_HD void linear_membrane_gradients(C g, C voltage, C current, const Model& model, Model& gradients) {
  const C relaxed = C(1) - model.decay;
  gradients.rest_v += g * relaxed;
  gradients.resistance += g * (relaxed * current);
  gradients.decay += g * (voltage - model.rest_v - model.resistance * current);
}

template <class C>
struct Lif {
  using Adaptation = NoAdaptation;
  static constexpr const char* name = "lif";
  static constexpr const char* parameters = "thresh_v rest_v resistance decay reset_v";
  C thresh_v, rest_v, resistance, decay, reset_v;

  INFERNO_HD C integrate(C voltage, C current) const {
    return linear_membrane(voltage, current, rest_v, resistance, decay);
  }
  INFERNO_HD C reset(C) const { return reset_v; }

  INFERNO_HD MembraneSlopes<C> slopes(C, C) const { return linear_membrane_slopes(resistance, decay); }
  INFERNO_HD C reset_slope() const { return C(0); }
  INFERNO_HD void add_gradients(const StepGradients<C>& g, C voltage, C current, C, Lif& gradients) const {
    linear_membrane_gradients(g.integrated, voltage, current, *this, gradients);
    gradients.reset_v += g.reset;
  }
};

}  // namespace inferno
