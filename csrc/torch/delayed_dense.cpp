#include "torch/common.h"

namespace inferno {
namespace {

// data: [slots, batch, inputs], any strides; weight, slot, factor: [outputs, inputs]; bias: [outputs].
DelayedDenseArgs dense_args(const Tensor& data, const Tensor& pointer, const Tensor& weight,
                            const std::optional<Tensor>& bias, const Tensor& slot, const std::optional<Tensor>& factor,
                            const Tensor& out, bool linear, double scale, double overbound) {
  const Ring ring = ring_of(data, pointer);
  STD_TORCH_CHECK(weight.dim() == 2 && weight.size(1) == ring.rest, "weight: must be [outputs, inputs]");
  const Scalar type = floating_of(weight, "weight");
  const ScalarType dtype = weight.scalar_type();
  const ScalarType compute = type == Scalar::f64 ? ScalarType::Double : ScalarType::Float;
  const bool bool_history = data.scalar_type() == ScalarType::Bool;
  STD_TORCH_CHECK(bool_history || data.scalar_type() == dtype, "data: must be bool or of weight's dtype");
  STD_TORCH_CHECK(!(bool_history && linear), "data: bool samples cannot be interpolated");
  check_device(data, weight, "data");
  const int64_t synapses = weight.numel();
  check_array(weight, "weight", dtype, synapses, weight);
  const bool byte_slots = slot.scalar_type() == ScalarType::Byte;
  check_array(slot, "slot", byte_slots ? ScalarType::Byte : ScalarType::Int, synapses, weight);
  if (factor) check_array(*factor, "factor", compute, synapses, weight);
  if (bias) check_array(*bias, "bias", dtype, weight.size(0), weight);
  return {type,
          bool_history,
          byte_slots,
          linear,
          ring,
          weight.size(0),
          data.const_data_ptr(),
          weight.const_data_ptr(),
          bias ? bias->const_data_ptr() : nullptr,
          slot.const_data_ptr(),
          factor ? factor->const_data_ptr() : nullptr,
          out.mutable_data_ptr(),
          scale,
          overbound};
}

void run_cpu(const DelayedDenseArgs& a, const Tensor&) {
  // One stretch of outputs a thread: each lays the history of a tile of inputs out once.
  const int64_t threads = torch::stable::get_num_threads();
  const int64_t work = a.ring.batch * a.ring.rest + 1;
  const int64_t grain = std::max((a.outputs + threads - 1) / threads, 32768 / work);
  parallel(a.outputs, std::max(grain, int64_t(1)),
           [&](int64_t begin, int64_t end) { delayed_dense_cpu(a, begin, end); });
}

#ifdef INFERNO_WITH_CUDA
void run_cuda(const DelayedDenseArgs& a, const Tensor& t) {
  on_stream(t, [&](void* stream) { delayed_dense_cuda(a, stream); });
}
#endif

template <void (*Run)(const DelayedDenseArgs&, const Tensor&)>
Tensor dense(const Tensor& data, const Tensor& pointer, const Tensor& weight, const std::optional<Tensor> bias,
             const Tensor& slot, const std::optional<Tensor> factor, bool linear, double scale, double overbound) {
  STD_TORCH_CHECK(data.dim() == 3 && weight.dim() == 2, "data, weight: wrong number of dimensions");
  Tensor out = empty(weight, {data.size(1), weight.size(0)}, weight.scalar_type());
  Run(dense_args(data, pointer, weight, bias, slot, factor, out, linear, scale, overbound), weight);
  return out;
}

}  // namespace
}  // namespace inferno

STABLE_TORCH_LIBRARY_FRAGMENT(inferno_cuda, m) {
  m.def(
      "delayed_dense(Tensor data, Tensor pointer, Tensor weight, Tensor? bias, Tensor slot, Tensor? factor, "
      "bool linear, float scale, float overbound) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CPU, m) {
  m.impl("delayed_dense", TORCH_BOX(&inferno::dense<inferno::run_cpu>));
}

#ifdef INFERNO_WITH_CUDA
STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CUDA, m) {
  m.impl("delayed_dense", TORCH_BOX(&inferno::dense<inferno::run_cuda>));
}
#endif
