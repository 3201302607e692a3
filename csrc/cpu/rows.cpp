#include "core/rows.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace inferno {
namespace {

// Targets of parts begin..end-1.
struct Owned {
  int32_t first, last;
  bool has(int32_t target) const { return target >= first && target < last; }
};

Owned owned_by(const TargetRanges& ranges, int64_t begin, int64_t end) {
  return {int32_t(ranges.bounds[begin]), int32_t(ranges.bounds[end])};
}

// The part of a target, among begin..end-1; there are few.
int64_t part_of(const TargetRanges& ranges, int32_t target, int64_t begin, int64_t end) {
  while (begin + 1 < end && ranges.bounds[begin + 1] <= target) ++begin;
  return begin;
}

int64_t port_of(const TargetRanges& ranges, int32_t target, double weight) {
  return ranges.ports[target] > 1 && weight < 0;
}

// A synapse of the chunk and where it goes. Places are random, so they are worked out and asked for some ahead.
struct Placed {
  int64_t synapse, part, at;
};

// How many elements of a type the slots, or weights, of neighbouring synapses are apart.
template <class W>
constexpr int64_t apart = std::is_same_v<W, int16_t> ? 2 : 1;

template <class D, class W>
class Filler {
 public:
  using Total = std::conditional_t<std::is_same_v<W, double>, double, int64_t>;

  explicit Filler(const RowsFillArgs& a) : a_(a), inverse_(1 / a.quantum) {}

  void run(int64_t begin, int64_t end) {
    const Owned owned = owned_by(a_.ranges, begin, end);
    Placed placed[batch];
    int64_t count = 0;
    for (int64_t i = 0; i < a_.chunk.count; ++i) {
      if (!owned.has(a_.chunk.target[i])) continue;
      placed[count++] = place(i, part_of(a_.ranges, a_.chunk.target[i], begin, end));
      if (count < batch) continue;
      write(placed, count);
      count = 0;
    }
    write(placed, count);
  }

 private:
  static constexpr int64_t batch = 128;

  Placed place(int64_t i, int64_t part) {
    const int64_t at = a_.cursor[part * a_.ranges.neurons + a_.chunk.source[i]]++;
    const RowsTarget& to = a_.targets[part];
    __builtin_prefetch(to.slot + at * apart<W>, 1);
    __builtin_prefetch(static_cast<D*>(to.delay) + at, 1);
    if (apart<W> == 1) __builtin_prefetch(static_cast<W*>(to.weight) + at, 1);
    return {i, part, at};
  }

  void write(const Placed* placed, int64_t count) {
    for (int64_t k = 0; k < count; ++k) {
      const auto [i, part, at] = placed[k];
      const int32_t target = a_.chunk.target[i];
      const double weight = a_.chunk.weight_of(i);
      const int64_t port = port_of(a_.ranges, target, weight);
      const int64_t first = a_.ranges.bounds[part], width = a_.ranges.bounds[part + 1] - first;
      // to nearest, ties to even
      const double multiple = std::nearbyint(weight * inverse_);
      const double value = std::is_same_v<W, double> ? multiple * a_.quantum : multiple;
      static_cast<Total*>(a_.total)[port * a_.ranges.neurons + target] += Total(std::fabs(value));
      const RowsTarget& to = a_.targets[part];
      if (at >= to.count) continue;  // not a synapse that was counted; the cursor tells
      to.slot[at * apart<W>] = uint16_t(port * width + target - first);
      static_cast<D*>(to.delay)[at] = D(a_.chunk.delay[i]);
      static_cast<W*>(to.weight)[at * apart<W>] = W(value);
    }
  }

  const RowsFillArgs& a_;
  const double inverse_;
};

// Calls f with values of the types of delays and weights.
template <class F>
void dispatch_rows(bool byte_delays, WeightBits bits, F&& f) {
  const auto with_delay = [&](auto delay) {
    if (bits == WeightBits::sixteen) return f(delay, int16_t{});
    if (bits == WeightBits::thirty_two) return f(delay, int32_t{});
    f(delay, double{});
  };
  byte_delays ? with_delay(uint8_t{}) : with_delay(uint16_t{});
}

template <class D, class W>
class Sorter {
 public:
  Sorter(const RowsSortArgs& a, const RowsSegments& out) : a_(a), out_(out) {}

