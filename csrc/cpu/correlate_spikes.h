// Correlations led by the values of inputs at every age that are not 0.
#pragma once
#include "cpu/correlate_values.h"
#include "cpu/leads.h"
#include "cpu/spike_lists.h"
#include "cpu/spike_words.h"

namespace inferno {
namespace {

// What a dense map's inputs sent, found by input and age; with delays that find one value each, of which there are few.
template <class P, class H, class T, class Slot>
class FromLeads {
  using C = Compute<T>;

 public:
  explicit FromLeads(const CorrelateArgs& a) : a_(a) {}

  static bool takes(const CorrelateArgs& a) {
    const bool one_each = !a.slot || (a.overbound == 0 && !(a.linear && a.factor));
    return one_each && !a.direct && !is_image(a);
  }

  // False, with nothing computed, if there are fewer than so many samples to a value.
  bool run(const Span& channels, const Span& filters, int64_t fewest = 0) {
    if (!leads_.find(a_, channels, fewest)) return false;
    if (!leads_.finite()) return false;
    collect(filters);
    // as many channels at a time as the first cache has room for
    const int64_t tile = std::max(tile_keys / (a_.slots + 1), int64_t(1));
    for (int64_t begin = channels.begin; begin < channels.end; begin += tile)
      for (int64_t f = 0; f < filters.size(); ++f) {
        const Span some{begin, std::min(begin + tile, channels.end)};
        const C* values = values_.data() + f * (a_.batch + 1);
        a_.slot ? row(filters.begin + f, some, values, static_cast<const Slot*>(a_.slot))
                : row(filters.begin + f, some, values, Newest{});
      }
    return true;
  }

 private:
  struct Newest {
    int64_t operator[](int64_t) const { return 0; }
  };

  // Of each output its values, and a 0.
  void collect(const Span& filters) {
    values_.assign(filters.size() * (a_.batch + 1), C(0));
    C* values = values_.data();
    for (int64_t f = filters.begin; f < filters.end; ++f, values += a_.batch + 1) {
      const P* post = static_cast<const P*>(a_.post) + f * a_.post_filter;
      for (int64_t b = 0; b < a_.batch; ++b) values[b] = sample_value<P, C>(post[b * a_.post_batch], 1);
    }
  }

  // Most synapses find no value or one, and neither takes a branch: values are finite, so that times 0 they are
  // nothing.
  template <class Ages>
  void row(int64_t filter, const Span& channels, const C* values, const Ages& ages) {
    const int64_t first = filter * a_.channels, per_channel = a_.slots + 1;
    const int32_t* leads = leads_.leads();
    const C scale = C(a_.scale);
    sums_.resize(channels.size());
    C* sums = sums_.data();
    int64_t base = leads_.key(0, channels.begin);
    for (int64_t c = 0; c < channels.size(); ++c, base += per_channel) {
      const int64_t key = base + int64_t(ages[first + channels.begin + c]);
      const int32_t lead = leads[key];
      if (lead < 0)
        sums[c] = sum_of(key, values);
      else
        sums[c] = Leads<H, C>::spikes ? C(0) + values[lead] : C(0) + values[lead] * leads_.value(key);
    }
    T* out = static_cast<T*>(a_.out) + first + channels.begin;
    const C* factor = a_.factor ? static_cast<const C*>(a_.factor) + first + channels.begin : nullptr;
    if (factor)
      for (int64_t c = 0; c < channels.size(); ++c) sums[c] = sums[c] * factor[c];
    for (int64_t c = 0; c < channels.size(); ++c) out[c] = store<T>(sums[c] * scale);
  }

  __attribute__((noinline)) C sum_of(int64_t key, const C* values) const {
    C sum = 0;
    leads_.each(key, [&](int32_t item, C value) { sum = sum + met(values[item], value); });
    return sum;
  }

  static constexpr int64_t tile_keys = 4096 / (Leads<H, C>::spikes ? 1 : 2);
  const CorrelateArgs& a_;
  Leads<H, C> leads_;
  std::vector<C> values_;
  std::vector<C> sums_;
};

// The spikes that a dense map's inputs sent, a word for every input and age: of small batches, with delays that find
// one sample each.
template <class T, class Slot>
class FromWords {
  using C = Compute<T>;

 public:
  explicit FromWords(const CorrelateArgs& a) : a_(a) {}

  static bool takes(const CorrelateArgs& a) {
    const bool one_each = a.slot && a.overbound == 0 && !(a.linear && a.factor);
    return one_each && !a.direct && !is_image(a) && a.batch <= SpikeWords::most;
  }

