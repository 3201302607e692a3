#include "core/history.h"

#include "core/args.h"
#include "cuda/launch.h"

namespace inferno {
namespace {

constexpr int threads = 256;

// Consecutive threads write consecutive addresses: along the batch where that is innermost in memory.
template <class T>
__global__ void __launch_bounds__(threads) history_push_kernel(HistoryPushArgs a) {
  const Ring& ring = a.ring;
  T* slot = static_cast<T*>(a.data) + ring_slot(*ring.pointer, 0, ring.slots) * ring.slot_stride;
  const T* obs = static_cast<const T*>(a.obs);
  const bool batch_inner = ring.batch_stride < ring.rest_stride;
  for (int64_t i = INFERNO_FIRST_ITEM; i < ring.batch * ring.rest; i += INFERNO_ITEM_STRIDE) {
    const int64_t b = batch_inner ? i % ring.batch : i / ring.rest;
    const int64_t r = batch_inner ? i / ring.batch : i % ring.rest;
    slot[b * ring.batch_stride + r * ring.rest_stride] = obs[b * a.obs_batch_stride + r * a.obs_rest_stride];
  }
}

// A kernel of its own: no block of the push may see the pointer move.
__global__ void history_advance_kernel(HistoryPushArgs a) { *a.pointer = ring_slot(*a.pointer, -1, a.ring.slots); }

template <class T, class Time, class C>
__global__ void __launch_bounds__(threads) history_gather_kernel(HistoryGatherArgs a) {
  const Ring& ring = a.ring;
  const int64_t newest = ring_slot(*ring.pointer, a.offset, ring.slots);
  for (int64_t i = INFERNO_FIRST_ITEM; i < ring.batch * ring.rest * a.depth; i += INFERNO_ITEM_STRIDE) {
    const int64_t element = i / a.depth, d = i % a.depth;
    const int64_t b = element / ring.rest, r = element % ring.rest;
    const Time t =
        static_cast<const Time*>(a.time)[b * a.time_batch_stride + r * a.time_rest_stride + d * a.time_depth_stride];
    const T* samples = static_cast<const T*>(a.data) + b * ring.batch_stride + r * ring.rest_stride;
    static_cast<T*>(a.out)[i] = gather_one(samples, C(t), newest, a);
  }
}

template <class F, class C>
__global__ void __launch_bounds__(threads) delay_plan_kernel(DelayPlanArgs a) {
  for (int64_t i = INFERNO_FIRST_ITEM; i < a.count; i += INFERNO_ITEM_STRIDE) {
    const int64_t slot = plan_one<C>(static_cast<const F*>(a.delay)[i], a, static_cast<F*>(a.factor)[i]);
    if (a.byte_slots)
      static_cast<uint8_t*>(a.slot)[i] = uint8_t(slot);
    else
      static_cast<int32_t*>(a.slot)[i] = int32_t(slot);
  }
}

template <class T>
void push(const HistoryPushArgs& a, void* stream) {
  launch(history_push_kernel<T>, grid_for(a.ring.batch * a.ring.rest, threads), dim3(threads), 0, stream, a);
}

}  // namespace

void history_push_cuda(const HistoryPushArgs& a, void* stream) {
  if (a.ring.batch * a.ring.rest > 0) {
    if (a.element_size == 1) push<uint8_t>(a, stream);
    if (a.element_size == 2) push<uint16_t>(a, stream);
    if (a.element_size == 4) push<uint32_t>(a, stream);
    if (a.element_size == 8) push<uint64_t>(a, stream);
  }
  launch(history_advance_kernel, dim3(1), dim3(1), 0, stream, a);
}

void history_gather_cuda(const HistoryGatherArgs& a, void* stream) {
  const int64_t count = a.ring.batch * a.ring.rest * a.depth;
  if (count == 0) return;
  dispatch_sample(a.type, [&](auto sample) {
    using T = decltype(sample);
    const auto kernel = a.time_type == Scalar::f64 ? history_gather_kernel<T, double, double>
                        : in_double<float>(a.grid) ? history_gather_kernel<T, float, double>
                                                   : history_gather_kernel<T, float, float>;
    launch(kernel, grid_for(count, threads), dim3(threads), 0, stream, a);
  });
}

void delay_plan_cuda(const DelayPlanArgs& a, void* stream) {
  if (a.count == 0) return;
  const auto kernel = a.type == Scalar::f64      ? delay_plan_kernel<double, double>
                      : in_double<float>(a.grid) ? delay_plan_kernel<float, double>
                                                 : delay_plan_kernel<float, float>;
  launch(kernel, grid_for(a.count, threads), dim3(threads), 0, stream, a);
}

}  // namespace inferno
