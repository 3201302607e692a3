// Traces of each synapse of each sample. Most of a step is their decay; then come the values that meet, of which there
// are few where one side is spikes.
#include <algorithm>
#include <type_traits>

#include "core/learning.h"
#include "cpu/clones.h"
#include "cpu/leads.h"

namespace inferno {
namespace {

constexpr int64_t block = 256;

bool is_dense(const CorrelateArgs& a) {
  return !a.direct && a.rows.input * a.columns.input * a.rows.output * a.columns.output == 1;
}

template <class C>
INFERNO_HD void step_all(C* trace, const C* met, C decay, C scale, int64_t count) {
  for (int64_t i = 0; i < count; ++i) trace[i] = trace[i] * decay + met[i] * scale;
}

template <class C>
INFERNO_HD void decay_all(C* trace, C decay, C scale, int64_t count) {
  const C nothing = C(0) * scale;
  for (int64_t i = 0; i < count; ++i) trace[i] = trace[i] * decay + nothing;
}

template <class C>
INFERNO_HD void sum_all(const C* trace, C factor, int64_t count, C* sums) {
  for (int64_t i = 0; i < count; ++i) sums[i] = sums[i] + met(factor, trace[i]);
}

#define INFERNO_TRACES(C)                                                                    \
  INFERNO_CLONES void step_traces(C* trace, const C* met, C decay, C scale, int64_t count) { \
    step_all(trace, met, decay, scale, count);                                               \
  }                                                                                          \
  INFERNO_CLONES void decay_traces(C* trace, C decay, C scale, int64_t count) {              \
    decay_all(trace, decay, scale, count);                                                   \
  }                                                                                          \
  INFERNO_CLONES void sum_traces(const C* trace, C factor, int64_t count, C* sums) {         \
    sum_all(trace, factor, count, sums);                                                     \
  }
INFERNO_TRACES(float)
INFERNO_TRACES(double)
#undef INFERNO_TRACES

template <class P, class H, class T, class Slot>
class DenseStep {
  using C = Compute<T>;

 public:
  explicit DenseStep(const EligibilityArgs& e) : e_(e), a_(e.sides), one_each_(!(a_.linear && a_.factor)) {
    const int64_t newest = newest_slot(a_);
    for (int64_t age = 0; age < a_.slots; ++age)
      samples_.push_back(static_cast<const H*>(a_.pre) + slot_of_age(newest, int32_t(age), a_.slots) * a_.pre_slot);
    samples_.push_back(samples_[0]);  // of delays out of range: not looked at
  }

  void run(int64_t begin, int64_t end) {
    if (std::is_same_v<T, C> && a_.slot && one_each_ && a_.overbound == 0 && many_values(begin, end) &&
        leads_.find(a_, {0, a_.channels}, fewest_samples) && leads_.finite()) {
      for (int64_t filter = begin; filter < end; ++filter) from_leads(filter);
      return;
    }
    for (int64_t b = 0; b < a_.batch; ++b)
      for (int64_t filter = begin; filter < end; ++filter) row(b, filter);
  }

 private:
  static constexpr int64_t fewest_samples = 4;  // to a value, for the values to be listed

  C post(int64_t b, int64_t filter) const {
    return sample_value<P, C>(static_cast<const P*>(a_.post)[b * a_.post_batch + filter * a_.post_filter], 1);
  }
  T* traces(int64_t b, int64_t filter) const {
    return static_cast<T*>(e_.trace) + (b * a_.filters + filter) * a_.channels;
  }

  // So many that to look up what each of them meets takes longer than to list what the inputs sent.
  bool many_values(int64_t begin, int64_t end) const {
    int64_t values = 0;
    for (int64_t b = 0; b < a_.batch; ++b)
      for (int64_t filter = begin; filter < end; ++filter) values += post(b, filter) != C(0);
    return values > a_.slots * a_.batch / 4 + (end - begin);
  }

