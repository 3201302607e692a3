// Correlations led by the values of an output that are not 0.
#pragma once
#include "cpu/clones.h"
#include "cpu/spike_lists.h"

namespace inferno {
namespace {

int64_t pixel_of(const ConvAxis& axis, int64_t place, int64_t tap) {
  const int64_t at = place * axis.stride - axis.padding + tap * axis.dilation;
  return at >= 0 && at < axis.input ? at : -1;
}

// The synapses of a filter with some channels, in their order.
template <class F>
void for_synapses(const CorrelateArgs& a, int64_t filter, const Span& channels, F&& f) {
  const Span own = a.direct ? Span{filter, filter + 1} : channels;
  int64_t number = Synapse{filter, own.begin, 0, 0}.number(a);
  for (int64_t channel = own.begin; channel < own.end; ++channel)
    for (int64_t row = 0; row < a.rows.kernel; ++row)
      for (int64_t column = 0; column < a.columns.kernel; ++column, ++number)
        f(Synapse{filter, channel, row, column}, number);
}

template <class T, class C>
void put(const CorrelateArgs& a, int64_t number, C sum) {
  static_cast<T*>(a.out)[number] = store<T>(sum * C(a.scale));
}

template <class H, class C>
INFERNO_HD void add_row(C value, const H* pre, int64_t count, C* sums) {
  for (int64_t i = 0; i < count; ++i) sums[i] = sums[i] + met(value, sample_value<H, C>(pre[i], 1));
}

#define INFERNO_ADD_ROW(H, C)                                                     \
  INFERNO_CLONES void add_values(C value, const H* pre, int64_t count, C* sums) { \
    add_row<H, C>(value, pre, count, sums);                                       \
  }
INFERNO_ADD_ROW(float, float)
INFERNO_ADD_ROW(double, double)
INFERNO_ADD_ROW(Half, float)
INFERNO_ADD_ROW(BFloat16, float)
INFERNO_ADD_ROW(Bool, float)
INFERNO_ADD_ROW(Bool, double)
#undef INFERNO_ADD_ROW

// The values of one output that are not 0, in ascending order.
template <class P, class H, class T, class Slot>
class FromPosts {
  using C = Compute<T>;

 public:
  // `first`: the channel that a.pre begins with.
  explicit FromPosts(const CorrelateArgs& a, int64_t first = 0) : a_(a), first_(first), image_(is_image(a)) {
    const int64_t newest = newest_slot(a);
    for (int64_t age = 0; age < a.slots; ++age)
      samples_.push_back(static_cast<const H*>(a.pre) + slot_of_age(newest, int32_t(age), a.slots) * a.pre_slot);
    samples_.push_back(samples_[0]);  // of delays out of range: not looked at
  }

  void run(const Span& channels, const Span& filters) {
    for (int64_t filter = filters.begin; filter < filters.end; ++filter) {
      collect(filter);
      if (values_.empty())
        clear(filter, a_.direct ? Span{filter, filter + 1} : channels);
      else if (!a_.slot && !image_ && !a_.direct && a_.pre_channel == 1)
        by_rows(filter, channels);
      else if (a_.slot && !image_ && !a_.direct && !(a_.linear && a_.factor))
        by_lookups(filter, channels);
      else
        for_synapses(a_, filter, channels, [&](const Synapse& s, int64_t number) {
          put<T>(a_, number, at_delay<Slot, C>(a_, number, [&](int32_t age) { return sum(s, age); }));
        });
    }
  }

 private:
  struct Value {
    int64_t item;  // where the sample's observation begins
    int64_t row, column;
    C value;
  };

  void collect(int64_t filter) {
    values_.clear();
    const P* post = static_cast<const P*>(a_.post) + filter * a_.post_filter;
    for (int64_t b = 0; b < a_.batch; ++b)
      for (int64_t y = 0; y < a_.rows.output; ++y)
        for (int64_t x = 0; x < a_.columns.output; ++x) {
          const C value = sample_value<P, C>(post[b * a_.post_batch + y * a_.post_row + x * a_.post_column], 1);
          if (value != C(0)) values_.push_back({b * a_.pre_batch, y, x, value});
        }
  }

  void clear(int64_t filter, const Span& channels) {
    T* first = static_cast<T*>(a_.out) + Synapse{filter, channels.begin, 0, 0}.number(a_);
    std::fill_n(first, channels.size() * taps_of(a_), store<T>(C(0) * C(a_.scale)));
  }

  void by_rows(int64_t filter, const Span& channels) {
    sums_.assign(channels.size(), C(0));
    for (const Value& v : values_)
      add_values(v.value, samples_[0] + v.item + channels.begin, channels.size(), sums_.data());
    for (int64_t c = 0; c < channels.size(); ++c) put<T>(a_, filter * a_.channels + channels.begin + c, sums_[c]);
  }

  // Value after value, each with what all inputs sent: where they find it is worked out once.
  void by_lookups(int64_t filter, const Span& channels) {
    const int64_t first = filter * a_.channels + channels.begin, count = channels.size();
    const Slot* slot = static_cast<const Slot*>(a_.slot) + first;
    const C* factor = a_.factor ? static_cast<const C*>(a_.factor) + first : nullptr;
    sums_.assign(count, C(0));
    found_.resize(count);
    int32_t outside = 0;
    for (int64_t c = 0; c < count; ++c) {
      found_[c] = samples_[slot[c]] + (channels.begin + c - first_) * a_.pre_channel;
      outside |= int32_t(slot[c] == a_.slots);
    }
    for (const Value& v : values_)
      for (int64_t c = 0; c < count; ++c) sums_[c] = sums_[c] + met(v.value, sample_value<H, C>(found_[c][v.item], 1));
    if (outside)
      for (int64_t c = 0; c < count; ++c)
        if (slot[c] == a_.slots) sums_[c] = sum({filter, channels.begin + c, 0, 0}, int32_t(a_.slots));
    T* out = static_cast<T*>(a_.out) + first;
    const C scale = C(a_.scale);
    for (int64_t c = 0; c < count; ++c) out[c] = store<T>((factor ? sums_[c] * factor[c] : sums_[c]) * scale);
  }

  C sum(const Synapse& s, int32_t age) const {
    const bool outside = age == a_.slots;
    const H* samples = samples_[outside ? 0 : age] + (s.channel - first_) * a_.pre_channel;
    C sum = 0;
    for (const Value& v : values_) {
      int64_t at = v.item;
      if (image_) {
        const int64_t y = pixel_of(a_.rows, v.row, s.row), x = pixel_of(a_.columns, v.column, s.column);
        if (y < 0 || x < 0) continue;
        at += y * a_.rows.pixel_stride + x * a_.columns.pixel_stride;
      }
      sum = sum + met(v.value, outside ? C(a_.overbound) : sample_value<H, C>(samples[at], 1));
    }
    return sum;
  }

  const CorrelateArgs& a_;
  const int64_t first_;
  const bool image_;
  std::vector<const H*> samples_;  // the observation of each age
  std::vector<Value> values_;
  std::vector<C> sums_;
  std::vector<const H*> found_;  // where each input's samples of a delay begin
};

}  // namespace
}  // namespace inferno
