#include "core/args.h"
#include "core/neuron_models.h"
#include "cuda/adapting_backward.h"
#include "cuda/launch.h"
#include "cuda/neuron_trace.h"

namespace inferno {
namespace {

constexpr int threads = 256;
constexpr int stretch = 32;  // steps that a thread remembers; as many as a word has bits

// What a thread remembers of the steps [first, last): the voltages before them, and where the neuron was refractory.
template <class C>
struct Memory {
  C voltages[stretch];
  uint32_t waiting;
};

// Runs from the last state that was kept to the end of a stretch.
template <class T, class Model>
__device__ void remember(const NeuronRunArgs& a, int64_t i, int64_t first, int64_t last, const Model& model,
                         const Refractory<Compute<T>>& waits, Memory<Compute<T>>& memory) {
  using C = Compute<T>;
  const int64_t mark = first / a.interval - 1, items = a.batch * a.count;
  const void* voltages = mark < 0 ? a.voltage_in : a.voltage_marks;
  const void* refracs = mark < 0 ? a.refrac_in : a.refrac_marks;
  const int64_t at = mark < 0 ? i : mark * items + i;
  C voltage = load(static_cast<const T*>(voltages)[at]), refrac = load(static_cast<const T*>(refracs)[at]);
  memory.waiting = 0;
  for (int64_t t = (mark + 1) * a.interval; t < last; ++t) {
    const C before = voltage;
    const int32_t waiting =
        neuron_step(voltage, refrac, value_at<T>(a.inputs, t, i), C(0), model, waits, a.refrac_lock).waiting;
    voltage = load(store<T>(voltage));
    refrac = load(store<T>(refrac));
    if (t < first) continue;
    memory.voltages[t - first] = before;
    memory.waiting |= uint32_t(waiting) << (t - first);
  }
}

// A thread takes the gradient of a neuron of a sample back through all steps. Steps farther from a kept state than a
// thread remembers are run again once more for every stretch between.
template <class T, class Model>
__global__ void __launch_bounds__(threads)
    neuron_run_backward_kernel(NeuronRunBackwardArgs g, SurrogateNumbers<Compute<T>> numbers, bool learns) {
  using C = Compute<T>;
  const NeuronRunArgs& a = g.run;
  const int64_t items = a.batch * a.count;
  for (int64_t i = INFERNO_FIRST_ITEM; i < items; i += INFERNO_ITEM_STRIDE) {
    const Model model = model_of<Model, C>(a, i % a.count);
    const Refractory<C> waits = refractory_of<C>(a, i % a.count);
    C of_voltage = g.of_voltage ? load(static_cast<const T*>(g.of_voltage)[i]) : C(0);
    Model gradients;
    memset(&gradients, 0, sizeof gradients);
    for (int64_t last = a.steps, first; last > 0; last = first) {
      const int64_t kept = (last - 1) / a.interval * a.interval;
      first = kept + (last - 1 - kept) / stretch * stretch;
      Memory<C> memory;
      remember<T>(a, i, first, last, model, waits, memory);
      for (int64_t t = last - 1; t >= first; --t) {
        const int32_t waiting = int32_t(memory.waiting >> (t - first) & 1);
        const StepTrace<C> step = trace_of<T>(g, t, i, C(0), model, memory.voltages[t - first], waiting, numbers);
        if (g.of_voltages.data) of_voltage += value_at<T>(g.of_voltages, t, i);
        const C of_spike = g.of_spikes.data ? value_at<T>(g.of_spikes, t, i) : C(0);
        const StepGradients<C> found = neuron_adjoint(of_spike, of_voltage, step, model, int32_t(g.detach_reset));
        if (learns) add_parameter_gradients(found, C(0), step, model, gradients);
        of_voltage = found.voltage;
        if (g.inputs) static_cast<T*>(g.inputs)[t * items + i] = store<T>(found.current);
      }
    }
    if (g.voltage) static_cast<T*>(g.voltage)[i] = store<T>(of_voltage);
    store_parameters<C>(g, i, gradients);
  }
}

}  // namespace

void neuron_run_backward_cuda(const NeuronRunBackwardArgs& g, void* stream) {
  const NeuronRunArgs& a = g.run;
  if (a.batch * a.count == 0) return;
  bool learns = false;
  for (const void* parameter : g.parameters) learns |= parameter != nullptr;
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    dispatch_model<Compute<T>>(a.model, [&](auto model) {
      using Model = decltype(model);
      if constexpr (Model::Adaptation::constants)
        adapting_backward<T, Model>(g, learns, stream);
      else
        launch(neuron_run_backward_kernel<T, Model>, grid_for(a.batch * a.count, threads), dim3(threads), 0, stream, g,
               surrogate_numbers<Compute<T>>(g.surrogate, g.scale), learns);
    });
  });
}

}  // namespace inferno
