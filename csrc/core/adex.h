// Exponential integrate-and-fire with currents that adapt.
#pragma once
#include "core/eif.h"

namespace inferno {

template <class C>
struct AdEx : Eif<C> {
  using Adaptation = CurrentAdaptation;
  static constexpr const char* name = "adex";
};

}  // namespace inferno
