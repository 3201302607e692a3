#include "core/integrate_fire.h"

#include "core/args.h"
#include "cuda/launch.h"

namespace inferno {
namespace {

constexpr int threads = 256;

// A thread takes a neuron through all steps, its state in registers.
template <class M, class R, class T>
__global__ void __launch_bounds__(threads) integrate_fire_kernel(IntegrateFireArgs a) {
  using C = Compute<T>;
  for (int64_t i = INFERNO_FIRST_ITEM; i < a.count; i += INFERNO_ITEM_STRIDE) {
    const FireNumbers<C> n = fire_numbers<C>(a, i);
    C voltage = load(static_cast<const T*>(a.voltage_in)[i]), current = C(0);
    if constexpr (M::has_current) current = load(static_cast<const T*>(a.current_in)[i]);
    for (int64_t t = 0; t < a.steps; ++t) {
      const int64_t at = t * a.count + i;
      C above;
      const C spike = integrate_fire<M, R, T>(voltage, current, load(static_cast<const T*>(a.inputs)[at]), above, n);
      static_cast<T*>(a.spikes)[at] = store<T>(spike);
      if (a.voltages) static_cast<T*>(a.voltages)[at] = store<T>(voltage);
      if constexpr (M::late)
        if (a.resets) static_cast<T*>(a.resets)[at] = store<T>(above);
    }
    static_cast<T*>(a.voltage)[i] = store<T>(voltage);
    if constexpr (M::has_current) static_cast<T*>(a.current)[i] = store<T>(current);
  }
}

}  // namespace

void integrate_fire_cuda(const IntegrateFireArgs& a, void* stream) {
  if (a.count == 0) return;
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    dispatch_integrate_fire(a, [&](auto m, auto r) {
      const auto kernel = integrate_fire_kernel<decltype(m), decltype(r), T>;
      launch(kernel, grid_for(a.count, threads), dim3(threads), 0, stream, a);
    });
  });
}

}  // namespace inferno
