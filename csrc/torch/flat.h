// Tensors as [batch, rest].
#pragma once
#include "torch/common.h"

namespace inferno {

// [batch, ...] with the dimensions behind the batch taken as one; `first` is that of the batch.
struct Flat {
  int64_t batch, rest, batch_stride, rest_stride;
};

inline Flat flat_of(const Tensor& t, int64_t first, const char* name) {
  const auto sizes = t.sizes(), strides = t.strides();
  const int64_t dims = t.dim();
  STD_TORCH_CHECK(dims > first, name, ": must have a batch dimension");
  int64_t rest = 1, stride = 1;
  for (int64_t d = dims - 1; d > first; --d) {
    if (sizes[d] == 1) continue;
    STD_TORCH_CHECK(rest == 1 || strides[d] == stride * rest, name, ": its dimensions do not merge");
    if (rest == 1) stride = strides[d];
    rest *= sizes[d];
  }
  // Where a stride is never used, the one that makes fast paths apply.
  return {sizes[first], rest, sizes[first] > 1 ? strides[first] : rest, stride};
}

}  // namespace inferno
