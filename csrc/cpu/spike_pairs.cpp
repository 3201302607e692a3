// Sums over pairs of spikes. In a dense map the exponentials are those of a table of lags, where the times are whole
// numbers of a unit; or computed side by side for many inputs.
#include <algorithm>
#include <limits>
#include <type_traits>
#include <vector>

#include "core/learning.h"
#include "cpu/clones.h"
#include "cpu/pairs_by_lag.h"

namespace inferno {
namespace {

constexpr int64_t block = 256;

bool is_dense(const CorrelateArgs& a) {
  return !a.direct && a.rows.input * a.columns.input * a.rows.output * a.columns.output == 1;
}

template <bool near, class C>
INFERNO_HD void add_all(const SpikePairArgs& a, const C* time, const C* delay, C last, C scale, int64_t count, C* after,
                        C* before) {
  const C after_constant = C(a.after_constant), before_constant = C(a.before_constant);
  for (int64_t i = 0; i < count; ++i) {
    PairSums<C> sums{after[i], before[i]};
    sums.template add<near>(time[i] - last - delay[i], scale, after_constant, before_constant);
    after[i] = sums.after;
    before[i] = sums.before;
  }
}

// By their bits, which are in the same order; without NaN.
template <class C>
INFERNO_HD C longest_of(const C* time, int64_t count) {
  using Bits = std::make_signed_t<typename ExpFormat<C>::Bits>;
  constexpr int exponent = 8 * int(sizeof(C)) - 1 - ExpFormat<C>::mantissa;
  constexpr Bits infinite = ((Bits(1) << exponent) - 1) << ExpFormat<C>::mantissa;
  Bits longest = 0;
  for (int64_t i = 0; i < count; ++i) {
    const Bits size = Bits(bits_of(time[i])) & std::numeric_limits<Bits>::max();
    const Bits number = size > infinite ? 0 : size;
    longest = number > longest ? number : longest;
  }
  C time_of;
  memcpy(&time_of, &longest, sizeof time_of);
  return time_of;
}

#define INFERNO_ADD_PAIRS(C)                                                                                           \
  INFERNO_CLONES void add_pairs(const SpikePairArgs& a, const C* time, const C* delay, C last, C scale, int64_t count, \
                                C* after, C* before, bool near) {                                                      \
    near ? add_all<true>(a, time, delay, last, scale, count, after, before)                                            \
         : add_all<false>(a, time, delay, last, scale, count, after, before);                                          \
  }                                                                                                                    \
  INFERNO_CLONES C longest(const C* time, int64_t count) { return longest_of(time, count); }
INFERNO_ADD_PAIRS(float)
INFERNO_ADD_PAIRS(double)
#undef INFERNO_ADD_PAIRS

template <class T, class Slot>
class DensePairs {
  using C = Compute<T>;

 public:
  explicit DensePairs(const SpikePairArgs& p) : p_(p), a_(p.sides), newest_(newest_slot(p.sides)) {}

  void run(const Span& channels, const Span& filters) {
    for (int64_t begin = channels.begin; begin < channels.end; begin += block) {
      const int64_t count = std::min(block, channels.end - begin);
      if (!a_.slot) load_times(begin, count);
      for (int64_t filter = filters.begin; filter < filters.end; ++filter) row(filter, begin, count);
    }
  }

 private:
  C post(int64_t b, int64_t filter) const {
    return load(static_cast<const T*>(a_.post)[b * a_.post_batch + filter * a_.post_filter]);
  }

  // Without delays all outputs see the same.
  void load_times(int64_t begin, int64_t count) {
    times_.resize(a_.batch * block);
    longest_.resize(a_.batch);
    for (int64_t b = 0; b < a_.batch; ++b) {
      look_up(begin, begin, count, b, times_.data() + b * block);
      longest_[b] = longest(times_.data() + b * block, count);
    }
  }

  void look_up(int64_t first, int64_t begin, int64_t count, int64_t b, C* times) const {
    for (int64_t i = 0; i < count; ++i)
      times[i] = time_at<T, Slot>(a_, first + i, newest_, b * a_.pre_batch + (begin + i) * a_.pre_channel);
  }

  void row(int64_t filter, int64_t begin, int64_t count) const {
    C time[block], delay[block] = {}, after[block] = {}, before[block] = {};
    const int64_t first = filter * a_.channels + begin;
    if (p_.delay)
      for (int64_t i = 0; i < count; ++i) delay[i] = load(static_cast<const T*>(p_.delay)[first + i]);
    const C near = C(std::min(p_.after_constant, p_.before_constant)) * -ExpFormat<C>::lowest_normal * C(0.99);
    const C longest_delay = longest(delay, count);
    for (int64_t b = 0; b < a_.batch; ++b) {
      const C last = post(b, filter);
      if (last != last) continue;
      const C scale = p_.sample_scale ? load(static_cast<const T*>(p_.sample_scale)[b]) : C(1);
      if (a_.slot) look_up(first, begin, count, b, time);
      const C* seen = a_.slot ? time : times_.data() + b * block;
      const C most = (a_.slot ? longest(time, count) : longest_[b]) + longest(&last, 1) + longest_delay;
      add_pairs(p_, seen, delay, last, scale, count, after, before, most < near);
    }
    for (int64_t i = 0; i < count; ++i) put_pairs<T>(p_, first + i, PairSums<C>{after[i], before[i]});
  }

  const SpikePairArgs& p_;
  const CorrelateArgs& a_;
  const int64_t newest_;
  std::vector<C> times_;    // [samples, inputs of a block]
  std::vector<C> longest_;  // of each sample
};

template <class T, class Slot>
void spike_pairs(const SpikePairArgs& p, const Span& channels, const Span& filters) {
  const CorrelateArgs& a = p.sides;
  if (is_dense(a)) {
    if (!PairsByLag<T, Slot>(p, channels, filters).run()) DensePairs<T, Slot>(p).run(channels, filters);
    return;
  }
  const int64_t newest = newest_slot(a), taps = taps_of(a);
  for (int64_t filter = filters.begin; filter < filters.end; ++filter) {
    const int64_t first = filter * terms_of(a);
    const Span terms = a.direct ? Span{0, taps} : Span{channels.begin * taps, channels.end * taps};
    for (int64_t i = first + terms.begin; i < first + terms.end; ++i)
      put_pairs<T>(p, i, pairs_of<T, Slot>(p, i, newest));
  }
}

}  // namespace

void spike_pairs_cpu(const SpikePairArgs& a, const Span& channels, const Span& filters) {
  dispatch_floating(a.sides.type, [&](auto scalar) {
    using T = decltype(scalar);
    a.sides.byte_slots ? spike_pairs<T, uint8_t>(a, channels, filters) : spike_pairs<T, int32_t>(a, channels, filters);
  });
}

}  // namespace inferno
