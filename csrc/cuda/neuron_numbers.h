// What a thread reads of the numbers and the series of a sequence of steps.
#pragma once
#include "core/neuron_models.h"
#include "cuda/launch.h"

namespace inferno {

template <class T>
__device__ Compute<T> value_at(const Series& series, int64_t t, int64_t i) {
  return load(static_cast<const T*>(series.data)[t * series.step_stride + i * series.item_stride]);
}

template <class C>
__device__ C number_of(const Coefficient& c, int64_t neuron) {
  return c.data ? static_cast<const C*>(c.data)[neuron / c.inner % c.size] : C(c.value);
}

// A model is the row of its parameters.
template <class Model, class C>
__device__ Model model_of(const NeuronRunArgs& a, int64_t neuron) {
  C row[sizeof(Model) / sizeof(C)];
  for (size_t p = 0; p < sizeof(Model) / sizeof(C); ++p) row[p] = number_of<C>(a.parameters[p], neuron);
  Model model;
  memcpy(&model, row, sizeof model);
  return model;
}

// See refractory().
template <class C>
__device__ Refractory<C> refractory_of(const NeuronRunArgs& a, int64_t neuron) {
  const C period = number_of<C>(a.refrac_t, neuron);
  return {C(a.dt), C(a.dt * 1e-3), period == C(0) ? C(-0.0) : period};
}

}  // namespace inferno
