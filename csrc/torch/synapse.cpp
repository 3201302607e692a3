#include "torch/synapse.h"

#include "torch/flat.h"

namespace inferno {
namespace {

// Stretches of memory that must be apart from each other.
class Apart {
 public:
  void written(const Tensor& t, const char* name) { add(t, name, true); }
  void read(const Tensor& t, const char* name) { add(t, name, false); }

 private:
  static constexpr int most = 2 * (1 + synapse_max_currents) + 1 + synapse_max_injected;
  struct Stretch {
    const char *low, *high;
    bool written;
  } stretches_[most];
  int count_ = 0;

  void add(const Tensor& t, const char* name, bool written) {
    if (t.numel() == 0) return;
    const auto [low, high] = stretch(t);
    for (int k = 0; k < count_; ++k)
      STD_TORCH_CHECK(!(written || stretches_[k].written) || high <= stretches_[k].low || stretches_[k].high <= low,
                      name, ": overlaps another tensor in memory; pass a clone");
    stretches_[count_++] = {low, high, written};
  }
};

SynapseRing ring_arg(const Tensor& data, const Tensor& pointer, const Tensor& inputs, const Flat& wanted, Apart& apart,
                     const char* name) {
  STD_TORCH_CHECK(data.dim() == inputs.dim() + 1 && data.size(0) > 0, name, ": must be [slots, *inputs]");
  STD_TORCH_CHECK(data.size(0) < (int64_t(1) << 31), name, ": must have fewer than 2^31 slots");
  const auto sizes = data.sizes(), like = inputs.sizes(), strides = data.strides();
  STD_TORCH_CHECK(std::equal(like.begin(), like.end(), sizes.begin() + 1), name, ": wrong shape");
  for (size_t d = 0; d < sizes.size(); ++d)
    STD_TORCH_CHECK(strides[d] != 0 || sizes[d] == 1, name, ": its elements share memory");
  STD_TORCH_CHECK(pointer.scalar_type() == ScalarType::Long && pointer.dim() == 0, name, ": its pointer is one int64");
  check_device(data, inputs, name);
  check_device(pointer, inputs, name);
  const Flat flat = flat_of(data, 1, name);
  apart.written(data, name);
  apart.written(pointer, name);
  auto* at = static_cast<int64_t*>(pointer.mutable_data_ptr());
  return {{sizes[0], wanted.batch, wanted.rest, strides[0], flat.batch_stride, flat.rest_stride, at},
          data.mutable_data_ptr(),
          at};
}

Scalar type_of(int64_t type) {
  STD_TORCH_CHECK(type >= 0 && type < int64_t(Scalar::boolean), "type: unknown");
  return Scalar(type);
}

}  // namespace

SynapseStepArgs synapse_args(int64_t model, int64_t type, const Tensor& inputs, const std::vector<Tensor>& injected,
                             const Tensor& spikes, const Tensor& spike_pointer, const CurrentRing (&currents)[2],
                             const char* const (&names)[2]) {
  SynapseStepArgs a{};
  STD_TORCH_CHECK(model >= 0 && model <= int64_t(SynapseModel::double_exponential), "model: unknown");
  a.model = SynapseModel(model);
  a.type = type_of(type);
  const ScalarType dtype = floating_types[type];
  a.bool_inputs = inputs.scalar_type() == ScalarType::Bool;
  STD_TORCH_CHECK(a.bool_inputs || inputs.scalar_type() == dtype, "inputs: wrong dtype");
  const Flat in = flat_of(inputs, 0, "inputs");
  a.batch = in.batch;
  a.rest = in.rest;
  a.inputs = {inputs.const_data_ptr(), in.batch_stride, in.rest_stride};
  Apart apart;
  apart.read(inputs, "inputs");

  STD_TORCH_CHECK(injected.empty() || synapse_injects(a.model), "injected: this model takes none");
  STD_TORCH_CHECK(injected.size() <= synapse_max_injected, "injected: too many");
  for (const Tensor& t : injected) {
    STD_TORCH_CHECK(t.scalar_type() == dtype, "injected: wrong dtype");
    check_shape(t, inputs, "injected");
    check_device(t, inputs, "injected");
    const Flat flat = flat_of(t, 0, "injected");
    a.injected[a.injected_count++] = {t.const_data_ptr(), flat.batch_stride, flat.rest_stride};
    apart.read(t, "injected");
  }

  STD_TORCH_CHECK(spikes.scalar_type() == ScalarType::Bool, "spikes: wrong dtype");
  a.spikes = ring_arg(spikes, spike_pointer, inputs, in, apart, "spikes");
  const int recorded = synapse_currents(a.model);
  for (int k = 0; k < synapse_max_currents; ++k) {
    const bool given = currents[k].data.has_value() && currents[k].pointer.has_value();
    STD_TORCH_CHECK(given == (k < recorded), names[k], ": is for models that record it, with its pointer");
    if (!given) continue;
    STD_TORCH_CHECK(currents[k].data->scalar_type() == dtype, names[k], ": wrong dtype");
    a.currents[k] = ring_arg(*currents[k].data, *currents[k].pointer, inputs, in, apart, names[k]);
  }
  return a;
}

void run_synapse_cpu(const SynapseStepArgs& a, const Tensor&) {
  parallel(a.rest, 1 + 32768 / (a.batch + 1), [&](int64_t begin, int64_t end) { synapse_step_cpu(a, begin, end); });
  synapse_advance_cpu(a);
}

#ifdef INFERNO_WITH_CUDA
void run_synapse_cuda(const SynapseStepArgs& a, const Tensor& t) {
  on_stream(t, [&](void* stream) { synapse_step_cuda(a, stream); });
}
#endif

namespace {

template <void (*Run)(const SynapseStepArgs&, const Tensor&)>
Tensor run_step(SynapseStepArgs a, const Tensor& inputs, int64_t type, double gain, double decay, double second_decay) {
  a.gain = gain;
  a.decay[0] = decay;
  a.decay[1] = second_decay;
  Tensor out = empty(inputs, sizes_of(inputs), floating_types[type]);
  a.out = out.mutable_data_ptr();
  merge_batch(a);
  Run(a, inputs);
  return out;
}

template <void (*Run)(const SynapseStepArgs&, const Tensor&)>
Tensor step(int64_t model, int64_t type, const Tensor& inputs, const std::vector<Tensor> injected, Tensor spikes,
            Tensor spike_pointer, std::optional<Tensor> current, std::optional<Tensor> current_pointer,
            std::optional<Tensor> second, std::optional<Tensor> second_pointer, double gain, double decay,
            double second_decay) {
  return run_step<Run>(synapse_args(model, type, inputs, injected, spikes, spike_pointer,
                                    {{current, current_pointer}, {second, second_pointer}}, {"current", "second"}),
                       inputs, type, gain, decay, second_decay);
}

// The same with all numbers in one tensor, which is quicker than handing them over one by one.
// how: model, type, gain, decay, second decay; float64
Tensor step_packed(const Tensor& inputs, const std::vector<Tensor> injected, Tensor spikes, Tensor spike_pointer,
                   std::optional<Tensor> current, std::optional<Tensor> current_pointer, std::optional<Tensor> second,
                   std::optional<Tensor> second_pointer, const Tensor& how) {
  check_array(how, "how", ScalarType::Double, 5, inputs);
  const double* h = static_cast<const double*>(how.const_data_ptr());
  return run_step<run_synapse_cpu>(
      synapse_args(int64_t(h[0]), int64_t(h[1]), inputs, injected, spikes, spike_pointer,
                   {{current, current_pointer}, {second, second_pointer}}, {"current", "second"}),
      inputs, int64_t(h[1]), h[2], h[3], h[4]);
}

}  // namespace
}  // namespace inferno

STABLE_TORCH_LIBRARY_FRAGMENT(inferno_cuda, m) {
  m.def(
      "synapse_step_(int model, int type, Tensor inputs, Tensor[] injected, Tensor(a!) spikes, "
      "Tensor(b!) spike_pointer, Tensor(c!)? current, Tensor(d!)? current_pointer, Tensor(e!)? second, "
      "Tensor(f!)? second_pointer, float gain, float decay, float second_decay) -> Tensor");
  m.def(
      "synapse_step_packed_(Tensor inputs, Tensor[] injected, Tensor(a!) spikes, Tensor(b!) spike_pointer, "
      "Tensor(c!)? current, Tensor(d!)? current_pointer, Tensor(e!)? second, Tensor(f!)? second_pointer, Tensor how) "
      "-> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CPU, m) {
  m.impl("synapse_step_", TORCH_BOX(&inferno::step<inferno::run_synapse_cpu>));
  m.impl("synapse_step_packed_", TORCH_BOX(&inferno::step_packed));
}

#ifdef INFERNO_WITH_CUDA
STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CUDA, m) {
  m.impl("synapse_step_", TORCH_BOX(&inferno::step<inferno::run_synapse_cuda>));
}
#endif
