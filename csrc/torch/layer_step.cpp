// One step of a layer in one call: synapses, weighted sums, neurons.
#include "core/combine.h"
#include "torch/delayed_sum.h"
#include "torch/flat.h"
#include "torch/linear.h"
#include "torch/neuron.h"
#include "torch/synapse.h"

namespace inferno {
namespace {

enum class Map : int64_t { dense, direct, delayed_dense, delayed_direct };

bool is_delayed(Map map) { return map == Map::delayed_dense || map == Map::delayed_direct; }

void check_weights(Map map, const Tensor& current, const Tensor& weight, const MaybeTensor& bias, int64_t outputs) {
  const int64_t inputs = current.numel() / std::max(current.size(0), int64_t(1));
  STD_TORCH_CHECK(weight.scalar_type() == current.scalar_type(), "weight: wrong dtype");
  check_device(weight, current, "weight");
  if (map == Map::dense || map == Map::delayed_dense) {
    STD_TORCH_CHECK(weight.dim() == 2 && weight.size(1) == inputs && weight.size(0) == outputs, "weight: wrong shape");
  } else {
    STD_TORCH_CHECK(weight.dim() == 1 && inputs == outputs, "weight: wrong shape");
    check_array(weight, "weight", current.scalar_type(), outputs, current);
  }
  if (bias) check_array(*bias, "bias", current.scalar_type(), outputs, current);
}

// What a delayed sum reads: the spikes, or the current if these are of that type. of_sum: whether it blends samples,
// what spikes stand for, and the value out of range.
DelayedSumArgs delayed_args(const Tensor& spikes, const Tensor& spike_pointer, const MaybeTensor& current,
                            const MaybeTensor& current_pointer, const Tensor& weight, const MaybeTensor& bias,
                            const MaybeTensor& slot, const MaybeTensor& factor, const MaybeTensor& of_sum,
                            const Tensor& out) {
  STD_TORCH_CHECK(slot && of_sum, "slot, of_sum: needed with delays");
  check_array(*of_sum, "of_sum", ScalarType::Double, 3, weight);
  const double* n = static_cast<const double*>(of_sum->const_data_ptr());
  const Tensor& data = current ? *current : spikes;
  const Flat flat = flat_of(data, 1, "data");
  Ring ring = ring_of(data, current ? *current_pointer : spike_pointer, flat.rest, flat.rest_stride);
  ring.batch_stride = flat.batch_stride;
  return sum_args(data, ring, weight, bias, *slot, factor, out, n[0] != 0, n[1], n[2]);
}

// of_synapse: model, type, gain, decay, second decay; of_neuron: as for neuron_step_packed_; float64
// inputs: [batch, inputs]; state of the neurons: [batch, ...]. Nothing is written unless all arguments fit.
Tensor step(const Tensor& inputs, Tensor spikes, Tensor spike_pointer, MaybeTensor current, MaybeTensor current_pointer,
            MaybeTensor second, MaybeTensor second_pointer, const Tensor& weight, const MaybeTensor bias,
            Tensor voltage, Tensor refrac, MaybeTensor adaptation, const MaybeTensor constants,
            const Tensor& of_synapse, const Tensor& of_neuron, int64_t kind, const MaybeTensor slot,
            const MaybeTensor factor, const MaybeTensor of_sum) {
  check_array(of_synapse, "of_synapse", ScalarType::Double, 5, inputs);
  check_array(of_neuron, "of_neuron", ScalarType::Double, of_neuron.numel(), inputs);
  STD_TORCH_CHECK(of_neuron.numel() >= 5, "of_neuron: too short");
  STD_TORCH_CHECK(kind >= 0 && kind <= int64_t(Map::delayed_direct), "kind: there is no such connection");
  STD_TORCH_CHECK(inputs.dim() == 2, "inputs: must be [batch, inputs]");
  STD_TORCH_CHECK(voltage.dim() >= 1 && voltage.size(0) == inputs.size(0), "voltage: wrong batch size");
  const double* s = static_cast<const double*>(of_synapse.const_data_ptr());
  const double* n = static_cast<const double*>(of_neuron.const_data_ptr());
  const Map map = Map(kind);
  const int64_t batch = inputs.size(0), outputs = voltage.numel() / std::max(batch, int64_t(1));
  SynapseStepArgs a = synapse_args(int64_t(s[0]), int64_t(s[1]), inputs, {}, spikes, spike_pointer,
                                   {{current, current_pointer}, {second, second_pointer}}, {"current", "second"});
  const ScalarType type = floating_types[int64_t(s[1])];
  Tensor arriving = empty(inputs, sizes_of(inputs), type), driven = empty(voltage, sizes_of(voltage), type);
  Tensor fired = empty(voltage, sizes_of(voltage), ScalarType::Bool);
  check_weights(map, arriving, weight, bias, outputs);
  const NeuronArgs neurons =
      neuron_args({voltage, refrac, driven, adaptation, constants, voltage, refrac, fired, adaptation}, int64_t(n[0]),
                  n[1], n[2], n + 5, of_neuron.numel() - 5, int64_t(n[3]), n[4] != 0);
  std::optional<DelayedSumArgs> delayed;
  if (is_delayed(map))
    delayed = delayed_args(spikes, spike_pointer, current, current_pointer, weight, bias, slot, factor, of_sum, driven);
  a.out = arriving.mutable_data_ptr();
  a.gain = s[2];
  a.decay[0] = s[3];
  a.decay[1] = s[4];
  merge_batch(a);
  run_synapse_cpu(a, inputs);
  if (map == Map::delayed_dense) {
    DenseSum::run_cpu(*delayed, weight, outputs, delayed->ring.batch * delayed->ring.rest);
  } else if (map == Map::delayed_direct) {
    DirectSum::run_cpu(*delayed, weight, outputs, batch);
  } else if (map == Map::dense) {
    linear_into(arriving, weight, bias, torch::stable::view(driven, std::vector<int64_t>{batch, outputs}));
  } else {
    CombineArgs c{};
    c.how = Combination::product;
    c.type = a.type;
    c.batch = batch;
    c.count = outputs;
    c.a = arriving.const_data_ptr();
    c.b = weight.const_data_ptr();
    c.bias = bias ? bias->const_data_ptr() : nullptr;
    c.out = driven.mutable_data_ptr();
    parallel(outputs, 1 + 32768 / (batch + 1), [&](int64_t begin, int64_t end) { combine_cpu(c, begin, end); });
  }
  run_neuron_cpu(neurons, voltage);
  return fired;
}

}  // namespace
}  // namespace inferno

STABLE_TORCH_LIBRARY_FRAGMENT(inferno_cuda, m) {
  m.def(
      "layer_step_(Tensor inputs, Tensor(a!) spikes, Tensor(b!) spike_pointer, Tensor(c!)? current, "
      "Tensor(d!)? current_pointer, Tensor(e!)? second, Tensor(f!)? second_pointer, Tensor weight, Tensor? bias, "
      "Tensor(g!) voltage, Tensor(h!) refrac, Tensor(i!)? adaptation, Tensor? constants, Tensor of_synapse, "
      "Tensor of_neuron, int kind, Tensor? slot, Tensor? factor, Tensor? of_sum) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CPU, m) { m.impl("layer_step_", TORCH_BOX(&inferno::step)); }
