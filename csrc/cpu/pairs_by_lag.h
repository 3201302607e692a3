// The pairs of spikes of a dense map, by a table of lags.
#pragma once
#include <cmath>
#include <type_traits>

#include "cpu/lag_table.h"

namespace inferno {
namespace {

template <class T, class Slot>
class PairsByLag {
  using C = Compute<T>;

 public:
  PairsByLag(const SpikePairArgs& p, const Span& channels, const Span& filters)
      : p_(p), a_(p.sides), channels_(channels), filters_(filters), ages_(a_.slots + 1) {
    samples_ = std::max((a_.batch + lag_group - 1) / lag_group, int64_t(1)) * lag_group;
  }

  // False, with nothing computed, if the times are not whole numbers, or too many lags occur.
  bool run() {
    if constexpr (!std::is_same_v<T, C>) return false;
    if (a_.factor || !finite_scales() || !look_at_all() || !tabulate()) return false;
    load_posts();
    const int64_t tile = std::max(tile_times / (ages_ * samples_), int64_t(1));
    for (int64_t begin = channels_.begin; begin < channels_.end; begin += tile)
      run_tile({begin, std::min(begin + tile, channels_.end)});
    return true;
  }

 private:
  static constexpr int64_t tile_times = 24 << 10;  // in the second cache
  static constexpr int32_t most_units = 1 << 22;   // of a time: lags of three of them are exact in float32

  const C* post(int64_t b) const { return static_cast<const C*>(a_.post) + b * a_.post_batch; }
  const C* pre(int64_t slot, int64_t b) const {
    return static_cast<const C*>(a_.pre) + slot * a_.pre_slot + b * a_.pre_batch;
  }
  const C* delays(int64_t filter) const { return static_cast<const C*>(p_.delay) + filter * a_.channels; }

  bool finite_scales() const {
    const C* scale = static_cast<const C*>(p_.sample_scale);
    for (int64_t b = 0; scale && b < a_.batch; ++b)
      if (scale[b] - scale[b] != C(0)) return false;
    return true;
  }

  // `count` times from `from`, which lie `stride` apart, in one piece.
  const C* in_one_piece(const C* from, int64_t stride, int64_t count) {
    if (stride == 1) return from;
    piece_.resize(count);
    for (int64_t i = 0; i < count; ++i) piece_[i] = from[i * stride];
    return piece_.data();
  }

  bool look_at_all() {
    const C beyond = C(a_.overbound);
    if (a_.slot) look_at_times(&beyond, 1, pre_);
    for (int64_t b = 0; b < a_.batch; ++b)
      look_at_times(in_one_piece(post(b) + filters_.begin * a_.post_filter, a_.post_filter, filters_.size()),
                    filters_.size(), post_);
    for (int64_t filter = filters_.begin; p_.delay && filter < filters_.end && delay_.whole; ++filter)
      look_at_times(delays(filter) + channels_.begin, channels_.size(), delay_);
    for (int64_t slot = 0; slot < a_.slots && pre_.whole && post_.whole && delay_.whole; ++slot)
      for (int64_t b = 0; b < a_.batch; ++b)
        look_at_times(in_one_piece(pre(slot, b) + channels_.begin * a_.pre_channel, a_.pre_channel, channels_.size()),
                      channels_.size(), pre_);
    if (!p_.delay) delay_.least = delay_.most = 0;
    return pre_.whole && post_.whole && delay_.whole;
  }

  bool tabulate() {
    WholeTimes all;
    all.bits = pre_.bits | post_.bits | delay_.bits;
    shift_ = all.shift();
    for (WholeTimes* times : {&pre_, &post_, &delay_}) {
      if (times->least > times->most) times->least = times->most = 0;  // NaN all of them
      times->least >>= shift_;
      times->most >>= shift_;
      if (times->least < -most_units || times->most > most_units) return false;
    }
    const double unit = std::ldexp(1.0 / 16, shift_);
    const int64_t lowest = pre_.least - post_.most - delay_.most, highest = pre_.most - post_.least - delay_.least;
    first_ = std::max(lowest, -nothing_from(p_.before_constant, unit));
    const int64_t last = std::max(std::min(highest, nothing_from(p_.after_constant, unit)), first_);
    if (last - first_ > fewest_pairs(filters_.size() * channels_.size() * a_.batch)) return false;
    values_.resize(last - first_ + 2);
    lag_values(p_, first_, unit, values_);
    // beyond either end of the table lags count for what is at the end, which must be nothing then
    return (lowest == first_ || values_.front().before == C(0)) &&
           (highest == last || values_[last - first_].after == C(0));
  }

