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
};

}  // namespace inferno