  void sort(int64_t source) {
    const int64_t first = a_.first[source], count = a_.first[source + 1] - first;
    const D* delay = static_cast<const D*>(a_.target.delay) + first;
    order_.resize(size_t(count));
    if (count * 4 < a_.max_delay) {
      std::iota(order_.begin(), order_.end(), 0);
      std::stable_sort(order_.begin(), order_.end(), [&](int32_t i, int32_t j) { return delay[i] < delay[j]; });
    } else {
      order_by_counting(delay, count);
    }
    int64_t segment = out_.segments[source];
    for (int64_t k = 0; k < count; ++k) {
      if (k > 0 && delay[order_[k]] == delay[order_[k - 1]]) continue;
      out_.delay[segment] = delay[order_[k]];
      out_.begin[segment++] = int32_t(first + k);
    }
    if constexpr (apart<W> == 2) {
      permute(reinterpret_cast<uint32_t*>(a_.target.slot) + first, count, both_);
    } else {
      permute(a_.target.slot + first, count, slots_);
      permute(static_cast<W*>(a_.target.weight) + first, count, weights_);
    }
  }

 private:
  void order_by_counting(const D* delay, int64_t count) {
    places_.assign(size_t(a_.max_delay) + 2, 0);
    for (int64_t k = 0; k < count; ++k) ++places_[delay[k] + 1];
    std::partial_sum(places_.begin(), places_.end(), places_.begin());
    for (int64_t k = 0; k < count; ++k) order_[places_[delay[k]]++] = int32_t(k);
  }

  template <class T>
  void permute(T* values, int64_t count, std::vector<T>& scratch) {
    scratch.assign(values, values + count);
    for (int64_t k = 0; k < count; ++k) values[k] = scratch[order_[k]];
  }

  const RowsSortArgs& a_;
  const RowsSegments& out_;
  std::vector<int32_t> order_, places_;
  std::vector<uint16_t> slots_;
  std::vector<uint32_t> both_;
  std::vector<W> weights_;
};

}  // namespace

void rows_count_cpu(const RowsCountArgs& a, int64_t begin, int64_t end) {
  const Owned owned = owned_by(a.ranges, begin, end);
  for (int64_t i = 0; i < a.chunk.count; ++i) {
    const int32_t target = a.chunk.target[i];
    if (!owned.has(target)) continue;
    ++a.counts[part_of(a.ranges, target, begin, end) * a.ranges.neurons + a.chunk.source[i]];
    ++a.degree[target];
    const double weight = a.chunk.weight_of(i), magnitude = std::fabs(weight);
    if (!a.bounded) {
      a.load[port_of(a.ranges, target, weight) * a.ranges.neurons + target] += magnitude;
    } else {
      a.load[target] += magnitude;
      a.load[a.ranges.neurons + target] += magnitude;
    }
  }
}

void rows_fill_cpu(const RowsFillArgs& a, int64_t begin, int64_t end) {
  dispatch_rows(a.byte_delays, a.bits,
                [&](auto delay, auto weight) { Filler<decltype(delay), decltype(weight)>(a).run(begin, end); });
}

void rows_count_segments_cpu(const RowsSortArgs& a, int32_t* counts, int64_t begin, int64_t end) {
  dispatch_rows(a.byte_delays, a.bits, [&](auto type, auto) {
    const auto* delay = static_cast<const decltype(type)*>(a.target.delay);
    std::vector<int64_t> last_seen(size_t(a.max_delay) + 1, -1);  // source that last had a delay
    for (int64_t source = begin; source < end; ++source) {
      int32_t segments = 0;
      for (int64_t q = a.first[source]; q < a.first[source + 1]; ++q) {
        segments += last_seen[delay[q]] != source;
        last_seen[delay[q]] = source;
      }
      counts[source] = segments;
    }
  });
}

void rows_sort_cpu(const RowsSortArgs& a, const RowsSegments& out, int64_t begin, int64_t end) {
  dispatch_rows(a.byte_delays, a.bits, [&](auto delay, auto weight) {
    Sorter<decltype(delay), decltype(weight)> sorter(a, out);
    for (int64_t source = begin; source < end; ++source) sorter.sort(source);
  });
}

}  // namespace inferno
