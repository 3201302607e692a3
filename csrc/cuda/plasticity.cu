#include "core/plasticity.h"

#include "cuda/launch.h"

namespace inferno {
namespace {

constexpr int threads = 128;

// A synapse a thread: those of a warp share an output, whose silent samples they skip together.
template <class P, class H, class T, class Slot>
__global__ void __launch_bounds__(threads) correlate_kernel(CorrelateArgs a) {
  using C = Compute<T>;
  const int64_t newest = newest_slot(a);
  for (int64_t i = INFERNO_FIRST_ITEM; i < a.filters * terms_of(a); i += INFERNO_ITEM_STRIDE) {
    const Synapse synapse = synapse_of(a, i);
    const C sum = at_delay<Slot, C>(
        a, i, [&](int32_t age) { return sum_at<P, H, C>(a, synapse, newest, age, Span{0, a.batch}); });
    static_cast<T*>(a.out)[i] = store<T>(sum * C(a.scale));
  }
}

template <class P, class H, class T>
void start_correlate(const CorrelateArgs& a, void* stream) {
  const auto kernel = a.byte_slots ? correlate_kernel<P, H, T, uint8_t> : correlate_kernel<P, H, T, int32_t>;
  launch(kernel, grid_for(a.filters * terms_of(a), threads), dim3(threads), 0, stream, a);
}

}  // namespace

void correlate_cuda(const CorrelateArgs& a, void* stream) {
  if (a.filters * terms_of(a) == 0) return;
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    if (a.bool_post)
      a.bool_pre ? start_correlate<Bool, Bool, T>(a, stream) : start_correlate<Bool, T, T>(a, stream);
    else
      a.bool_pre ? start_correlate<T, Bool, T>(a, stream) : start_correlate<T, T, T>(a, stream);
  });
}

}  // namespace inferno
