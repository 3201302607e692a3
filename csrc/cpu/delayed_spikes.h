// Delayed sums of few spikes: only these are looked at, and the terms that they add are added in the same order.
#pragma once
#include <type_traits>
#include <vector>

#include "core/delayed.h"
#include "cpu/spike_words.h"

namespace inferno {
namespace {

#define INFERNO_ALL_FINITE(C)                                                            \
  INFERNO_CLONES bool all_finite(const C* values, int64_t count) {                       \
    int32_t wrong = 0;                                                                   \
    for (int64_t i = 0; i < count; ++i) wrong |= int32_t(values[i] - values[i] != C(0)); \
    return wrong == 0;                                                                   \
  }
INFERNO_ALL_FINITE(float)
INFERNO_ALL_FINITE(double)
#undef INFERNO_ALL_FINITE

template <class T, class Slot, class C = Compute<T>>
class DelayedSpikes {
 public:
  DelayedSpikes(const DelayedSumArgs& a, int64_t batch_begin, int64_t samples)
      : a_(a), batch_begin_(batch_begin), samples_(samples) {}

  static bool takes(const DelayedSumArgs& a) {
    return a.bool_history && a.overbound == 0 && !(a.linear && a.factor) && a.ring.batch > 1;
  }

  // False, with nothing written, if there are not few.
  bool run(int64_t begin, int64_t end) {
    const auto* data = static_cast<const uint8_t*>(a_.data) + batch_begin_ * a_.ring.batch_stride;
    if (!words_.find(data, a_.ring, samples_, a_.ring.rest, rarest)) return false;
    sums_.assign((end - begin) * SpikeWords::most, C(0));
    for (int64_t i = 0; i < a_.ring.rest; i += SpikeWords::tile) {
      const int64_t count = std::min(SpikeWords::tile, a_.ring.rest - i);
      for (int64_t o = begin; o < end; ++o)
        add_row(o * a_.ring.rest + i, i, count, sums_.data() + (o - begin) * SpikeWords::most);
    }
    T* out = static_cast<T*>(a_.out) + batch_begin_ * a_.outputs;
    const T* bias = static_cast<const T*>(a_.bias);
    for (int64_t b = 0; b < samples_; ++b)
      for (int64_t o = begin; o < end; ++o) {
        const C sum = sums_[(o - begin) * SpikeWords::most + b];
        out[b * a_.outputs + o] = store<T>(bias ? sum + load(bias[o]) : sum);
      }
    return true;
  }

 private:
  static constexpr int64_t rarest = 16;  // with more spikes than one in so many, all of the history is quicker

  void add_row(int64_t first, int64_t input, int64_t count, C* sums) {
    const T* weight = static_cast<const T*>(a_.weight) + first;
    const C* factor = a_.factor ? static_cast<const C*>(a_.factor) + first : nullptr;
    const C* weights = weights_;
    if constexpr (std::is_same_v<T, C>) {
      weights = weight;
    } else {
      for (int64_t i = 0; i < count; ++i) weights_[i] = load(weight[i]);
    }
    if (factor) {
      for (int64_t i = 0; i < count; ++i) weights_[i] = weights[i] * factor[i];
      weights = weights_;
    }
    const Slot* slot = static_cast<const Slot*>(a_.slot) + first;
    const uint32_t* words = words_.of_tile(input);
    const C scale = C(a_.scale);
    ask_for_next(weight, a_.ring.rest, count);
    ask_for_next(slot, a_.ring.rest, count);
    // no weight times no spike is nothing where the weight is finite
    if (!all_finite(weights, count)) return add_all(weights, words, slot, count, sums);
    hits_.find(words, slot, count);
    for (int32_t k = 0; k < hits_.count; ++k) {
      const C term = weights[hits_.input[k]] * scale;
      each_bit(hits_.word[k], [&](int b) { sums[b] = sums[b] + term; });
    }
  }

  void add_all(const C* weights, const uint32_t* words, const Slot* slot, int64_t count, C* sums) const {
    for (int64_t i = 0; i < count; ++i)
      for (int64_t b = 0; b < samples_; ++b) {
        const bool spike = words[int64_t(slot[i]) * SpikeWords::tile + i] >> b & 1;
        sums[b] = sums[b] + weights[i] * (spike ? C(a_.scale) : C(0));
      }
  }

  const DelayedSumArgs& a_;
  const int64_t batch_begin_, samples_;
  SpikeWords words_;
  Hits hits_;
  C weights_[SpikeWords::tile];
  std::vector<C> sums_;
};

}  // namespace
}  // namespace inferno
