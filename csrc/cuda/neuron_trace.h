// A step as its adjoint sees it, and what all backward kernels of sequences of neurons do with a model.
#pragma once
#include "core/surrogate.h"
#include "cuda/neuron_numbers.h"

namespace inferno {

template <class T, class Model>
__device__ StepTrace<Compute<T>> trace_of(const NeuronRunBackwardArgs& g, int64_t t, int64_t i, Compute<T> acting,
                                          const Model& model, Compute<T> voltage, int32_t waiting,
                                          const SurrogateNumbers<Compute<T>>& numbers) {
  using C = Compute<T>;
  using Law = typename Model::Adaptation;
  const C input = value_at<T>(g.run.inputs, t, i);
  const StepOutcome<C> outcome = neuron_outcome(voltage, waiting, input, acting, model, g.run.refrac_lock);
  const C above = outcome.reached - Law::threshold(model.thresh_v, acting);
  const C slope = surrogate_slope(g.surrogate, above, numbers);
  return {voltage, waiting ? C(0) : Law::input(input, acting), outcome.reached, waiting ? C(0) : slope,
          step_code<C>(outcome, g.run.refrac_lock)};
}

template <class C, class Model>
__device__ void store_parameters(const NeuronRunBackwardArgs& g, int64_t i, const Model& gradients) {
  C row[sizeof(Model) / sizeof(C)];
  memcpy(row, &gradients, sizeof row);
  for (size_t p = 0; p < sizeof(Model) / sizeof(C); ++p)
    if (g.parameters[p]) static_cast<C*>(g.parameters[p])[i] = row[p];
}

// What store_parameters() has left; zeros of parameters that have no gradient.
template <class C, class Model>
__device__ Model load_parameters(const NeuronRunBackwardArgs& g, int64_t i) {
  C row[sizeof(Model) / sizeof(C)];
  for (size_t p = 0; p < sizeof(Model) / sizeof(C); ++p)
    row[p] = g.parameters[p] ? static_cast<const C*>(g.parameters[p])[i] : C(0);
  Model gradients;
  memcpy(&gradients, row, sizeof gradients);
  return gradients;
}

}  // namespace inferno
