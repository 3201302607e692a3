// Rules that look at the times of spikes, and traces of each synapse of each sample.
#pragma once
#include "core/exp.h"
#include "core/plasticity.h"

namespace inferno {

// With t the time since the last spike of the input minus that of the output and the delay: for each synapse the sums,
// over batch and places, of exp(-|t| / constant) where t is at least 0, and where it is below. NaN: there was no spike.
struct SpikePairArgs {
  CorrelateArgs sides;       // post and pre are times, ms; scale and out are not used
  const void* delay;         // [filters, terms], ms, or null
  const void* sample_scale;  // [batch], or null
  double after_amplitude, after_constant, before_amplitude, before_constant;
  void* after;   // [filters, terms]
  void* before;  // [filters, terms]
};

void spike_pairs_cpu(const SpikePairArgs& a, const Span& channels, const Span& filters);
void spike_pairs_cuda(const SpikePairArgs& a, void* stream);

// trace = trace * decay + correlation of its sample * scale, in place.
struct EligibilityArgs {
  CorrelateArgs sides;  // out is not used
  double decay;
  void* trace;  // [batch, filters, terms]
};

void eligibility_step_cpu(const EligibilityArgs& a, int64_t begin, int64_t end);  // filters
void eligibility_step_cuda(const EligibilityArgs& a, void* stream);

// out = sum over the batch of factor times trace.
struct EligibilitySumArgs {
  Scalar type;
  int64_t batch, count;
  const void* trace;   // [batch, count]
  const void* factor;  // [batch]
  void* out;           // [count]
};

void eligibility_sum_cpu(const EligibilitySumArgs& a, int64_t begin, int64_t end);  // elements
void eligibility_sum_cuda(const EligibilitySumArgs& a, void* stream);

// What two spikes count for that are a time apart; `near`: so short a time that its exponential is a normal number.
template <bool near, class C>
INFERNO_HD C pair_value(C t, C after_constant, C before_constant) {
  const C x = -(t < C(0) ? -t : t) / (t < C(0) ? before_constant : after_constant);
  return near ? exp_of_decay(x) : exp_portable(x);
}

template <class C>
struct PairSums {
  C after = 0, before = 0;

  template <bool near = false>
  INFERNO_HD void add(C t, C scale, C after_constant, C before_constant) {
    const C value = pair_value<near>(t, after_constant, before_constant) * scale;
    after = after + (t >= C(0) ? value : C(0));
    before = before + (t < C(0) ? value : C(0));
  }
};

// The time of an input at the delay of a synapse, `element` after the first of an observation.
template <class T, class Slot, class C = Compute<T>>
INFERNO_HD C time_at(const CorrelateArgs& a, int64_t number, int64_t newest, int64_t element) {
  const T* pre = static_cast<const T*>(a.pre) + element;
  const int32_t age = a.slot ? int32_t(static_cast<const Slot*>(a.slot)[number]) : 0;
  if (age == a.slots) return C(a.overbound);
  const C older = load(pre[slot_of_age(newest, age, a.slots) * a.pre_slot]);
  if (!a.factor) return older;
  const C factor = static_cast<const C*>(a.factor)[number];
  if (!a.linear) return older * factor;
  if (!(factor > C(0))) return older;
  return blend_linear(older, load(pre[slot_of_age(newest, age - 1, a.slots) * a.pre_slot]), factor);
}

template <class T, class Slot, class C = Compute<T>>
INFERNO_HD PairSums<C> pairs_of(const SpikePairArgs& p, int64_t number, int64_t newest) {
  const CorrelateArgs& a = p.sides;
  const Synapse s = synapse_of(a, number);
  const Places rows = places_inside(a.rows, s.row), columns = places_inside(a.columns, s.column);
  const C delay = p.delay ? load(static_cast<const T*>(p.delay)[number]) : C(0);
  PairSums<C> sums;
  for (int64_t b = 0; b < a.batch; ++b) {
    const C scale = p.sample_scale ? load(static_cast<const T*>(p.sample_scale)[b]) : C(1);
    const T* post = static_cast<const T*>(a.post) + b * a.post_batch + s.filter * a.post_filter;
    for (int64_t y = rows.begin; y < rows.end; ++y)
      for (int64_t x = columns.begin; x < columns.end; ++x) {
        const C last = load(post[y * a.post_row + x * a.post_column]);
        if (last != last) continue;
        const int64_t pixel_y = y * a.rows.stride - a.rows.padding + s.row * a.rows.dilation;
        const int64_t pixel_x = x * a.columns.stride - a.columns.padding + s.column * a.columns.dilation;
        const int64_t element = b * a.pre_batch + s.channel * a.pre_channel + pixel_y * a.rows.pixel_stride +
                                pixel_x * a.columns.pixel_stride;
        sums.add(time_at<T, Slot>(a, number, newest, element) - last - delay, scale, C(p.after_constant),
                 C(p.before_constant));
      }
  }
  return sums;
}

template <class T, class C>
INFERNO_HD void put_pairs(const SpikePairArgs& a, int64_t number, const PairSums<C>& sums) {
  static_cast<T*>(a.after)[number] = store<T>(sums.after * C(a.after_amplitude));
  static_cast<T*>(a.before)[number] = store<T>(sums.before * C(a.before_amplitude));
}

// Of one synapse in one sample.
template <class P, class H, class T, class Slot, class C = Compute<T>>
INFERNO_HD void eligibility_one(const EligibilityArgs& e, int64_t b, int64_t number, int64_t newest) {
  const CorrelateArgs& a = e.sides;
  const Synapse synapse = synapse_of(a, number);
  const C sum = at_delay<Slot, C>(
      a, number, [&](int32_t age) { return sum_at<P, H, C>(a, synapse, newest, age, Span{b, b + 1}); });
  T& trace = static_cast<T*>(e.trace)[b * a.filters * terms_of(a) + number];
  trace = store<T>(load(trace) * C(e.decay) + sum * C(a.scale));
}

// Calls f with values of the types of post and pre.
template <class T, class F>
void dispatch_sides(const CorrelateArgs& a, F&& f) {
  if (a.bool_post)
    a.bool_pre ? f(Bool{}, Bool{}) : f(Bool{}, T{});
  else
    a.bool_pre ? f(T{}, Bool{}) : f(T{}, T{});
}

}  // namespace inferno