  void run(const Span& channels, const Span& filters) {
    const Ring ring{a_.slots, a_.batch, a_.channels, a_.pre_slot, a_.pre_batch, a_.pre_channel, a_.pointer};
    const auto* pre = static_cast<const uint8_t*>(a_.pre) + channels.begin * a_.pre_channel;
    words_.find(pre, ring, a_.batch, channels.size(), 1);
    for (int64_t c = 0; c < channels.size(); c += SpikeWords::tile)
      for (int64_t f = filters.begin; f < filters.end; ++f)
        row(f, f * a_.channels + channels.begin + c, c, std::min(SpikeWords::tile, channels.size() - c));
  }

 private:
  void row(int64_t filter, int64_t first, int64_t channel, int64_t count) {
    const T* post = static_cast<const T*>(a_.post) + filter * a_.post_filter;
    C values[SpikeWords::most];
    for (int64_t b = 0; b < a_.batch; ++b) values[b] = load(post[b * a_.post_batch]);
    const Slot* slot = static_cast<const Slot*>(a_.slot) + first;
    ask_for_next(slot, a_.channels, count);
    hits_.find(words_.of_tile(channel), slot, count);
    std::fill_n(sums_, count, C(0));
    for (int32_t k = 0; k < hits_.count; ++k) {
      C sum = 0;
      each_bit(hits_.word[k], [&](int b) { sum = sum + values[b]; });
      sums_[hits_.input[k]] = sum;
    }
    if (a_.factor) {
      const C* factor = static_cast<const C*>(a_.factor) + first;
      for (int64_t c = 0; c < count; ++c) sums_[c] = sums_[c] * factor[c];
    }
    T* out = static_cast<T*>(a_.out) + first;
    const C scale = C(a_.scale);
    for (int64_t c = 0; c < count; ++c) out[c] = store<T>(sums_[c] * scale);
  }

  const CorrelateArgs& a_;
  SpikeWords words_;
  Hits hits_;
  C sums_[SpikeWords::tile];
};

// A place along an axis whose tap lies on a pixel; -1 if there is none.
int64_t place_of(const ConvAxis& axis, int64_t pixel, int64_t tap) {
  const int64_t at = pixel + axis.padding - tap * axis.dilation;
  if (at < 0 || at % axis.stride != 0) return -1;
  return at / axis.stride < axis.output ? at / axis.stride : -1;
}

// Lists of the spikes of every input at every age, for every map.
template <class T, class Slot>
class FromSpikes {
  using C = Compute<T>;

 public:
  explicit FromSpikes(const CorrelateArgs& a)
      : a_(a), newest_(newest_slot(a)), image_(is_image(a)), places_(a.rows.output * a.columns.output) {}

  void run(const Span& channels, const Span& filters) {
    const Spikes spikes(a_, a_.direct ? filters : channels);
    for (int64_t filter = filters.begin; filter < filters.end; ++filter) {
      collect(filter);
      for_synapses(a_, filter, channels, [&](const Synapse& s, int64_t number) {
        put<T>(a_, number, at_delay<Slot, C>(a_, number, [&](int32_t age) { return sum(spikes, s, age); }));
      });
    }
  }

 private:
  // The values of an output, side by side.
  void collect(int64_t filter) {
    values_.clear();
    const T* post = static_cast<const T*>(a_.post) + filter * a_.post_filter;
    for (int64_t b = 0; b < a_.batch; ++b)
      for (int64_t y = 0; y < a_.rows.output; ++y)
        for (int64_t x = 0; x < a_.columns.output; ++x)
          values_.push_back(load(post[b * a_.post_batch + y * a_.post_row + x * a_.post_column]));
  }

  C sum(const Spikes& spikes, const Synapse& s, int32_t age) const {
    if (age == a_.slots) return a_.overbound == 0 ? C(0) : sum_at<T, Bool, C>(a_, s, newest_, age, Span{0, a_.batch});
    const int64_t key = spikes.key(age, s.channel);
    C sum = 0;
    for (const Pixel* p = spikes.begin(key); p < spikes.end(key); ++p) {
      int64_t at = int64_t(p->item) * places_;
      if (image_) {
        const int64_t y = place_of(a_.rows, p->row, s.row), x = place_of(a_.columns, p->column, s.column);
        if (y < 0 || x < 0) continue;
        at += y * a_.columns.output + x;
      }
      sum = sum + values_[at];
    }
    return sum;
  }

  const CorrelateArgs& a_;
  const int64_t newest_;
  const bool image_;
  const int64_t places_;
  std::vector<C> values_;
};

}  // namespace
}  // namespace inferno
