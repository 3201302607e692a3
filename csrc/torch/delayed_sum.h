// Delayed sums on tensors, for operators that contain them.
#pragma once
#include "torch/common.h"

namespace inferno {

// data: any strides, read as `ring`; weight, slot, factor: [outputs, terms]; bias: [outputs]. Checked, but for the
// result and what the ring and the weights have to do with each other.
DelayedSumArgs sum_args(const Tensor& data, const Ring& ring, const Tensor& weight, const std::optional<Tensor>& bias,
                        const Tensor& slot, const std::optional<Tensor>& factor, const Tensor& out, bool linear,
                        double scale, double overbound);

// The kernels of one map of inputs to outputs.
template <class Args, void (*Cpu)(const Args&, int64_t, int64_t), void (*Cuda)(const Args&, void*)>
struct SumKernels {
  // One stretch of items a thread, unless that would be too little work for it.
  static void run_cpu(const Args& a, const Tensor&, int64_t items, int64_t work) {
    const int64_t threads = torch::stable::get_num_threads();
    const int64_t grain = std::max((items + threads - 1) / threads, 32768 / (work + 1));
    parallel(items, std::max(grain, int64_t(1)), [&](int64_t begin, int64_t end) { Cpu(a, begin, end); });
  }

#ifdef INFERNO_WITH_CUDA
  static void run_cuda(const Args& a, const Tensor& t, int64_t, int64_t) {
    on_stream(t, [&](void* stream) { Cuda(a, stream); });
  }
#endif
};

using DenseSum = SumKernels<DelayedSumArgs, delayed_dense_cpu, delayed_dense_cuda>;
using DirectSum = SumKernels<DelayedSumArgs, delayed_direct_cpu, delayed_direct_cuda>;

}  // namespace inferno
