#include "cpu/spiking_block.h"

#include "cpu/clones.h"

namespace inferno {
namespace {

template <bool Shared, class Neuron, class C>
INFERNO_HD void step_all(const SpikingBlock<C>& b) {
  const C* const numbers = b.numbers;
  const int64_t stride = b.stride, count = b.count;
  const Neuron shared = spiking_neuron<Neuron>(numbers, stride, 0);
  C* x[Neuron::variables];
  for (int k = 0; k < Neuron::variables; ++k) x[k] = b.x[k];
  const C* arrivals[Neuron::ports];
  for (int p = 0; p < Neuron::ports; ++p) arrivals[p] = b.arrivals[p];
  int16_t* const refrac = b.refrac;
  uint8_t* const fired = b.fired;
  const C* const drive = b.drive;
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) {
    C state[Neuron::variables], arrived[Neuron::ports];
    for (int k = 0; k < Neuron::variables; ++k) state[k] = x[k][i];
    for (int p = 0; p < Neuron::ports; ++p) arrived[p] = arrivals[p][i];
    int32_t left = refrac[i];
    const int32_t fire = Shared ? shared.step(state, left, arrived, drive[i])
                                : spiking_neuron<Neuron>(numbers, stride, i).step(state, left, arrived, drive[i]);
    for (int k = 0; k < Neuron::variables; ++k) x[k][i] = state[k];
    refrac[i] = int16_t(left);
    fired[i] = uint8_t(fire);
  }
}

#define INFERNO_STEP(N, C)                                                    \
  INFERNO_CLONES void step_block(const N<C>*, const SpikingBlock<C>& b) {     \
    b.stride == 1 ? step_all<true, N<C>, C>(b) : step_all<false, N<C>, C>(b); \
  }
#define INFERNO_ENTRY(N) INFERNO_STEP(N, float) INFERNO_STEP(N, double)
INFERNO_SPIKING_NEURONS(INFERNO_ENTRY)
#undef INFERNO_ENTRY
#undef INFERNO_STEP

}  // namespace

void step_spiking_block(SpikingKind kind, const SpikingBlock<float>& block) {
  dispatch_spiking<float>(kind, [&](auto neuron) { step_block(static_cast<const decltype(neuron)*>(nullptr), block); });
}

void step_spiking_block(SpikingKind kind, const SpikingBlock<double>& block) {
  dispatch_spiking<double>(kind,
                           [&](auto neuron) { step_block(static_cast<const decltype(neuron)*>(nullptr), block); });
}

#define INFERNO_TAKE(W, C)                                                        \
  INFERNO_CLONES void take_sums(W* sums, C quantum, C* arrivals, int64_t count) { \
    for (int64_t i = 0; i < count; ++i) arrivals[i] = C(sums[i]) * quantum;       \
    for (int64_t i = 0; i < count; ++i) sums[i] = W(0);                           \
  }
INFERNO_TAKE(int32_t, float)
INFERNO_TAKE(int32_t, double)
INFERNO_TAKE(double, float)
INFERNO_TAKE(double, double)
#undef INFERNO_TAKE

#define INFERNO_ADD(C)                                                                          \
  INFERNO_CLONES void add_counts(const int32_t* counts, C weight, C* arrivals, int64_t count) { \
    for (int64_t i = 0; i < count; ++i) arrivals[i] = arrivals[i] + C(counts[i]) * weight;      \
  }
INFERNO_ADD(float)
INFERNO_ADD(double)
#undef INFERNO_ADD

}  // namespace inferno
