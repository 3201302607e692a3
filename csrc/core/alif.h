// Leaky integrate-and-fire with thresholds that adapt.
#pragma once
#include "core/lif.h"

namespace inferno {

template <class C>
struct Alif : Lif<C> {
  using Adaptation = ThresholdAdaptation;
  static constexpr const char* name = "alif";
};

}  // namespace inferno
