#include "core/synapse_run.h"

#include "torch/common.h"

namespace inferno {
namespace {

SynapseModel model_of(int64_t model) {
  STD_TORCH_CHECK(model >= 0 && model <= int64_t(SynapseModel::double_exponential), "model: unknown");
  return SynapseModel(model);
}

// The sizes of one step of a sequence [T, B, ...].
std::vector<int64_t> step_sizes(const Tensor& sequence, const char* name) {
  STD_TORCH_CHECK(sequence.dim() >= 2, name, ": must be [T, B, ...]");
  auto sizes = sizes_of(sequence);
  sizes.erase(sizes.begin());
  return sizes;
}

int64_t elements(const std::vector<int64_t>& sizes) {
  int64_t count = 1;
  for (const int64_t size : sizes) count *= size;
  return count;
}

// Every step in one piece; the steps themselves may lie anywhere, or be one.
void check_steps(const Tensor& t, const char* name) {
  if (t.numel() == 0) return;
  int64_t wanted = 1;
  for (int64_t d = t.dim() - 1; d > 0; --d) {
    STD_TORCH_CHECK(t.size(d) == 1 || t.stride(d) == wanted, name, ": its steps must be contiguous");
    wanted *= t.size(d);
  }
}

// What a sequence gives: the present currents, and where a model records two, these.
struct Made {
  std::vector<Tensor> all;

  void* add(const Tensor& like, const std::vector<int64_t>& sizes, ScalarType dtype) {
    all.push_back(empty(like, sizes, dtype));
    return all.back().mutable_data_ptr();
  }
};

template <void (*Run)(const SynapseRunArgs&, const Tensor&)>
std::vector<Tensor> run(int64_t model, int64_t type, const Tensor& inputs, const std::vector<Tensor> injected,
                        const std::vector<Tensor> newest, double gain, double decay, double second_decay) {
  SynapseRunArgs a{};
  a.model = model_of(model);
  STD_TORCH_CHECK(type >= 0 && type < int64_t(Scalar::boolean), "type: unknown");
  a.type = Scalar(type);
  const ScalarType dtype = floating_types[type];
  a.bool_inputs = inputs.scalar_type() == ScalarType::Bool;
  STD_TORCH_CHECK(a.bool_inputs || inputs.scalar_type() == dtype, "inputs: wrong dtype");
  const auto sizes = step_sizes(inputs, "inputs");
  check_steps(inputs, "inputs");
  a.steps = inputs.size(0);
  a.count = elements(sizes);
  a.inputs = inputs.const_data_ptr();
  a.input_stride = a.steps > 1 ? inputs.stride(0) : 0;
  STD_TORCH_CHECK(injected.empty() || synapse_injects(a.model), "injected: this model takes none");
  STD_TORCH_CHECK(injected.size() <= synapse_max_injected, "injected: too many");
  for (const Tensor& t : injected) {
    check_array(t, "injected", dtype, a.steps * a.count, inputs);
    a.injected[a.injected_count++] = t.const_data_ptr();
  }
  const int currents = synapse_currents(a.model);
  STD_TORCH_CHECK(int64_t(newest.size()) == currents, "newest: as many as the model records");
  Made made;
  a.out = made.add(inputs, sizes_of(inputs), dtype);
  for (int k = 0; k < currents; ++k) {
    check_array(newest[k], "newest", dtype, a.count, inputs);
    a.newest[k] = newest[k].const_data_ptr();
    a.recorded[k] = currents == 1 ? a.out : made.add(inputs, sizes_of(inputs), dtype);
  }
  a.gain = gain;
  a.decay[0] = decay;
  a.decay[1] = second_decay;
  Run(a, inputs);
  return std::move(made.all);
}

// The gradients of the inputs, which are those of injected currents but for the gain, and of the currents before.
template <void (*Run)(const SynapseRunBackwardArgs&, const Tensor&)>
std::vector<Tensor> run_backward(int64_t model, const std::optional<Tensor> grad_current,
                                 const std::optional<Tensor> grad_first, const std::optional<Tensor> grad_second,
                                 double gain, double decay, double second_decay) {
  SynapseRunBackwardArgs a{};
  a.model = model_of(model);
  const int currents = synapse_currents(a.model);
  STD_TORCH_CHECK(currents == 2 || !(grad_first || grad_second), "grad_first: is of models that record two currents");
  const std::optional<Tensor>* const given[] = {&grad_current, &grad_first, &grad_second};
  const void** const places[] = {&a.grad_out, &a.grad_recorded[0], &a.grad_recorded[1]};
  const Tensor* like = nullptr;
  for (int k = 0; k < 3; ++k) {
    if (!given[k]->has_value()) continue;
    const Tensor& t = **given[k];
    if (!like) like = &t;
    check_array(t, "grad", like->scalar_type(), like->numel(), *like);
    *places[k] = t.const_data_ptr();
  }
  STD_TORCH_CHECK(like, "grad: there must be one");
  const auto sizes = step_sizes(*like, "grad");
  a.type = floating_of(*like, "grad");
  a.steps = like->size(0);
  a.count = elements(sizes);
  a.gain = gain;
  a.decay[0] = decay;
  a.decay[1] = second_decay;
  Made made;
  a.grad_inputs = made.add(*like, sizes_of(*like), like->scalar_type());
  for (int k = 0; k < currents; ++k) a.grad_newest[k] = made.add(*like, sizes, like->scalar_type());
  Run(a, *like);
  return std::move(made.all);
}

int64_t grain(int64_t steps) { return 1 + 32768 / (steps + 1); }

void run_cpu(const SynapseRunArgs& a, const Tensor&) {
  parallel(a.count, grain(a.steps), [&](int64_t begin, int64_t end) { synapse_run_cpu(a, begin, end); });
}

void run_backward_cpu(const SynapseRunBackwardArgs& a, const Tensor&) {
  parallel(a.count, grain(a.steps), [&](int64_t begin, int64_t end) { synapse_run_backward_cpu(a, begin, end); });
}

#ifdef INFERNO_WITH_CUDA
void run_cuda(const SynapseRunArgs& a, const Tensor& t) {
  on_stream(t, [&](void* stream) { synapse_run_cuda(a, stream); });
}

void run_backward_cuda(const SynapseRunBackwardArgs& a, const Tensor& t) {
  on_stream(t, [&](void* stream) { synapse_run_backward_cuda(a, stream); });
}
#endif

}  // namespace
}  // namespace inferno

STABLE_TORCH_LIBRARY_FRAGMENT(inferno_cuda, m) {
  m.def(
      "synapse_run(int model, int type, Tensor inputs, Tensor[] injected, Tensor[] newest, float gain, float decay, "
      "float second_decay) -> Tensor[]");
  m.def(
      "synapse_run_backward(int model, Tensor? grad_current, Tensor? grad_first, Tensor? grad_second, float gain, "
      "float decay, float second_decay) -> Tensor[]");
}

STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CPU, m) {
  m.impl("synapse_run", TORCH_BOX(&inferno::run<inferno::run_cpu>));
  m.impl("synapse_run_backward", TORCH_BOX(&inferno::run_backward<inferno::run_backward_cpu>));
}

#ifdef INFERNO_WITH_CUDA
STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CUDA, m) {
  m.impl("synapse_run", TORCH_BOX(&inferno::run<inferno::run_cuda>));
  m.impl("synapse_run_backward", TORCH_BOX(&inferno::run_backward<inferno::run_backward_cuda>));
}
#endif
