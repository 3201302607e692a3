// Linear layers inside of other operators.
#pragma once
#include <array>

#include "torch/common.h"

namespace inferno {

// torch's own, so that a result is that of a step alone. out: [batch, outputs]
inline void linear_into(const Tensor& inputs, const Tensor& weight, const std::optional<Tensor>& bias,
                        const Tensor& out) {
  using torch::stable::detail::from;
  std::array<StableIValue, 4> stack{from(inputs), from(weight), from(bias), from(out)};
  STABLE_TORCH_ERROR_CODE_CHECK(torch_call_dispatcher("aten::linear", "out", stack.data(), TORCH_ABI_VERSION));
  torch::stable::detail::to<Tensor>(stack[0]);  // which is ours to let go
}

}  // namespace inferno
