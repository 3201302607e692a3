// Quadratic integrate-and-fire, forward Euler; `rate` is dt / membrane time constant.
#pragma once
#include "core/neuron.h"

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
};

}  // namespace inferno
