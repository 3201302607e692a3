// One term for each output. A block of outputs is summed with the batch innermost, as the history has it, and then
// written with the outputs innermost.
#include "cpu/add_taps.h"

namespace inferno {
namespace {

constexpr int64_t block = 16;  // outputs
constexpr int64_t chunk = 64;  // items of the batch

template <class H, class T, class Slot, class C = Compute<T>>
void direct_block(const DelayedSumArgs& a, const Samples<H, C>& samples, int64_t begin, int64_t end, int64_t batch) {
  const int64_t count = std::min(chunk, a.ring.batch - batch);
  const Run run{1, 0, count, a.ring.batch_stride};
  C sums[block][chunk];
  for (int64_t o = begin; o < end; ++o) std::fill(sums[o - begin], sums[o - begin] + count, C(0));
  for (int64_t o = begin; o < end; ++o) {
    const Tap<C> tap = tap_of<T, Slot>(a, o);
    const int64_t element = o * a.ring.rest_stride + batch * a.ring.batch_stride;
    count == chunk ? samples.add(sums[o - begin], tap, element, run)
                   : samples.template add<true>(sums[o - begin], tap, element, run);
  }
  const T* bias = static_cast<const T*>(a.bias);
  for (int64_t b = 0; b < count; ++b) {
    T* out = static_cast<T*>(a.out) + (batch + b) * a.outputs;
    for (int64_t o = begin; o < end; ++o)
      out[o] = store<T>(bias ? sums[o - begin][b] + load(bias[o]) : sums[o - begin][b]);
  }
}

// A single item: its outputs lie one after another.
template <class T, class Slot, class C = Compute<T>>
void direct_single(const DelayedSumArgs& a, int64_t begin, int64_t end) {
  const int64_t newest = ring_slot(*a.ring.pointer, 1, a.ring.slots);
  const T* bias = static_cast<const T*>(a.bias);
  for (int64_t o = begin; o < end; ++o) {
    const Tap<C> tap = tap_of<T, Slot>(a, o);
    C z = sample_at<T>(a, newest, tap.age, o * a.ring.rest_stride);
    if (tap.blend > C(0)) z = blend_linear(z, sample_at<T>(a, newest, tap.age - 1, o * a.ring.rest_stride), tap.blend);
    const C sum = C(0) + tap.weight * z;
    static_cast<T*>(a.out)[o] = store<T>(bias ? sum + load(bias[o]) : sum);
  }
}

}  // namespace

void delayed_direct_cpu(const DelayedSumArgs& a, int64_t begin, int64_t end) {
  dispatch_synapses(a, [&](auto scalar, auto slot) {
    using T = decltype(scalar);
    using Slot = decltype(slot);
    if (a.ring.batch == 1) return direct_single<T, Slot>(a, begin, end);
    dispatch_history<T>(a, [&](auto sample) {
      using H = decltype(sample);
      const Samples<H, Compute<T>> samples(a);
      for (int64_t o = begin; o < end; o += block)
        for (int64_t b = 0; b < a.ring.batch; b += chunk)
          direct_block<H, T, Slot>(a, samples, o, std::min(o + block, end), b);
    });
  });
}

}  // namespace inferno
