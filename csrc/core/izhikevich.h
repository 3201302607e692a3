// Quadratic integrate-and-fire with currents that adapt.
#pragma once
#include "core/qif.h"

namespace inferno {

template <class C>
struct Izhikevich : Qif<C> {
  using Adaptation = CurrentAdaptation;
  static constexpr const char* name = "izhikevich";
};

}  // namespace inferno
