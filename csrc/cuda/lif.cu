#include "core/lif.h"

#include "core/args.h"
#include "cuda/launch.h"

namespace inferno {
namespace {

constexpr int threads = 256;

// As many values as one 16-byte access moves.
template <class T>
struct alignas(16) Pack {
  static constexpr int size = 16 / sizeof(T);
  T values[size];
};

template <class T, bool Lock>
__global__ void __launch_bounds__(threads) lif_step_kernel(LifArgs a, LifParams<Compute<T>> p, int64_t packs) {
  using C = Compute<T>;
  constexpr int size = Pack<T>::size;
  struct alignas(size) Flags {
    uint8_t values[size];
  };
  for (int64_t i = INFERNO_FIRST_ITEM; i < packs; i += INFERNO_ITEM_STRIDE) {
    Pack<T> voltage = static_cast<const Pack<T>*>(a.voltage_in)[i];
    Pack<T> refrac = static_cast<const Pack<T>*>(a.refrac_in)[i];
    const Pack<T> input = static_cast<const Pack<T>*>(a.inputs)[i];
    Flags spikes;
    for (int j = 0; j < size; ++j) {
      C v = load(voltage.values[j]), r = load(refrac.values[j]);
      spikes.values[j] = uint8_t(lif_step<Lock>(v, r, load(input.values[j]), p));
      voltage.values[j] = store<T>(v);
      refrac.values[j] = store<T>(r);
    }
    static_cast<Pack<T>*>(a.voltage)[i] = voltage;
    static_cast<Pack<T>*>(a.refrac)[i] = refrac;
    reinterpret_cast<Flags*>(a.spikes)[i] = spikes;
  }
  for (int64_t i = packs * size + INFERNO_FIRST_ITEM; i < a.count; i += INFERNO_ITEM_STRIDE) {
    C v = load(static_cast<const T*>(a.voltage_in)[i]), r = load(static_cast<const T*>(a.refrac_in)[i]);
    a.spikes[i] = uint8_t(lif_step<Lock>(v, r, load(static_cast<const T*>(a.inputs)[i]), p));
    static_cast<T*>(a.voltage)[i] = store<T>(v);
    static_cast<T*>(a.refrac)[i] = store<T>(r);
  }
}

bool aligned(const LifArgs& a) {
  const auto bits = uintptr_t(a.voltage_in) | uintptr_t(a.refrac_in) | uintptr_t(a.inputs) | uintptr_t(a.voltage) |
                    uintptr_t(a.refrac) | uintptr_t(a.spikes);
  return bits % 16 == 0;
}

}  // namespace

void lif_step_cuda(const LifArgs& a, void* stream) {
  if (a.count == 0) return;
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    const int64_t packs = aligned(a) ? a.count / Pack<T>::size : 0;
    const dim3 grid = grid_for(packs ? packs : a.count, threads);
    const auto kernel = a.refrac_lock ? lif_step_kernel<T, true> : lif_step_kernel<T, false>;
    launch(kernel, grid, dim3(threads), 0, stream, a, lif_params<Compute<T>>(a), packs);
  });
}

}  // namespace inferno
