#include "cpu/neuron_passes.h"

#include <utility>

#include "core/neuron_models.h"
#include "cpu/clones.h"

namespace inferno {
namespace {

template <class Model, class C>
using Places = std::make_index_sequence<sizeof(Model) / sizeof(C)>;

// Neuron i's model out of a table of parameters. A model is the row of its parameters.
template <class Model, class C, size_t... place>
INFERNO_HD Model model_at(const C* table, int64_t i, std::index_sequence<place...>) {
  Model model;
  C* values = reinterpret_cast<C*>(&model);
  ((values[place] = table[place * neuron_block + i]), ...);
  return model;
}

template <class Model, class C, size_t... place>
INFERNO_HD void put_model(const Model& model, C* table, int64_t i, std::index_sequence<place...>) {
  const C* values = reinterpret_cast<const C*>(&model);
  ((table[place * neuron_block + i] = values[place]), ...);
}

template <class Model, bool Traced, class C>
INFERNO_HD void step_row(const StepRow<C>& row, int64_t count) {
  using Law = typename Model::Adaptation;
  const StepRow<C> s = row;
  const int32_t lock = s.numbers.lock;
  // The new voltage may be the old one, element for element: no iteration reads what another writes.
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) {
    const Model model = model_at<Model>(s.numbers.parameters, i, Places<Model, C>());
    const Refractory<C> waits{s.numbers.dt, s.numbers.snap, s.numbers.period[i]};
    const C acting = Law::constants ? s.acting[i] : C(0);
    C v = s.voltage_in[i], r = s.refrac[i];
    const StepOutcome<C> outcome = neuron_step(v, r, s.inputs[i], acting, model, waits, lock);
    s.voltage[i] = v;
    s.refrac[i] = r;
    if constexpr (Traced) {
      s.code[i] = step_code<C>(outcome, lock);
    } else {
      s.code[i] = outcome.fire ? C(1) : C(0);
    }
  }
}

template <class Model, class C>
INFERNO_HD void retrace_row(const RetraceRow<C>& row, int64_t count) {
  using Law = typename Model::Adaptation;
  const RetraceRow<C> s = row;
  const int32_t lock = s.numbers.lock;
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) {
    const Model model = model_at<Model>(s.numbers.parameters, i, Places<Model, C>());
    const C acting = Law::constants ? s.acting[i] : C(0);
    const int32_t waiting = int32_t(s.code[i] < C(0));
    const StepOutcome<C> outcome = neuron_outcome(s.voltage_in[i], waiting, s.inputs[i], acting, model, lock);
    s.reached[i] = outcome.reached;
    s.above[i] = outcome.reached - Law::threshold(model.thresh_v, acting);
  }
}

template <class Model, class C>
INFERNO_HD StepTrace<C> trace_at(const AdjointRow<C>& s, int64_t i) {
  using Law = typename Model::Adaptation;
  // Read whether they are used or not: a load under a condition is not vectorised.
  const C acting = Law::constants ? s.acting[i] : C(0), code = s.code[i], input = s.inputs[i];
  const C current = code < C(0) ? C(0) : Law::input(input, acting);
  return {s.voltage_in[i], current, s.reached[i], s.slope[i], code};
}

template <class Model, bool learns, class C>
INFERNO_HD void adjoint_row(const AdjointRow<C>& row, int64_t count, C* gradients) {
  using Law = typename Model::Adaptation;
  const AdjointRow<C> s = row;
  const int32_t detach = s.numbers.detach;
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) {
    const Model model = model_at<Model>(s.numbers.parameters, i, Places<Model, C>());
    const StepTrace<C> step = trace_at<Model>(s, i);
    C of_spike = s.of_spikes[i], of_voltage = s.of_voltage[i], of_above_rest = 0;
    if constexpr (Law::constants > 0) {
      const C pull = s.pull_of_above_rest[i];
      of_above_rest = s.moving[i] > C(0) ? pull : C(0);
      of_spike += s.pull_of_spike[i];
      of_voltage += of_above_rest;
    }
    const StepGradients<C> g = neuron_adjoint(of_spike, of_voltage, step, model, detach);
    s.of_voltage[i] = g.voltage;
    s.of_current[i] = g.current;
    if constexpr (Law::constants > 0) {
      s.sum_of_moving[i] += s.moving[i];
      s.sum_of_acting[i] += Law::acting(g.crossing, g.current);
    }
    if constexpr (learns) {
      Model sums = model_at<Model>(static_cast<const C*>(gradients), i, Places<Model, C>());
      add_parameter_gradients(g, of_above_rest, step, model, sums);
      put_model(sums, gradients, i, Places<Model, C>());
    }
  }
}

// Clones cannot be templates.
#define INFERNO_PASSES(M, C, NAME)                                                                                   \
  INFERNO_CLONES void step_##NAME(const StepRow<C>& row, int64_t count) { step_row<M<C>, false>(row, count); }       \
  INFERNO_CLONES void traced_step_##NAME(const StepRow<C>& row, int64_t count) { step_row<M<C>, true>(row, count); } \
  INFERNO_CLONES void retrace_##NAME(const RetraceRow<C>& row, int64_t count) { retrace_row<M<C>>(row, count); }     \
  INFERNO_CLONES void adjoint_##NAME(const AdjointRow<C>& row, int64_t count) {                                      \
    adjoint_row<M<C>, false, C>(row, count, nullptr);                                                                \
  }                                                                                                                  \
  INFERNO_CLONES void learning_adjoint_##NAME(const AdjointRow<C>& row, int64_t count, C* gradients) {               \
    adjoint_row<M<C>, true>(row, count, gradients);                                                                  \
  }                                                                                                                  \
  constexpr NeuronPasses<C> passes_##NAME{step_##NAME, traced_step_##NAME, retrace_##NAME, adjoint_##NAME,           \
                                          learning_adjoint_##NAME};
#define INFERNO_ENTRY(M) INFERNO_PASSES(M, float, M##_f32) INFERNO_PASSES(M, double, M##_f64)
INFERNO_NEURON_MODELS(INFERNO_ENTRY)
#undef INFERNO_ENTRY
#undef INFERNO_PASSES

}  // namespace

template <>
const NeuronPasses<float>& neuron_passes<float>(NeuronModel model) {
  static constexpr NeuronPasses<float> passes[] = {
#define INFERNO_ENTRY(M) passes_##M##_f32,
      INFERNO_NEURON_MODELS(INFERNO_ENTRY)
#undef INFERNO_ENTRY
  };
  return passes[int(model)];
}

template <>
const NeuronPasses<double>& neuron_passes<double>(NeuronModel model) {
  static constexpr NeuronPasses<double> passes[] = {
#define INFERNO_ENTRY(M) passes_##M##_f64,
      INFERNO_NEURON_MODELS(INFERNO_ENTRY)
#undef INFERNO_ENTRY
  };
  return passes[int(model)];
}

}  // namespace inferno
