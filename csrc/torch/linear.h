// Dense maps without delays.
#pragma once
#include "torch/common.h"

namespace inferno {

// Of samples few of whose inputs are not 0 the sum of these, see core/few_inputs.h; others are torch's linear layer, as
// are all on a GPU and of half types. out: [batch, outputs]
void linear_into(const Tensor& inputs, const Tensor& weight, const std::optional<Tensor>& bias, const Tensor& out);

}  // namespace inferno
