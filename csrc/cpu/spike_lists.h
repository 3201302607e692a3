// The spikes of inputs at every age, listed.
#pragma once
#include <algorithm>
#include <cstring>
#include <vector>

#include "core/plasticity.h"

namespace inferno {
namespace {

struct Pixel {
  int32_t item, row, column;
};

bool is_image(const CorrelateArgs& a) { return a.rows.input * a.columns.input * a.rows.output * a.columns.output != 1; }

// The spikes of some channels, by age and channel, in ascending order of sample, row and column.
class Spikes {
 public:
  Spikes(const CorrelateArgs& a, const Span& channels)
      : channels_(channels), slots_(a.slots), starts_((a.slots + 1) * channels.size() + 2, 0) {
    const int64_t newest = newest_slot(a);
    for (int64_t age = 0; age < a.slots; ++age)
      scan(a, age, static_cast<const uint8_t*>(a.pre) + slot_of_age(newest, int32_t(age), a.slots) * a.pre_slot);
    for (size_t key = 1; key < starts_.size(); ++key) starts_[key] += starts_[key - 1];
    sorted_.resize(found_.size());
    for (const Found& found : found_) sorted_[starts_[found.key + 1]++] = found.pixel;
  }

  // With a last one for each channel, without spikes, which is that of delays out of range.
  int64_t key(int64_t age, int64_t channel) const { return (channel - channels_.begin) * (slots_ + 1) + age; }

  // Of each key the first sample that spikes; `none` without one, and below 0 where there are more.
  std::vector<int32_t> leads(int32_t none) const {
    std::vector<int32_t> leads((slots_ + 1) * channels_.size());
    for (size_t key = 0; key < leads.size(); ++key) {
      const int32_t count = starts_[key + 1] - starts_[key];
      leads[key] = count == 0 ? none : count == 1 ? sorted_[starts_[key]].item : -1;
    }
    return leads;
  }

  const Pixel* begin(int64_t key) const { return sorted_.data() + starts_[key]; }
  const Pixel* end(int64_t key) const { return sorted_.data() + starts_[key + 1]; }

 private:
  struct Found {
    int32_t key;
    Pixel pixel;
  };

  void add(int64_t age, int64_t channel, int64_t item, int64_t row, int64_t column) {
    found_.push_back({int32_t(key(age, channel)), {int32_t(item), int32_t(row), int32_t(column)}});
    ++starts_[found_.back().key + 2];
  }

  void scan(const CorrelateArgs& a, int64_t age, const uint8_t* from) {
    if (is_image(a)) return scan_image(a, age, from);
    // whichever of channel and sample lies together in memory is innermost; either way samples ascend for each channel
    const bool by_item = a.pre_batch == 1 && a.pre_channel != 1;
    const Span outer = by_item ? channels_ : Span{0, a.batch}, inner = by_item ? Span{0, a.batch} : channels_;
    const int64_t outer_stride = by_item ? a.pre_channel : a.pre_batch;
    const int64_t inner_stride = by_item ? a.pre_batch : a.pre_channel;
    for (int64_t o = outer.begin; o < outer.end; ++o)
      for_set(from + o * outer_stride, inner, inner_stride,
              [&](int64_t i) { by_item ? add(age, o, i, 0, 0) : add(age, i, o, 0, 0); });
  }

  void scan_image(const CorrelateArgs& a, int64_t age, const uint8_t* from) {
    for (int64_t c = channels_.begin; c < channels_.end; ++c)
      for (int64_t b = 0; b < a.batch; ++b)
        for (int64_t y = 0; y < a.rows.input; ++y)
          for_set(from + c * a.pre_channel + b * a.pre_batch + y * a.rows.pixel_stride, {0, a.columns.input},
                  a.columns.pixel_stride, [&](int64_t x) { add(age, c, b, y, x); });
  }

  // Calls f with every place of a line that is not 0, eight zeros at a time.
  template <class F>
  static void for_set(const uint8_t* line, const Span& span, int64_t stride, F&& f) {
    int64_t i = span.begin;
    while (i < span.end) {
      uint64_t eight = 1;
      if (stride == 1 && i + 8 <= span.end) memcpy(&eight, line + i, 8);
      const int64_t end = std::min(i + 8, span.end);
      if (eight)
        for (int64_t k = i; k < end; ++k)
          if (line[k * stride]) f(k);
      i = end;
    }
  }

  const Span channels_;
  const int64_t slots_;
  std::vector<int32_t> starts_;  // of each key in the sorted ones; the last is their end
  std::vector<Found> found_;
  std::vector<Pixel> sorted_;
};

}  // namespace
}  // namespace inferno
