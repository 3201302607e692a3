// Generalised leaky integrate-and-fire, second level: the reset depends on the voltage, and thresholds adapt.
#pragma once
#include "core/lif.h"

namespace inferno {

template <class C>
struct Glif2 {
  using Adaptation = ThresholdAdaptation;
  static constexpr const char* name = "glif2";
  static constexpr const char* parameters = "thresh_v rest_v resistance decay reset_v_mul reset_v_add";
  C thresh_v, rest_v, resistance, decay, reset_v_mul, reset_v_add;

  INFERNO_HD C integrate(C voltage, C current) const {
    return linear_membrane(voltage, current, rest_v, resistance, decay);
  }
  INFERNO_HD C reset(C voltage) const { return rest_v + reset_v_mul * (voltage - rest_v) - reset_v_add; }

  INFERNO_HD MembraneSlopes<C> slopes(C, C) const { return linear_membrane_slopes(resistance, decay); }
  INFERNO_HD C reset_slope() const { return reset_v_mul; }
  INFERNO_HD void add_gradients(const StepGradients<C>& g, C voltage, C current, C reached, Glif2& gradients) const {
    linear_membrane_gradients(g.integrated, voltage, current, *this, gradients);
    gradients.rest_v += g.reset * (C(1) - reset_v_mul);
    gradients.reset_v_mul += g.reset * (reached - rest_v);
    gradients.reset_v_add -= g.reset;
  }
};

}  // namespace inferno
