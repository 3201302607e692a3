// Correlations of the two sides of synapses. The side with fewer values that are not 0 leads: where the inputs are
// spikes and the outputs are not, lists of the spikes of every input at every age; otherwise a list of the values of an
// output. Sums run over batch and places in ascending order either way.
#include "cpu/clones.h"
#include "cpu/spike_lists.h"

namespace inferno {
namespace {

// A place along an axis whose tap lies on a pixel; -1 if there is none.
int64_t place_of(const ConvAxis& axis, int64_t pixel, int64_t tap) {
  const int64_t at = pixel + axis.padding - tap * axis.dilation;
  if (at < 0 || at % axis.stride != 0) return -1;
  return at / axis.stride < axis.output ? at / axis.stride : -1;
}

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
  }

  void run(const Span& channels, const Span& filters) {
    for (int64_t filter = filters.begin; filter < filters.end; ++filter) {
      collect(filter);
      if (values_.empty())
        clear(filter, a_.direct ? Span{filter, filter + 1} : channels);
      else if (!a_.slot && !image_ && !a_.direct && a_.pre_channel == 1)
        by_rows(filter, channels);
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
};

template <class T, class Slot>
class FromSpikes {
  using C = Compute<T>;

 public:
  explicit FromSpikes(const CorrelateArgs& a)
      : a_(a), newest_(newest_slot(a)), image_(is_image(a)), places_(a.rows.output * a.columns.output) {}

  void run(const Span& channels, const Span& filters) {
    const Spikes spikes(a_, a_.direct ? filters : channels);
    const bool by_lead = !image_ && !a_.direct && a_.slot && a_.overbound == 0 && !(a_.linear && a_.factor);
    const std::vector<int32_t> leads = by_lead ? spikes.leads(int32_t(a_.batch)) : std::vector<int32_t>();
    for (int64_t filter = filters.begin; filter < filters.end; ++filter) {
      collect(filter);
      if (!a_.slot && !a_.direct && !image_)
        by_columns(spikes, filter, channels);
      else if (by_lead)
        by_leads(spikes, leads.data(), filter, channels);
      else
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

  void by_columns(const Spikes& spikes, int64_t filter, const Span& channels) {
    T* row = static_cast<T*>(a_.out) + filter * a_.channels;
    for (int64_t c = channels.begin; c < channels.end; ++c) {
      row[c] = store<T>(sum_of(spikes, spikes.key(0, c)) * C(a_.scale));
    }
  }

  // Most synapses find no spike or one: neither takes a branch.
  void by_leads(const Spikes& spikes, const int32_t* leads, int64_t filter, const Span& channels) {
    values_.push_back(C(0));
    const int64_t first = filter * a_.channels + channels.begin;
    const Slot* slot = static_cast<const Slot*>(a_.slot) + first;
    const C* factor = a_.factor ? static_cast<const C*>(a_.factor) + first : nullptr;
    T* out = static_cast<T*>(a_.out) + first;
    const C scale = C(a_.scale);
    int64_t channel_key = 0;
    for (int64_t c = 0; c < channels.size(); ++c, channel_key += a_.slots + 1) {
      const int64_t key = channel_key + int64_t(slot[c]);
      const int32_t lead = leads[key];
      const C sum = lead >= 0 ? C(0) + values_[lead] : sum_of(spikes, key);
      out[c] = store<T>((factor ? sum * factor[c] : sum) * scale);
    }
  }

  C sum_of(const Spikes& spikes, int64_t key) const {
    C sum = 0;
    for (const Pixel* p = spikes.begin(key); p < spikes.end(key); ++p) sum = sum + values_[p->item];
    return sum;
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

constexpr int64_t packed_bytes = 160 << 10;

template <class P>
int64_t count_values(const CorrelateArgs& a, const Span& filters) {
  int64_t count = 0;
  for (int64_t b = 0; b < a.batch; ++b)
    for (int64_t f = filters.begin; f < filters.end; ++f)
      count += sample_value<P, Factor<P>>(static_cast<const P*>(a.post)[b * a.post_batch + f * a.post_filter], 1) != 0;
  return count;
}

// Many values that each look into a ring: tiles of it are copied, so that the samples of an input lie together.
template <class P, class H, class T, class Slot>
void from_packed(const CorrelateArgs& a, const Span& channels, const Span& filters) {
  const int64_t length = a.slots * a.batch;
  const int64_t tile = std::max(packed_bytes / int64_t(sizeof(H)) / length, int64_t(4));
  std::vector<H> packed(std::min(tile, channels.size()) * length);
  CorrelateArgs copy = a;
  copy.pre_slot = a.batch;
  copy.pre_batch = 1;
  copy.pre_channel = length;
  for (int64_t begin = channels.begin; begin < channels.end; begin += tile) {
    const int64_t end = std::min(begin + tile, channels.end);
    for (int64_t line = 0; line < length; ++line) {
      const H* from = static_cast<const H*>(a.pre) + line / a.batch * a.pre_slot + line % a.batch * a.pre_batch;
      for (int64_t c = begin; c < end; ++c) packed[(c - begin) * length + line] = from[c * a.pre_channel];
    }
    copy.pre = packed.data();
    FromPosts<P, H, T, Slot>(copy, begin).run({begin, end}, filters);
  }
}

template <class P, class H, class T, class Slot>
void from_posts(const CorrelateArgs& a, const Span& channels, const Span& filters) {
  const bool looks_up = a.slot && !a.direct && !is_image(a) && a.pre_batch != 1;
  if (looks_up && count_values<P>(a, filters) > 2 * a.slots * a.batch)
    return from_packed<P, H, T, Slot>(a, channels, filters);
  FromPosts<P, H, T, Slot>(a).run(channels, filters);
}

template <class T, class Slot>
void correlate(const CorrelateArgs& a, const Span& channels, const Span& filters) {
  if (a.bool_pre && !a.bool_post) return FromSpikes<T, Slot>(a).run(channels, filters);
  if (a.bool_pre) return from_posts<Bool, Bool, T, Slot>(a, channels, filters);
  a.bool_post ? from_posts<Bool, T, T, Slot>(a, channels, filters) : from_posts<T, T, T, Slot>(a, channels, filters);
}

}  // namespace

void correlate_cpu(const CorrelateArgs& a, const Span& channels, const Span& filters) {
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    a.byte_slots ? correlate<T, uint8_t>(a, channels, filters) : correlate<T, int32_t>(a, channels, filters);
  });
}

}  // namespace inferno
