#include "core/synapse.h"

#include "core/args.h"
#include "cuda/launch.h"

namespace inferno {
namespace {

constexpr int threads = 256;

// Consecutive threads take consecutive elements of the rings: along the batch where that is innermost in memory.
template <class M, class T, class X>
__global__ void __launch_bounds__(threads) synapse_step_kernel(SynapseStepArgs a, SynapseParams<Compute<T>> p) {
  using C = Compute<T>;
  const Ring& spikes = a.spikes.ring;
  const bool batch_inner = spikes.batch_stride < spikes.rest_stride;
  const int64_t spike_slot = next_slot(a.spikes) * spikes.slot_stride;
  int64_t newest[synapse_max_currents], next[synapse_max_currents];
  for (int k = 0; k < M::currents; ++k) {
    newest[k] = newest_slot(a.currents[k]) * a.currents[k].ring.slot_stride;
    next[k] = next_slot(a.currents[k]) * a.currents[k].ring.slot_stride;
  }
  for (int64_t i = INFERNO_FIRST_ITEM; i < a.batch * a.rest; i += INFERNO_ITEM_STRIDE) {
    const int64_t b = batch_inner ? i % a.batch : i / a.rest;
    const int64_t r = batch_inner ? i / a.batch : i % a.rest;
    const X input = static_cast<const X*>(a.inputs.data)[b * a.inputs.batch_stride + r * a.inputs.rest_stride];
    C drive = p.gain * spike_count<M, C>(input);
    if constexpr (M::injects) {
      for (int k = 0; k < a.injected_count; ++k) {
        const Plane& from = a.injected[k];
        drive = drive + load(static_cast<const T*>(from.data)[b * from.batch_stride + r * from.rest_stride]);
      }
    }
    T old[synapse_max_currents], now[synapse_max_currents];
    int64_t at[synapse_max_currents];
    for (int k = 0; k < M::currents; ++k) {
      at[k] = b * a.currents[k].ring.batch_stride + r * a.currents[k].ring.rest_stride;
      old[k] = static_cast<const T*>(a.currents[k].data)[newest[k] + at[k]];
    }
    static_cast<T*>(a.out)[b * a.rest + r] = M::advance(old, now, drive, p);
    static_cast<uint8_t*>(a.spikes.data)[spike_slot + b * spikes.batch_stride + r * spikes.rest_stride] =
        uint8_t(is_spike(input));
    for (int k = 0; k < M::currents; ++k) static_cast<T*>(a.currents[k].data)[next[k] + at[k]] = now[k];
  }
}

// A kernel of its own: no block of the step may see a pointer move.
__global__ void synapse_advance_kernel(SynapseStepArgs a) { synapse_advance(a); }

}  // namespace

void synapse_step_cuda(const SynapseStepArgs& a, void* stream) {
  const int64_t count = a.batch * a.rest;
  if (count > 0)
    dispatch_floating(a.type, [&](auto scalar) {
      using T = decltype(scalar);
      dispatch_synapse(a.model, [&](auto model) {
        using M = decltype(model);
        const auto kernel = a.bool_inputs ? synapse_step_kernel<M, T, Bool> : synapse_step_kernel<M, T, T>;
        launch(kernel, grid_for(count, threads), dim3(threads), 0, stream, a, synapse_params<Compute<T>>(a));
      });
    });
  launch(synapse_advance_kernel, dim3(1), dim3(1), 0, stream, a);
}

}  // namespace inferno
