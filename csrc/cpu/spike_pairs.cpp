#include "core/learning.h"

#include <algorithm>
#include <type_traits>

#include "cpu/clones.h"

namespace inferno {
namespace {

constexpr int64_t block = 256;

bool is_dense(const CorrelateArgs& a) {
  return !a.direct && a.rows.input * a.columns.input * a.rows.output * a.columns.output == 1;
}

template <class C>
INFERNO_HD void add_all(const SpikePairArgs& a, const C* time, const C* delay, C last, C scale, int64_t count, C* after,
                        C* before) {
  const C after_constant = C(a.after_constant), before_constant = C(a.before_constant);
  for (int64_t i = 0; i < count; ++i) {
    PairSums<C> sums{after[i], before[i]};
    sums.add(time[i] - last - delay[i], scale, after_constant, before_constant);
    after[i] = sums.after;
    before[i] = sums.before;
  }
}

#define INFERNO_ADD_PAIRS(C)                                                                                           \
  INFERNO_CLONES void add_pairs(const SpikePairArgs& a, const C* time, const C* delay, C last, C scale, int64_t count, \
                                C* after, C* before) {                                                                 \
    add_all(a, time, delay, last, scale, count, after, before);                                                        \
  }
INFERNO_ADD_PAIRS(float)
INFERNO_ADD_PAIRS(double)
#undef INFERNO_ADD_PAIRS

// Inputs [begin, begin + count) of a filter of a dense map, side by side.
template <class T, class Slot, class C = Compute<T>>
void dense_pairs(const SpikePairArgs& p, int64_t filter, int64_t begin, int64_t count, int64_t newest) {
  const CorrelateArgs& a = p.sides;
  C time[block], delay[block] = {}, after[block] = {}, before[block] = {};
  const int64_t first = filter * a.channels + begin;
  if (p.delay)
    for (int64_t i = 0; i < count; ++i) delay[i] = load(static_cast<const T*>(p.delay)[first + i]);
  for (int64_t b = 0; b < a.batch; ++b) {
    const C last = load(static_cast<const T*>(a.post)[b * a.post_batch + filter * a.post_filter]);
    if (last != last) continue;
    const C scale = p.sample_scale ? load(static_cast<const T*>(p.sample_scale)[b]) : C(1);
    for (int64_t i = 0; i < count; ++i)
      time[i] = time_at<T, Slot>(a, first + i, newest, b * a.pre_batch + (begin + i) * a.pre_channel);
    add_pairs(p, time, delay, last, scale, count, after, before);
  }
  for (int64_t i = 0; i < count; ++i) put_pairs<T>(p, first + i, PairSums<C>{after[i], before[i]});
}

template <class T, class Slot>
void spike_pairs(const SpikePairArgs& p, int64_t begin, int64_t end) {
  const CorrelateArgs& a = p.sides;
  const int64_t newest = newest_slot(a);
  if (!is_dense(a)) {
    for (int64_t i = begin * terms_of(a); i < end * terms_of(a); ++i)
      put_pairs<T>(p, i, pairs_of<T, Slot>(p, i, newest));
    return;
  }
  for (int64_t filter = begin; filter < end; ++filter)
    for (int64_t i = 0; i < a.channels; i += block)
      dense_pairs<T, Slot>(p, filter, i, std::min(block, a.channels - i), newest);
}

template <class C>
INFERNO_HD void step_all(C* trace, const C* pre, C post, C decay, C scale, int64_t count) {
  for (int64_t i = 0; i < count; ++i) trace[i] = trace[i] * decay + met(post, pre[i]) * scale;
}

template <class C>
INFERNO_HD void sum_all(const C* trace, C factor, int64_t count, C* sums) {
  for (int64_t i = 0; i < count; ++i) sums[i] = sums[i] + met(factor, trace[i]);
}

#define INFERNO_TRACES(C)                                                                            \
  INFERNO_CLONES void step_traces(C* trace, const C* pre, C post, C decay, C scale, int64_t count) { \
    step_all(trace, pre, post, decay, scale, count);                                                 \
  }                                                                                                  \
  INFERNO_CLONES void sum_traces(const C* trace, C factor, int64_t count, C* sums) {                 \
    sum_all(trace, factor, count, sums);                                                             \
  }
INFERNO_TRACES(float)
INFERNO_TRACES(double)
#undef INFERNO_TRACES

// A filter of a dense map: what its inputs show is 0 where the output is, and then not looked up.
template <class P, class H, class T, class C = Compute<T>>
void dense_step(const EligibilityArgs& e, int64_t b, int64_t filter) {
  const CorrelateArgs& a = e.sides;
  const C post = sample_value<P, C>(static_cast<const P*>(a.post)[b * a.post_batch + filter * a.post_filter], 1);
  C pre[block] = {};
  T* row = static_cast<T*>(e.trace) + (b * a.filters + filter) * a.channels;
  for (int64_t begin = 0; begin < a.channels; begin += block) {
    const int64_t count = std::min(block, a.channels - begin);
    const H* from = static_cast<const H*>(a.pre) + b * a.pre_batch + begin * a.pre_channel;
    if (post != C(0))
      for (int64_t i = 0; i < count; ++i) pre[i] = sample_value<H, C>(from[i * a.pre_channel], 1);
    if constexpr (std::is_same_v<T, C>) {
      step_traces(row + begin, pre, post, C(e.decay), C(a.scale), count);
    } else {
      C trace[block];
      for (int64_t i = 0; i < count; ++i) trace[i] = load(row[begin + i]);
      step_traces(trace, pre, post, C(e.decay), C(a.scale), count);
      for (int64_t i = 0; i < count; ++i) row[begin + i] = store<T>(trace[i]);
    }
  }
}

template <class P, class H, class T, class Slot>
void eligibility_step(const EligibilityArgs& e, int64_t begin, int64_t end) {
  const CorrelateArgs& a = e.sides;
  const int64_t newest = newest_slot(a), terms = terms_of(a);
  for (int64_t item = begin; item < end; ++item) {
    const int64_t b = item / a.filters, filter = item % a.filters;
    const bool silent =
        is_dense(a) &&
        sample_value<P, Compute<T>>(static_cast<const P*>(a.post)[b * a.post_batch + filter * a.post_filter], 1) == 0;
    if (is_dense(a) && (!a.slot || silent))
      dense_step<P, H, T>(e, b, filter);
    else
      for (int64_t i = filter * terms; i < (filter + 1) * terms; ++i) eligibility_one<P, H, T, Slot>(e, b, i, newest);
  }
}

}  // namespace

void spike_pairs_cpu(const SpikePairArgs& a, int64_t begin, int64_t end) {
  dispatch_floating(a.sides.type, [&](auto scalar) {
    using T = decltype(scalar);
    a.sides.byte_slots ? spike_pairs<T, uint8_t>(a, begin, end) : spike_pairs<T, int32_t>(a, begin, end);
  });
}

void eligibility_step_cpu(const EligibilityArgs& a, int64_t begin, int64_t end) {
  dispatch_floating(a.sides.type, [&](auto scalar) {
    using T = decltype(scalar);
    dispatch_sides<T>(a.sides, [&](auto post, auto pre) {
      using P = decltype(post);
      using H = decltype(pre);
      a.sides.byte_slots ? eligibility_step<P, H, T, uint8_t>(a, begin, end)
                         : eligibility_step<P, H, T, int32_t>(a, begin, end);
    });
  });
}

void eligibility_sum_cpu(const EligibilitySumArgs& a, int64_t begin, int64_t end) {
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    using C = Compute<T>;
    for (int64_t first = begin; first < end; first += block) {
      const int64_t count = std::min(block, end - first);
      C sums[block] = {};
      for (int64_t b = 0; b < a.batch; ++b) {
        const C factor = load(static_cast<const T*>(a.factor)[b]);
        if (factor == C(0)) continue;
        const T* from = static_cast<const T*>(a.trace) + b * a.count + first;
        if constexpr (std::is_same_v<T, C>) {
          sum_traces(from, factor, count, sums);
        } else {
          C trace[block];
          for (int64_t i = 0; i < count; ++i) trace[i] = load(from[i]);
          sum_traces(trace, factor, count, sums);
        }
      }
      for (int64_t i = 0; i < count; ++i) static_cast<T*>(a.out)[first + i] = store<T>(sums[i]);
    }
  });
}

}  // namespace inferno
