// Leaky integrate-and-fire: a membrane that relaxes exponentially, exact for a current that is constant in a step.
#pragma once
#include "core/neuron.h"

namespace inferno {

template <class C>
INFERNO_HD C linear_membrane(C voltage, C current, C rest_v, C resistance, C decay) {
  const C drive = resistance * current;
  return rest_v + (voltage - rest_v - drive) * decay + drive;
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
};

}  // namespace inferno
