#include "core/learning.h"

#include "cuda/launch.h"

namespace inferno {
namespace {

constexpr int threads = 128;

template <class T, class Slot>
__global__ void __launch_bounds__(threads) spike_pairs_kernel(SpikePairArgs a) {
  const int64_t newest = newest_slot(a.sides);
  for (int64_t i = INFERNO_FIRST_ITEM; i < a.sides.filters * terms_of(a.sides); i += INFERNO_ITEM_STRIDE)
    put_pairs<T>(a, i, pairs_of<T, Slot>(a, i, newest));
}

template <class P, class H, class T, class Slot>
__global__ void __launch_bounds__(threads) eligibility_step_kernel(EligibilityArgs a) {
  const int64_t newest = newest_slot(a.sides), synapses = a.sides.filters * terms_of(a.sides);
  for (int64_t i = INFERNO_FIRST_ITEM; i < a.sides.batch * synapses; i += INFERNO_ITEM_STRIDE)
    eligibility_one<P, H, T, Slot>(a, i / synapses, i % synapses, newest);
}

template <class T>
__global__ void __launch_bounds__(threads) eligibility_sum_kernel(EligibilitySumArgs a) {
  using C = Compute<T>;
  for (int64_t i = INFERNO_FIRST_ITEM; i < a.count; i += INFERNO_ITEM_STRIDE) {
    C sum = 0;
    for (int64_t b = 0; b < a.batch; ++b)
      sum = sum + met(load(static_cast<const T*>(a.factor)[b]), load(static_cast<const T*>(a.trace)[b * a.count + i]));
    static_cast<T*>(a.out)[i] = store<T>(sum);
  }
}

}  // namespace

void spike_pairs_cuda(const SpikePairArgs& a, void* stream) {
  const int64_t synapses = a.sides.filters * terms_of(a.sides);
  if (synapses == 0) return;
  dispatch_floating(a.sides.type, [&](auto scalar) {
    using T = decltype(scalar);
    const auto kernel = a.sides.byte_slots ? spike_pairs_kernel<T, uint8_t> : spike_pairs_kernel<T, int32_t>;
    launch(kernel, grid_for(synapses, threads), dim3(threads), 0, stream, a);
  });
}

void eligibility_step_cuda(const EligibilityArgs& a, void* stream) {
  const int64_t count = a.sides.batch * a.sides.filters * terms_of(a.sides);
  if (count == 0) return;
  dispatch_floating(a.sides.type, [&](auto scalar) {
    using T = decltype(scalar);
    dispatch_sides<T>(a.sides, [&](auto post, auto pre) {
      using P = decltype(post);
      using H = decltype(pre);
      const auto kernel =
          a.sides.byte_slots ? eligibility_step_kernel<P, H, T, uint8_t> : eligibility_step_kernel<P, H, T, int32_t>;
      launch(kernel, grid_for(count, threads), dim3(threads), 0, stream, a);
    });
  });
}

void eligibility_sum_cuda(const EligibilitySumArgs& a, void* stream) {
  if (a.count == 0) return;
  dispatch_floating(a.type, [&](auto scalar) {
    launch(eligibility_sum_kernel<decltype(scalar)>, grid_for(a.count, threads), dim3(threads), 0, stream, a);
  });
}

}  // namespace inferno