  // All samples of an output. The row of no sample takes what synapses without a value would add.
  void from_leads(int64_t filter) {
    values_.assign(a_.batch + 1, C(0));
    rows_.assign(a_.batch + 1, nullptr);
    nowhere_.assign(block, C(0));
    for (int64_t b = 0; b < a_.batch; ++b) values_[b] = post(b, filter);
    for (int64_t begin = 0; begin < a_.channels; begin += block) {
      const int64_t count = std::min(block, a_.channels - begin);
      for (int64_t b = 0; b < a_.batch; ++b) {
        rows_[b] = reinterpret_cast<C*>(traces(b, filter) + begin);
        decay_traces(rows_[b], C(e_.decay), C(a_.scale), count);
      }
      rows_[a_.batch] = nowhere_.data();
      add_events(filter, begin, count);
    }
  }

  void add_events(int64_t filter, int64_t begin, int64_t count) {
    const int64_t first = filter * a_.channels + begin;
    const Slot* slot = static_cast<const Slot*>(a_.slot) + first;
    const C* factor = a_.factor ? static_cast<const C*>(a_.factor) + first : nullptr;
    const C scale = C(a_.scale);
    const C* values = values_.data();
    C* const* rows = rows_.data();
    const int32_t* leads = leads_.leads();
    int64_t base = leads_.key(0, begin);
    const auto add = [&](int32_t item, C sum, int64_t c) {
      C& trace = rows[item][c];
      trace = trace + (factor ? sum * factor[c] : sum) * scale;
    };
    for (int64_t c = 0; c < count; ++c, base += a_.slots + 1) {
      const int64_t key = base + int64_t(slot[c]);
      const int32_t lead = leads[key];
      if (lead < 0)
        leads_.each(key, [&](int32_t item, C value) { add(item, met(values[item], value), c); });
      else
        add(lead, Leads<H, C>::spikes ? values[lead] : met(values[lead], leads_.value(key)), c);
    }
  }

  // A sample of an output, which meets nothing where it is 0.
  void row(int64_t b, int64_t filter) const {
    const C value = post(b, filter);
    T* row = traces(b, filter);
    for (int64_t begin = 0; begin < a_.channels; begin += block) {
      const int64_t count = std::min(block, a_.channels - begin);
      C found[block], trace[block];
      if (value != C(0)) look_up(b, filter, begin, count, value, found);
      if constexpr (std::is_same_v<T, C>) {
        step(row + begin, value != C(0) ? found : nullptr, count);
      } else {
        for (int64_t i = 0; i < count; ++i) trace[i] = load(row[begin + i]);
        step(trace, value != C(0) ? found : nullptr, count);
        for (int64_t i = 0; i < count; ++i) row[begin + i] = store<T>(trace[i]);
      }
    }
  }

  void step(C* trace, const C* found, int64_t count) const {
    found ? step_traces(trace, found, C(e_.decay), C(a_.scale), count)
          : decay_traces(trace, C(e_.decay), C(a_.scale), count);
  }

  void look_up(int64_t b, int64_t filter, int64_t begin, int64_t count, C value, C* found) const {
    const int64_t first = filter * a_.channels + begin, at = b * a_.pre_batch + begin * a_.pre_channel;
    const auto seen = [&](int64_t age, int64_t i) {
      return age == a_.slots ? C(a_.overbound) : sample_value<H, C>(samples_[age][at + i * a_.pre_channel], 1);
    };
    if (!a_.slot) {
      for (int64_t i = 0; i < count; ++i) found[i] = met(value, seen(0, i));
      return;
    }
    for (int64_t i = 0; i < count; ++i)
      found[i] = at_delay<Slot, C>(a_, first + i, [&](int32_t age) { return met(value, seen(age, i)); });
  }

  const EligibilityArgs& e_;
  const CorrelateArgs& a_;
  const bool one_each_;
  std::vector<const H*> samples_;  // of each age
  Leads<H, C> leads_;
  std::vector<C> values_, nowhere_;
  std::vector<C*> rows_;
};

template <class P, class H, class T, class Slot>
void eligibility_step(const EligibilityArgs& e, int64_t begin, int64_t end) {
  const CorrelateArgs& a = e.sides;
  if (is_dense(a)) return DenseStep<P, H, T, Slot>(e).run(begin, end);
  const int64_t newest = newest_slot(a), terms = terms_of(a);
  for (int64_t b = 0; b < a.batch; ++b)
    for (int64_t i = begin * terms; i < end * terms; ++i) eligibility_one<P, H, T, Slot>(e, b, i, newest);
}

}  // namespace

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
