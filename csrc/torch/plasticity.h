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

// Calls f with channels and filters, along whichever there are more of: the spikes of an input are listed by one thread
// then. But with delays and a small batch, of which listing costs little, along the filters, as what is computed is
// applied. `work`: what a synapse costs.
template <class F>
void parallel_over_synapses(const CorrelateArgs& a, int64_t work, F&& f) {
  const int64_t threads = torch::stable::get_num_threads();
  const bool listed = a.slot && a.batch <= 32 && a.filters >= threads;
  const bool by_channel = !a.direct && !listed && a.channels >= a.filters;
  const int64_t count = by_channel ? a.channels : a.filters;
  const int64_t each = (by_channel ? a.filters : terms_of(a)) * taps_of(a) * work;
  const int64_t grain = std::max((count + threads - 1) / threads, 8192 / (each + 1));
  parallel(count, std::max(grain, int64_t(1)), [&](int64_t begin, int64_t end) {
    f(by_channel ? Span{begin, end} : Span{0, a.channels}, by_channel ? Span{0, a.filters} : Span{begin, end});
  });
}

}  // namespace inferno