  // The lag from which the exponential is 0.
  static int64_t nothing_from(double constant, double unit) {
    return int64_t(std::min(-double(ExpFormat<C>::lowest) * constant / unit + 2, double(1 << 28)));
  }

  // A table costs as much as this many of its values.
  static int64_t fewest_pairs(int64_t pairs) { return pairs / 4; }

  // What is added to the time of an input; with that of no spike, on either side, a lag comes out behind the last one.
  void load_posts() {
    posts_.assign(filters_.size() * samples_, no_time);
    std::vector<int32_t> whole(filters_.size());
    for (int64_t b = 0; b < a_.batch; ++b) {
      const C* from = in_one_piece(post(b) + filters_.begin * a_.post_filter, a_.post_filter, filters_.size());
      whole_times(from, filters_.size(), shift_, whole.data());
      for (int64_t f = 0; f < filters_.size(); ++f)
        posts_[f * samples_ + b] = whole[f] == no_time ? no_time : int32_t(-whole[f] - first_);
    }
    if (!p_.sample_scale) return;
    scales_.assign(samples_, C(0));
    std::copy_n(static_cast<const C*>(p_.sample_scale), a_.batch, scales_.begin());
  }

  // The times of some inputs, those of a synapse side by side; with those of a delay out of range.
  void load_tile(const Span& channels) {
    const int64_t count = channels.size(), newest = newest_slot(a_);
    tile_.assign(count * ages_ * samples_, no_time);
    whole_.resize(std::max(count, samples_));
    for (int64_t age = 0; age < a_.slots; ++age)
      for (int64_t b = 0; b < a_.batch; ++b) {
        const C* from = pre(slot_of_age(newest, int32_t(age), a_.slots), b) + channels.begin * a_.pre_channel;
        whole_times(in_one_piece(from, a_.pre_channel, count), count, shift_, whole_.data());
        int32_t* to = tile_.data() + age * samples_ + b;
        for (int64_t c = 0; c < count; ++c) to[c * ages_ * samples_] = whole_[c];
      }
    int32_t beyond = 0;
    const C overbound = C(a_.overbound);
    whole_times(&overbound, 1, shift_, &beyond);
    for (int64_t c = 0; c < count; ++c) std::fill_n(&tile_[((c + 1) * ages_ - 1) * samples_], a_.batch, beyond);
  }

  void run_tile(const Span& channels) {
    load_tile(channels);
    const int64_t count = channels.size();
    std::vector<int32_t> age(count, 0), delay(count, 0);
    std::vector<C> after(count), before(count);
    for (int64_t filter = filters_.begin; filter < filters_.end; ++filter) {
      const int64_t first = filter * a_.channels + channels.begin;
      if (a_.slot)
        for (int64_t c = 0; c < count; ++c) age[c] = int32_t(static_cast<const Slot*>(a_.slot)[first + c]);
      if (p_.delay) whole_times(delays(filter) + channels.begin, count, shift_, delay.data());
      const LagRow<C> row{values_.data(),
                          int32_t(values_.size()) - 1,
                          tile_.data(),
                          ages_,
                          samples_,
                          age.data(),
                          delay.data(),
                          posts_.data() + (filter - filters_.begin) * samples_,
                          p_.sample_scale ? scales_.data() : nullptr,
                          after.data(),
                          before.data()};
      sum_lags(row, count);
      for (int64_t c = 0; c < count; ++c) put_pairs<T>(p_, first + c, PairSums<C>{after[c], before[c]});
    }
  }

  const SpikePairArgs& p_;
  const CorrelateArgs& a_;
  const Span channels_, filters_;
  const int64_t ages_;  // and one for delays out of range
  int64_t samples_, first_ = 0;
  int shift_ = 0;
  WholeTimes pre_, post_, delay_;
  std::vector<LagValue<C>> values_;
  std::vector<int32_t> posts_, tile_, whole_;
  std::vector<C> scales_, piece_;
};

}  // namespace
}  // namespace inferno
