// Sequences of neurons: CPU loops and emulated kernels alike, from every kept state, and memory they may not touch.
#include <cmath>
#include <memory>

#include "check.h"
#include "core/adapting_scratch.h"
#include "core/neuron_models.h"
#include "cuda_emu.h"

using namespace inferno;

namespace {

// Parameters under which every model fires now and then.
const double parameters[][7] = {
    {-45, -60, 1.5, 0.95, -65},             // Lif
    {-45, -60, 1.5, 0.95, -65},             // Alif
    {-45, -60, 1.5, 0.95, 0.4, 3},          // Glif2
    {-45, -60, 1.5, 0.05, -52, 0.04, -65},  // Qif
    {-45, -60, 1.5, 0.05, -52, 0.04, -65},  // Izhikevich
    {-45, -60, 1.5, 0.05, -50, 2, -65},     // Eif
    {-45, -60, 1.5, 0.05, -50, 2, -65},     // AdEx
};

// A sequence, its results and its gradients, each in memory of exactly its size.
template <class T>
struct Sequence {
  using C = Compute<T>;
  int64_t steps, batch, count, interval, kinds;
  std::vector<T> voltage_in, refrac_in, inputs, adaptation_in, spikes, voltage, refrac, adaptation;
  std::vector<T> voltage_marks, refrac_marks, adaptation_marks, of_spikes, of_inputs, of_voltage, of_adaptation;
  std::vector<C> constants, threshold, of_constants, of_threshold;
  std::unique_ptr<char[]> scratch;  // of exactly the size asked for

  Sequence(NeuronModel model, int64_t steps, int64_t batch, int64_t count, int64_t interval)
      : steps(steps), batch(batch), count(count), interval(interval), kinds(0) {
    Random random(7);
    const int rows = neuron_model_info(model).adaptation_constants;
    kinds = rows ? 2 : 0;
    const int64_t items = batch * count, marks = steps ? (steps - 1) / interval : 0;
    voltage_in = random.values<T>(items, -75, -45);
    refrac_in = random.values<T>(items, 0, 2);
    inputs = random.values<T>(steps * items, -20, 80);
    adaptation_in = random.values<T>(count * kinds, 0, 2);
    for (int64_t i = 0; i < rows * kinds; ++i) constants.push_back(C(0.1 + 0.2 * double(i)));
    for (int64_t i = 0; i < count; ++i) threshold.push_back(C(-45 - 0.01 * double(i)));
    of_spikes = random.values<T>(steps * items, -1, 1);
    spikes = of_inputs = std::vector<T>(steps * items);
    voltage = refrac = of_voltage = std::vector<T>(items);
    voltage_marks = refrac_marks = std::vector<T>(marks * items);
    adaptation_marks = std::vector<T>(marks * count * kinds);
    adaptation = of_adaptation = std::vector<T>(count * kinds);
    of_constants = std::vector<C>(rows * kinds * count);
    of_threshold = std::vector<C>(items);
  }

  NeuronRunArgs args(NeuronModel model, BatchReduction reduction, bool lock) {
    NeuronRunArgs a{};
    a.type = scalar_of<T>();
    a.model = model;
    a.reduction = kinds ? reduction : BatchReduction::none;
    a.refrac_lock = lock;
    a.steps = steps, a.batch = batch, a.count = count, a.kinds = kinds, a.interval = interval;
    a.dt = 1;
    a.refrac_t = {nullptr, 2, 1, 1};
    for (int p = 0; p < neuron_model_info(model).parameter_count; ++p)
      a.parameters[p] = {nullptr, parameters[int(model)][p], 1, 1};
    a.parameters[0] = {threshold.data(), 0, 1, count};
    a.inputs = {inputs.data(), batch * count, 1};
    a.voltage_in = voltage_in.data(), a.refrac_in = refrac_in.data(), a.adaptation_in = adaptation_in.data();
    a.constants = constants.data();
    a.spikes = spikes.data(), a.voltage = voltage.data(), a.refrac = refrac.data(), a.adaptation = adaptation.data();
    a.voltage_marks = voltage_marks.data(), a.refrac_marks = refrac_marks.data();
    a.adaptation_marks = adaptation_marks.data();
    return a;
  }

