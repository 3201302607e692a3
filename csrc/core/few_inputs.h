// Sums of a dense map over the few inputs of a sample that are not 0.
#pragma once
#include <vector>

#include "core/scalar.h"

namespace inferno {

struct FewInputsArgs {
  Scalar type;  // float32 or float64
  int64_t batch, inputs, outputs;
  const void* data;    // [batch, inputs]
  const void* weight;  // [outputs, inputs]
  const void* bias;    // [outputs], or null
  void* out;           // [batch, outputs]
};

// A sample has few where at most one in so many of its inputs is not 0.
constexpr int64_t few_share = 16;

// The samples that have few, and which inputs these are, in ascending order.
struct FewInputs {
  std::vector<int64_t> samples;
  std::vector<size_t> starts;  // of each sample's inputs; the last is the end
  std::vector<int32_t> inputs;
};

FewInputs few_inputs_cpu(const FewInputsArgs& a);
// The outputs of those samples: the products of the inputs listed, added in ascending order, and then the bias.
void few_inputs_sum_cpu(const FewInputsArgs& a, const FewInputs& few, int64_t begin, int64_t end);  // outputs

}  // namespace inferno
