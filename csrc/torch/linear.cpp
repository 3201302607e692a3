#include "torch/linear.h"

#include <array>

#include "core/few_inputs.h"

namespace inferno {
namespace {

void torch_linear_into(const Tensor& inputs, const Tensor& weight, const std::optional<Tensor>& bias,
                       const Tensor& out) {
  using torch::stable::detail::from;
  std::array<StableIValue, 4> stack{from(inputs), from(weight), from(bias), from(out)};
  STABLE_TORCH_ERROR_CODE_CHECK(torch_call_dispatcher("aten::linear", "out", stack.data(), TORCH_ABI_VERSION));
  torch::stable::detail::to<Tensor>(stack[0]);  // which is ours to let go
}

constexpr int64_t terms_of_a_thread = 200000;  // below, waking a thread takes longer than adding them

bool may_have_few(const Tensor& inputs, const Tensor& weight, const std::optional<Tensor>& bias, const Tensor& out) {
  const ScalarType type = inputs.scalar_type();
  const bool contiguous = inputs.is_contiguous() && weight.is_contiguous() && out.is_contiguous();
  const bool wide = type == ScalarType::Float || type == ScalarType::Double;
  return wide && contiguous && !inputs.is_cuda() && inputs.size(1) < (int64_t(1) << 31) &&
         (!bias || bias->is_contiguous());
}

// inputs: [batch, inputs]; weight: [outputs, inputs]
Tensor dense_sum(const Tensor& inputs, const Tensor& weight, const std::optional<Tensor> bias) {
  const ScalarType type = inputs.scalar_type();
  STD_TORCH_CHECK(inputs.dim() == 2 && weight.dim() == 2 && weight.size(1) == inputs.size(1), "weight: wrong shape");
  STD_TORCH_CHECK(weight.scalar_type() == type, "weight: wrong dtype");
  check_device(weight, inputs, "weight");
  STD_TORCH_CHECK(!bias || (bias->dim() == 1 && bias->size(0) == weight.size(0)), "bias: wrong shape");
  STD_TORCH_CHECK(!bias || bias->scalar_type() == type, "bias: wrong dtype");
  if (bias) check_device(*bias, inputs, "bias");
  Tensor out = empty(inputs, {inputs.size(0), weight.size(0)}, type);
  linear_into(inputs, weight, bias, out);
  return out;
}

}  // namespace

void linear_into(const Tensor& inputs, const Tensor& weight, const std::optional<Tensor>& bias, const Tensor& out) {
  if (!may_have_few(inputs, weight, bias, out)) return torch_linear_into(inputs, weight, bias, out);
  const FewInputsArgs a{floating_of(inputs, "inputs"),
                        inputs.size(0),
                        inputs.size(1),
                        weight.size(0),
                        inputs.const_data_ptr(),
                        weight.const_data_ptr(),
                        bias ? bias->const_data_ptr() : nullptr,
                        out.mutable_data_ptr()};
  const FewInputs few = few_inputs_cpu(a);
  if (int64_t(few.samples.size()) < a.batch) torch_linear_into(inputs, weight, bias, out);
  if (few.samples.empty()) return;
  const int64_t threads = torch::stable::get_num_threads(), terms = int64_t(few.inputs.size() + few.samples.size());
  const int64_t grain = std::max((a.outputs + threads - 1) / threads, terms_of_a_thread / (terms + 1));
  parallel(a.outputs, std::max(grain, int64_t(1)),
           [&](int64_t begin, int64_t end) { few_inputs_sum_cpu(a, few, begin, end); });
}

}  // namespace inferno

STABLE_TORCH_LIBRARY_FRAGMENT(inferno_cuda, m) {
  m.def("dense_sum(Tensor inputs, Tensor weight, Tensor? bias) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CPU, m) { m.impl("dense_sum", TORCH_BOX(&inferno::dense_sum)); }
