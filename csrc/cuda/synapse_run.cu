#include "core/synapse_run.h"

#include "cuda/launch.h"

namespace inferno {
namespace {

constexpr int threads = 256;

// A thread takes an element through all steps, its currents in registers.
template <class M, class T, class X>
__global__ void __launch_bounds__(threads) synapse_run_kernel(SynapseRunArgs a, SynapseParams<Compute<T>> p) {
  using C = Compute<T>;
  for (int64_t i = INFERNO_FIRST_ITEM; i < a.count; i += INFERNO_ITEM_STRIDE) {
    T held[synapse_max_currents];
    for (int k = 0; k < M::currents; ++k) held[k] = static_cast<const T*>(a.newest[k])[i];
#pragma unroll 4
    for (int64_t t = 0; t < a.steps; ++t) {
      const int64_t at = t * a.count + i;
      C drive = p.gain * spike_count<M, C>(static_cast<const X*>(a.inputs)[t * a.input_stride + i]);
      if constexpr (M::injects)
        for (int k = 0; k < a.injected_count; ++k) drive = drive + load(static_cast<const T*>(a.injected[k])[at]);
      T now[synapse_max_currents];
      const T current = M::advance(held, now, drive, p);
      for (int k = 0; k < M::currents; ++k) static_cast<T*>(a.recorded[k])[at] = held[k] = now[k];
      if constexpr (M::currents != 1) static_cast<T*>(a.out)[at] = current;
    }
  }
}

template <class M, class T>
__global__ void __launch_bounds__(threads)
    synapse_run_backward_kernel(SynapseRunBackwardArgs a, SynapseParams<Compute<T>> p) {
  for (int64_t i = INFERNO_FIRST_ITEM; i < a.count; i += INFERNO_ITEM_STRIDE) {
    Compute<T> carry[synapse_max_currents] = {};
#pragma unroll 4
    for (int64_t t = a.steps - 1; t >= 0; --t) {
      const int64_t at = t * a.count + i;
      static_cast<T*>(a.grad_inputs)[at] = store<T>(synapse_step_adjoint<M, T>(a, at, carry, p) * p.gain);
    }
    for (int k = 0; k < M::currents; ++k) static_cast<T*>(a.grad_newest[k])[i] = store<T>(carry[k]);
  }
}

}  // namespace

void synapse_run_cuda(const SynapseRunArgs& a, void* stream) {
  if (a.count == 0) return;
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    dispatch_synapse(a.model, [&](auto model) {
      using M = decltype(model);
      const auto kernel = a.bool_inputs ? synapse_run_kernel<M, T, Bool> : synapse_run_kernel<M, T, T>;
      launch(kernel, grid_for(a.count, threads), dim3(threads), 0, stream, a, synapse_run_params<Compute<T>>(a));
    });
  });
}

void synapse_run_backward_cuda(const SynapseRunBackwardArgs& a, void* stream) {
  if (a.count == 0) return;
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    dispatch_synapse(a.model, [&](auto model) {
      const auto kernel = synapse_run_backward_kernel<decltype(model), T>;
      launch(kernel, grid_for(a.count, threads), dim3(threads), 0, stream, a, synapse_run_params<Compute<T>>(a));
    });
  });
}

}  // namespace inferno
