// The two sides of synapses as tensors, for operators that look at both.
#pragma once
#include "core/plasticity.h"
#include "torch/common.h"

namespace inferno {

enum class Device { cpu, cuda };

// post: [batch, outputs] or [batch, filters, rows, columns]. pre: the same of inputs, or a ring of them, then with slot
// and factor as delay_plan makes them. geometry: empty (dense), one number (direct), or pairs of kernel, stride,
// padding and dilation. Checked; without a result.
CorrelateArgs correlate_args(const Tensor& post, const Tensor& pre, const std::optional<Tensor>& pointer,
                             const std::optional<Tensor>& slot, const std::optional<Tensor>& factor, Scalar type,
                             bool linear, double scale, double overbound, const std::vector<int64_t>& geometry);

std::vector<int64_t> sizes_of_synapses(const CorrelateArgs& a, const std::vector<int64_t>& geometry);

}  // namespace inferno
