// The adjoint of a step: from the gradients of its results to those of what it was computed from. A model adds the
// slopes of its membrane and of its reset, and its parameters' gradients.
#pragma once
#include "core/neuron.h"

namespace inferno {

// How the integrated voltage follows from the voltage before and from the current.
template <class C>
struct MembraneSlopes {
  C voltage, current;
};

// Gradients inside a step and in front of it. `crossing`: of the distance from the threshold, by way of the spike.
template <class C>
struct StepGradients {
  C crossing, reset, integrated;
  C voltage, current;
};

// What became of a neuron in a step, as a number that the loops of the adjoint compare: 1, it fired; 0; -1, it was
// refractory; -2, it was, and its voltage was held.
template <class C>
INFERNO_HD C step_code(const StepOutcome<C>& outcome, int32_t lock) {
  return C(outcome.fire - outcome.waiting - (lock & outcome.waiting));
}

// What a step has left for its adjoint. `slope`: surrogate derivative, 0 of refractory neurons.
template <class C>
struct StepTrace {
  C voltage, current, reached, slope, code;  // voltage before the step; current as the membrane took it
};

// A spike puts the reset in the place of the voltage reached: v' = v + s (reset(v) - v), of which `detach` holds s
// fixed.
template <class Model, class C>
INFERNO_HD StepGradients<C> neuron_adjoint(C of_spike, C of_voltage, const StepTrace<C>& step, const Model& model,
                                           int32_t detach) {
  const int32_t fire = int32_t(step.code > C(0)), waiting = int32_t(step.code < C(0));
  const int32_t hold = int32_t(step.code < C(-1));
  const C by_reset = of_voltage * (model.reset(step.reached) - step.reached);
  // With the mask, which varies, `detach` alone being no condition that is vectorised.
  const C crossing = (of_spike + ((detach | waiting) ? C(0) : by_reset)) * step.slope;
  const C through = fire ? of_voltage * model.reset_slope() : of_voltage;
  const C of_reached = through + crossing;
  const MembraneSlopes<C> slopes = model.slopes(step.voltage, step.current);
  StepGradients<C> g;
  g.crossing = crossing;
  g.reset = fire ? of_voltage : C(0);
  g.integrated = hold ? C(0) : of_reached;
  g.voltage = hold ? of_reached : of_reached * slopes.voltage;
  g.current = waiting ? C(0) : of_reached * slopes.current;
  return g;
}

// Adds the gradients of a step to those of the parameters. `above_rest`: of the voltage above rest, from adaptations.
template <class Model, class C>
INFERNO_HD void add_parameter_gradients(const StepGradients<C>& g, C above_rest, const StepTrace<C>& step,
                                        const Model& model, Model& gradients) {
  model.add_gradients(g, step.voltage, step.current, step.reached, gradients);
  gradients.thresh_v -= g.crossing;
  gradients.rest_v -= above_rest;
}

// What the adaptations of a neuron after a step make of their gradients, the same for all samples: gradients of a
// spike, and of the voltage above rest of a sample that they move in.
template <class C>
struct AdaptationPull {
  C spike, above_rest;
};

// Adds what one adaptation makes of its gradient.
template <class Law, class C>
INFERNO_HD void add_pull(C gradient, const C* constants, AdaptationPull<C>& pull) {
  const AdaptationSlopes<C> slopes = Law::slopes(constants);
  pull.spike += slopes.spike * gradient;
  pull.above_rest += slopes.above_rest * gradient;
}

// The gradient of an adaptation before a step, from that after it; sums over the samples. `acting`: of what the sum of
// the adaptations acts on.
template <class Law, class C>
INFERNO_HD C adaptation_adjoint(C gradient, C moving, C acting, int64_t samples, const C* constants) {
  return gradient * ((C(samples) - moving) + moving * Law::slopes(constants).kept) + acting;
}

}  // namespace inferno
