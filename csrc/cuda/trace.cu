#include "core/trace.h"

#include "cuda/launch.h"

namespace inferno {
namespace {

constexpr int threads = 256;

// Consecutive threads take consecutive elements of the ring.
template <TraceKind kind, class T, class X>
__global__ void __launch_bounds__(threads) trace_push_kernel(TraceArgs a) {
  using C = Compute<T>;
  const Ring& ring = a.ring;
  const TraceNumbers<C> n = trace_numbers<C>(a);
  const bool batch_inner = ring.batch_stride < ring.rest_stride;
  const T* newest = static_cast<const T*>(a.data) + ring_slot(*ring.pointer, 1, ring.slots) * ring.slot_stride;
  T* next = static_cast<T*>(a.data) + ring_slot(*ring.pointer, 0, ring.slots) * ring.slot_stride;
  for (int64_t i = INFERNO_FIRST_ITEM; i < ring.batch * ring.rest; i += INFERNO_ITEM_STRIDE) {
    const int64_t b = batch_inner ? i % ring.batch : i / ring.rest;
    const int64_t r = batch_inner ? i / ring.batch : i % ring.rest;
    const C seen = trace_seen(static_cast<const X*>(a.obs.data)[b * a.obs.batch_stride + r * a.obs.rest_stride], C(0));
    const bool event =
        a.events == TraceEvents::masked
            ? static_cast<const uint8_t*>(a.mask.data)[b * a.mask.batch_stride + r * a.mask.rest_stride] != 0
            : trace_event(seen, a.events, n);
    const C value = a.scaled ? seen * n.scale + n.amplitude : n.amplitude;
    const int64_t at = b * ring.batch_stride + r * ring.rest_stride;
    next[at] = store<T>(trace_next<kind>(load(newest[at]), value, event, n.decay));
  }
}

// A kernel of its own: no block of the push may see the pointer move.
__global__ void trace_advance_kernel(TraceArgs a) { *a.pointer = ring_slot(*a.pointer, -1, a.ring.slots); }

template <TraceKind kind>
void push(const TraceArgs& a, int64_t count, void* stream) {
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    const auto kernel = a.bool_obs ? trace_push_kernel<kind, T, Bool> : trace_push_kernel<kind, T, T>;
    launch(kernel, grid_for(count, threads), dim3(threads), 0, stream, a);
  });
}

}  // namespace

void trace_push_cuda(const TraceArgs& a, void* stream) {
  const int64_t count = a.ring.batch * a.ring.rest;
  if (count > 0) dispatch_trace(a.kind, [&](auto kind) { push<decltype(kind)::value>(a, count, stream); });
  launch(trace_advance_kernel, dim3(1), dim3(1), 0, stream, a);
}

}  // namespace inferno
