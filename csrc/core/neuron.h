// What all neuron models share: one step, and the laws by which neurons adapt to their own activity.
#pragma once
#include "core/args.h"
#include "core/scalar.h"

namespace inferno {

template <class C>
struct Refractory {
  C dt, snap, period;  // ms
};

template <class C>
Refractory<C> refractory(const NeuronArgs& a) {
  // A countdown within a thousandth of a step of zero has only rounding left to count. A spike without a refractory
  // period is marked by the sign of its zero.
  return {C(a.dt), C(a.dt * 1e-3), a.refrac_t == 0 ? C(-0.0) : C(a.refrac_t)};
}

// A model is the row of its parameters.
template <class Model, class C>
Model model_from(const double* parameters) {
  C row[sizeof(Model) / sizeof(C)];
  for (size_t i = 0; i < sizeof(Model) / sizeof(C); ++i) row[i] = C(parameters[i]);
  Model model;
  memcpy(&model, row, sizeof model);
  return model;
}

// A law of adaptation says what the sum of a neuron's adaptations acts on, and how each of them moves on after a step.
// `constants` counts the values that belong to each adaptation.
struct NoAdaptation {
  static constexpr int constants = 0;
  template <class C>
  static INFERNO_HD C input(C input, C) {
    return input;
  }
  template <class C>
  static INFERNO_HD C threshold(C threshold, C) {
    return threshold;
  }
};

// Raises the threshold; jumps at spikes and decays.
struct ThresholdAdaptation {
  static constexpr int constants = 2;  // decay of a step; jump, mV
  template <class C>
  static INFERNO_HD C input(C input, C) {
    return input;
  }
  template <class C>
  static INFERNO_HD C threshold(C threshold, C adaptation) {
    return threshold + adaptation;
  }
  template <class C>
  static INFERNO_HD C update(C adaptation, int32_t hold, int32_t fire, C, const C* constants) {
    return (hold ? adaptation : adaptation * constants[0]) + (fire ? constants[1] : C(0));
  }
};

// A current that counteracts the input; follows the voltage, and jumps at spikes.
struct CurrentAdaptation {
  static constexpr int constants = 3;  // dt / time constant; coupling to the voltage, uS; jump, nA
  template <class C>
  static INFERNO_HD C input(C input, C adaptation) {
    return input - adaptation;
  }
  template <class C>
  static INFERNO_HD C threshold(C threshold, C) {
    return threshold;
  }
  template <class C>
  static INFERNO_HD C update(C adaptation, int32_t hold, int32_t fire, C above_rest, const C* constants) {
    const C moved = adaptation + constants[0] * (constants[1] * above_rest - adaptation);
    return (hold ? adaptation : moved) + (fire ? constants[2] : C(0));
  }
};

// Masks and selects instead of branches, so that compilers vectorise or predicate it. Lock is a template argument for
// the same reason: with a run-time flag the loop around this is not vectorised.
template <bool Lock, class Model, class C>
INFERNO_HD int32_t neuron_step(C& voltage, C& refrac, C input, C adaptation, const Model& model,
                               const Refractory<C>& refractory) {
  using Law = typename Model::Adaptation;
  const C left = refrac - refractory.dt;
  const int32_t waiting = int32_t(left > refractory.snap);
  const C current = waiting ? C(0) : Law::input(input, adaptation);
  const C integrated = model.integrate(voltage, current);
  const C v = Lock && waiting ? voltage : integrated;
  const int32_t fire = int32_t(v >= Law::threshold(model.thresh_v, adaptation)) & (waiting ^ 1);
  voltage = fire ? model.reset(v) : v;
  refrac = fire ? refractory.period : (waiting ? left : C(0));
  return fire;
}

// Sums over the batch add sample b to partial sum b mod lanes, and then the upper half of the partial sums to the lower
// until one is left: an order that does not depend on who computes it.
constexpr int64_t max_batch_lanes = 32;

INFERNO_HD int64_t batch_lanes(int64_t batch) {
  int64_t lanes = 1;
  while (lanes < batch && lanes < max_batch_lanes) lanes *= 2;
  return lanes;
}

}  // namespace inferno
