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

// How an adaptation after a step follows from what it was, while it moves; from the voltage above rest, while it moves;
// and from a spike.
template <class C>
struct AdaptationSlopes {
  C kept, above_rest, spike;
};

// Sums over the samples of a batch: how many of them the adaptations of a neuron move in, and how many it fires in; and
// the voltage above rest of those in which they move.
template <class C>
struct SampleSums {
  C moving, fired, above_rest;
};

// A law of adaptation says what the sum of a neuron's adaptations acts on, and how each of them moves on after a step.
// `constants` counts the values that belong to each adaptation. For the backward pass: `acting` is the gradient of that
// sum, from those of the threshold crossed, negative, and of the current; `add_gradients` adds to those of the
// constants, `g` being that of the adaptation after the step.
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
  template <class C>
  static INFERNO_HD AdaptationSlopes<C> slopes(const C* constants) {
    return {constants[0], C(0), constants[1]};
  }
  template <class C>
  static INFERNO_HD C acting(C crossing, C) {
    return -crossing;
  }
  template <class C>
  static INFERNO_HD void add_gradients(C g, C adaptation, const SampleSums<C>& sums, const C*, C* of_constants) {
    of_constants[0] += g * (adaptation * sums.moving);
    of_constants[1] += g * sums.fired;
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
  template <class C>
  static INFERNO_HD AdaptationSlopes<C> slopes(const C* constants) {
    return {C(1) - constants[0], constants[0] * constants[1], constants[2]};
  }
  template <class C>
  static INFERNO_HD C acting(C, C current) {
    return -current;
  }
  template <class C>
  static INFERNO_HD void add_gradients(C g, C adaptation, const SampleSums<C>& sums, const C* constants,
                                       C* of_constants) {
    of_constants[0] += g * (constants[1] * sums.above_rest - adaptation * sums.moving);
    of_constants[1] += g * (constants[0] * sums.above_rest);
    of_constants[2] += g * sums.fired;
  }
};

// What a step tells besides the new state. `reached`: the voltage that was compared with the threshold.
template <class C>
struct StepOutcome {
  int32_t fire, waiting;  // 0 or 1
  C reached;
};

// Masks and selects instead of branches, so that compilers vectorise or predicate it.
template <class Model, class C>
INFERNO_HD StepOutcome<C> neuron_outcome(C voltage, int32_t waiting, C input, C adaptation, const Model& model,
                                         int32_t lock) {
  using Law = typename Model::Adaptation;
  const C current = waiting ? C(0) : Law::input(input, adaptation);
  const C integrated = model.integrate(voltage, current);
  const C v = (lock & waiting) ? voltage : integrated;
  const int32_t fire = int32_t(v >= Law::threshold(model.thresh_v, adaptation)) & (waiting ^ 1);
  return {fire, waiting, v};
}

template <class Model, class C>
INFERNO_HD StepOutcome<C> neuron_step(C& voltage, C& refrac, C input, C adaptation, const Model& model,
                                      const Refractory<C>& refractory, int32_t lock) {
  const C left = refrac - refractory.dt;
  const int32_t waiting = int32_t(left > refractory.snap);
  const StepOutcome<C> outcome = neuron_outcome(voltage, waiting, input, adaptation, model, lock);
  voltage = outcome.fire ? model.reset(outcome.reached) : outcome.reached;
  refrac = outcome.fire ? refractory.period : (waiting ? left : C(0));
  return outcome;
}

template <bool Lock, class Model, class C>
INFERNO_HD int32_t neuron_step(C& voltage, C& refrac, C input, C adaptation, const Model& model,
                               const Refractory<C>& refractory) {
  return neuron_step(voltage, refrac, input, adaptation, model, refractory, int32_t(Lock)).fire;
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