  NeuronRunBackwardArgs gradients(const NeuronRunArgs& run) {
    NeuronRunBackwardArgs g{};
    g.run = run;
    g.surrogate = Surrogate::atan;
    g.scale = 0.5;
    g.of_spikes = {of_spikes.data(), batch * count, 1};
    g.inputs = of_inputs.data();
    g.voltage = of_voltage.data();
    g.parameters[0] = of_threshold.data();
    if (kinds) {
      g.adaptation = of_adaptation.data();
      g.constants = of_constants.data();
    }
    scratch.reset(new char[adapting_scratch_bytes(g)]);
    g.scratch = scratch.get();
    return g;
  }
};

template <class T>
void kernels_and_loops_agree(NeuronModel model, int64_t steps, int64_t batch, int64_t count, int64_t interval) {
  for (const BatchReduction reduction : {BatchReduction::none, BatchReduction::mean, BatchReduction::sum}) {
    const bool lock = reduction != BatchReduction::none;
    Sequence<T> on_cpu(model, steps, batch, count, interval), on_kernel(model, steps, batch, count, interval);
    const NeuronRunArgs a = on_cpu.args(model, reduction, lock);
    const NeuronRunArgs b = on_kernel.args(model, reduction, lock);
    neuron_run_cpu(a, 0, neuron_items(a));
    neuron_run_cuda(b, nullptr);
    CHECK(same_bits(on_cpu.spikes, on_kernel.spikes) && same_bits(on_cpu.voltage, on_kernel.voltage));
    CHECK(same_bits(on_cpu.refrac, on_kernel.refrac) && same_bits(on_cpu.adaptation, on_kernel.adaptation));
    CHECK(same_bits(on_cpu.voltage_marks, on_kernel.voltage_marks));
    CHECK(same_bits(on_cpu.refrac_marks, on_kernel.refrac_marks));
    CHECK(same_bits(on_cpu.adaptation_marks, on_kernel.adaptation_marks));
    neuron_run_backward_cpu(on_cpu.gradients(a), 0, neuron_items(a));
    double largest = 0;
    for (const T x : on_cpu.of_inputs) largest = std::fmax(largest, std::fabs(double(load(x))));
    CHECK(largest > 0 || on_cpu.of_inputs.empty());
    neuron_run_backward_cuda(on_kernel.gradients(b), nullptr);
    CHECK(same_bits(on_cpu.of_inputs, on_kernel.of_inputs) && same_bits(on_cpu.of_voltage, on_kernel.of_voltage));
    CHECK(same_bits(on_cpu.of_threshold, on_kernel.of_threshold));
    CHECK(same_bits(on_cpu.of_adaptation, on_kernel.of_adaptation));
    CHECK(same_bits(on_cpu.of_constants, on_kernel.of_constants));
  }
}

// Without gradients of inputs, in whose place the voltages are kept otherwise.
template <class T>
void only_parameters(NeuronModel model) {
  Sequence<T> on_cpu(model, 50, 5, 9, 40), on_kernel(model, 50, 5, 9, 40);
  for (Sequence<T>* s : {&on_cpu, &on_kernel}) {
    const NeuronRunArgs a = s->args(model, BatchReduction::mean, true);
    neuron_run_cpu(a, 0, neuron_items(a));
    NeuronRunBackwardArgs g = s->gradients(a);
    g.inputs = g.voltage = g.adaptation = nullptr;
    s->scratch.reset(new char[adapting_scratch_bytes(g)]);
    g.scratch = s->scratch.get();
    s == &on_cpu ? neuron_run_backward_cpu(g, 0, neuron_items(a)) : neuron_run_backward_cuda(g, nullptr);
  }
  CHECK(same_bits(on_cpu.of_threshold, on_kernel.of_threshold));
  CHECK(same_bits(on_cpu.of_constants, on_kernel.of_constants));
}

}  // namespace

int main() {
  for (int model = 0; model < int(NeuronModel::count); ++model)
    for_each_type([&](auto scalar) {
      using T = decltype(scalar);
      kernels_and_loops_agree<T>(NeuronModel(model), 7, 3, 19, 3);
      kernels_and_loops_agree<T>(NeuronModel(model), 40, 1, 300, 64);
      kernels_and_loops_agree<T>(NeuronModel(model), 0, 2, 5, 1);
      kernels_and_loops_agree<T>(NeuronModel(model), 3, 37, 40, 2);
      only_parameters<T>(NeuronModel(model));
    });
  return failed_checks;
}
