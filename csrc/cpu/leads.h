// What the inputs of a dense map sent at every age, found by input and age: mostly nothing or the value of one sample.
#pragma once
#include <vector>

#include "core/plasticity.h"
#include "cpu/nonzero.h"

namespace inferno {
namespace {

template <class H, class C>
class Leads {
 public:
  static constexpr bool spikes = sizeof(H) == 1;  // their values are 1, and not kept

  // False if it is given up, because there are fewer than so many samples to a value.
  bool find(const CorrelateArgs& a, const Span& channels, int64_t fewest = 0) {
    begin_ = channels.begin;
    slots_ = a.slots;
    none_ = int32_t(a.batch);
    lead_.assign((slots_ + 1) * channels.size(), none_);
    if (!spikes) value_.assign(lead_.size(), C(0));
    const int64_t newest = newest_slot(a);
    int64_t samples = 0, values = 0;
    for (int64_t age = 0; age < slots_; ++age) {
      if (values * fewest > samples + some) return false;
      const int64_t slot = slot_of_age(newest, int32_t(age), a.slots);
      for_lines(a, channels, slot, [&](const H* line, int64_t size, int64_t stride, int64_t channel, int64_t item) {
        for_set(line, size, stride, [&](int64_t i) {
          ++values;
          add(key(age, channel < 0 ? begin_ + i : channel), int32_t(item < 0 ? i : item),
              sample_value<H, C>(line[i * stride], 1));
        });
        samples += size;
      });
    }
    return values * fewest <= samples + some;
  }

  // With a last one for each channel, without values, which is that of delays out of range.
  int64_t key(int64_t age, int64_t channel) const { return (channel - begin_) * (slots_ + 1) + age; }

  // Of every key the only sample with a value; the size of the batch without one; below 0 where there are more.
  const int32_t* leads() const { return lead_.data(); }
  C value(int64_t key) const {
    if constexpr (spikes)
      return C(1);
    else
      return value_[key];
  }

  bool finite() const {
    for (const C value : value_)
      if (value - value != C(0)) return false;
    for (const More& more : more_)
      if (more.value - more.value != C(0)) return false;
    return true;
  }

  // Calls f with sample and value, ascending.
  template <class F>
  INFERNO_HD void each(int64_t key, F&& f) const {
    const int32_t lead = lead_[key];
    if (lead == none_) return;
    if (lead >= 0) return f(lead, value(key));
    for (int32_t n = ~lead; n >= 0; n = more_[n].next) f(more_[n].item, more_[n].value);
  }

 private:
  struct More {
    int32_t item, next;  // next: -1 after the last
    C value;
  };

  // Lines of values that lie together: of a sample or of a channel, the other is -1. Later samples first.
  template <class F>
  static void for_lines(const CorrelateArgs& a, const Span& channels, int64_t slot, F&& f) {
    const H* from = static_cast<const H*>(a.pre) + slot * a.pre_slot;
    if (a.pre_batch == 1 && a.pre_channel != 1)
      for (int64_t c = channels.begin; c < channels.end; ++c)
        f(from + c * a.pre_channel, a.batch, int64_t(1), c, int64_t(-1));
    else
      for (int64_t b = a.batch - 1; b >= 0; --b)
        f(from + b * a.pre_batch + channels.begin * a.pre_channel, channels.size(), a.pre_channel, int64_t(-1), b);
  }

  void add(int64_t key, int32_t item, C value) {
    int32_t& lead = lead_[key];
    if (lead == none_) {
      lead = item;
      if constexpr (!spikes) value_[key] = value;
      return;
    }
    if (lead >= 0) chain(lead, lead, -1, this->value(key));
    chain(lead, item, ~lead, value);
  }

  void chain(int32_t& lead, int32_t item, int32_t next, C value) {
    more_.push_back({item, next, value});
    lead = ~int32_t(more_.size() - 1);
  }

  static constexpr int64_t some = 1024;  // values, which do not tell how many there will be
  int64_t begin_ = 0, slots_ = 0;
  int32_t none_ = 0;
  std::vector<int32_t> lead_;  // of each key; ~ of the first among more_
  std::vector<C> value_;
  std::vector<More> more_;
};

}  // namespace
}  // namespace inferno
