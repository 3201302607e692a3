// Exponential integrate-and-fire, forward Euler; `rate` is dt / membrane time constant.
#pragma once
#include "core/exp.h"
#include "core/neuron.h"

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
};

}  // namespace inferno
