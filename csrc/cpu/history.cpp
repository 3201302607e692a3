#include "core/history.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "core/args.h"
#include "cpu/locate.h"

namespace inferno {
namespace {

template <class T>
void push(const HistoryPushArgs& a, int64_t begin, int64_t end) {
  const Ring& ring = a.ring;
  T* slot = static_cast<T*>(a.data) + ring_slot(*ring.pointer, 0, ring.slots) * ring.slot_stride;
  const T* obs = static_cast<const T*>(a.obs);
  if (ring.rest_stride == 1 && a.obs_rest_stride == 1) {
    for (int64_t b = 0; b < ring.batch; ++b)
      std::copy_n(obs + b * a.obs_batch_stride + begin, end - begin, slot + b * ring.batch_stride + begin);
    return;
  }
  if (ring.batch_stride == 1 && a.obs_batch_stride == 1) {
    for (int64_t r = begin; r < end; ++r)
      std::copy_n(obs + r * a.obs_rest_stride, ring.batch, slot + r * ring.rest_stride);
    return;
  }
  // In blocks, because data and obs often are each other's transpose: either side then stays in the cache.
  constexpr int64_t block = 32;
  for (int64_t b0 = 0; b0 < ring.batch; b0 += block) {
    const int64_t b1 = std::min(b0 + block, ring.batch);
    for (int64_t r0 = begin; r0 < end; r0 += block) {
      const int64_t r1 = std::min(r0 + block, end);
      for (int64_t r = r0; r < r1; ++r)
        for (int64_t b = b0; b < b1; ++b)
          slot[b * ring.batch_stride + r * ring.rest_stride] = obs[b * a.obs_batch_stride + r * a.obs_rest_stride];
    }
  }
}

// A block of positions along rest and depth.
template <class Time, class Place>
struct Positions {
  int64_t count;
  Place element[located_block];  // within an observation of one item of the batch
  int64_t time[located_block];
  bool adjacent;  // whether the times follow each other in memory
  Time copy[located_block];

  // Places are those of elements `stride` apart, the first of them being `origin`.
  Positions(const HistoryGatherArgs& a, int64_t begin, int64_t end, int64_t origin, int64_t stride)
      : count(end - begin) {
    int64_t r = begin / a.depth, d = begin % a.depth;
    adjacent = true;
    for (int64_t j = 0; j < count; ++j) {
      element[j] = Place((r - origin) * stride);
      time[j] = r * a.time_rest_stride + d * a.time_depth_stride;
      adjacent &= time[j] == time[0] + j;
      if (++d < a.depth) continue;
      d = 0;
      ++r;
    }
  }

  const Time* times(const Time* from) {
    if (adjacent) return from + time[0];
    for (int64_t j = 0; j < count; ++j) copy[j] = from[time[j]];
    return copy;
  }
};

// Four at a time, because the loop itself costs as well.
template <class T, class Place>
void fetch(const T* data, const Place* at, int64_t count, T* out) {
  int64_t j = 0;
  for (; j + 4 <= count; j += 4)
    for (int64_t k = j; k < j + 4; ++k) out[k] = data[at[k]];
  for (; j < count; ++j) out[j] = data[at[j]];
}

// What no spike is as a current: as numbers multiply, so that the sign and what is beyond the type are the same.
template <class Out>
Out silent(double scale) {
  return store<Out>(Compute<Out>(scale) * 0);
}

// The samples as they are, or spikes as currents.
template <class T, class Out, class Place>
void read(const T* data, const Place* at, int64_t count, double scale, Out* out) {
  if constexpr (std::is_same_v<T, Out>) {
    fetch(data, at, count, out);
  } else {
    T samples[located_block];
    fetch(data, at, count, samples);
    const Out one = store<Out>(Compute<Out>(scale)), zero = silent<Out>(scale);
    for (int64_t j = 0; j < count; ++j) out[j] = samples[j].value ? one : zero;
  }
}

// One item of the batch: samples one by one, then the arithmetic, which is vectorised.
template <class T, class Out, class Place>
void gather_row(const HistoryGatherArgs& a, const T* data, const Factor<Out>* factor, const Place* picked,
                const Place* newer, int64_t count, Out* out) {
  read(data, picked, count, a.scale, out);
  if (a.grid.mode == Interp::expdecay)
    for (int64_t j = 0; j < count; ++j) out[j] = combine(out[j], out[j], false, factor[j], Interp::expdecay);
  if (a.grid.mode != Interp::linear) return;
  Out after[located_block];
  read(data, newer, count, a.scale, after);
  for (int64_t j = 0; j < count; ++j) out[j] = combine(out[j], after[j], factor[j] != 0, factor[j], Interp::linear);
}

template <class Out>
void subtract(const Out* from, const Out* what, int64_t count, Out* out) {
  for (int64_t j = 0; j < count; ++j) out[j] = store<Out>(load(from[j]) - load(what[j]));
}
void subtract(const Bool*, const Bool*, int64_t, Bool*) {}

// What stands where there is no value. Spikes that are read as numbers are silent where the time is none.
template <class T, class Out, class Time>
Out unknown_value(const HistoryGatherArgs& a, Time time) {
  if (time == time) return outside_value<Out>(a.overbound);
  if constexpr (std::is_same_v<T, Out>)
    return outside_value<Out>(double(time));
  else
    return silent<Out>(a.scale);
}

// A copy of all that a block of positions may look up for a few items of the batch, which are innermost in memory. In
// the ring, samples of one element often lie a multiple of 4096 bytes apart, so that they push each other out of the
// nearest cache. For each element its samples follow each other, the oldest first.
template <class T>
class Window {
 public:
  static constexpr int64_t group = 64 / sizeof(T);  // items of the batch: a line of the cache

  static bool pays(const HistoryGatherArgs& a, int64_t elements) {
    return a.ring.batch_stride == 1 && a.depth * std::min(group, a.ring.batch) >= 4 * a.ring.slots &&
           elements * a.ring.slots <= most;
  }

  void copy(const Ring& ring, const T* data, int64_t newest, int64_t first, int64_t elements, int64_t batch) {
    const int64_t count = std::min(group, ring.batch - batch);
    // to the samples that are copied next: those of the items that follow, or of the elements
    const int64_t ahead = batch + group < ring.batch ? group : elements * ring.rest_stride - batch;
    T* to = samples_;
    for (int64_t r = first; r < first + elements; ++r)
      for (int64_t age = ring.slots - 1; age >= 0; --age, to += group) {
        const T* from =
            data + slot_of_age(newest, int32_t(age), ring.slots) * ring.slot_stride + r * ring.rest_stride + batch;
        count == group ? std::memcpy(to, from, sizeof(T) * group) : std::memcpy(to, from, sizeof(T) * count);
        __builtin_prefetch(from + ahead);
      }
  }

  const T* samples() const { return samples_; }

 private:
  static constexpr int64_t most = 192;
  alignas(64) T samples_[most * group];
};

// Block by block of positions, and in each the whole batch, whose items share cache lines where they are innermost in
// memory. Times that the batch shares are located once.
template <class T, class Out, class Time, class Place>
void gather(const HistoryGatherArgs& a, int64_t begin, int64_t end) {
  const Ring& ring = a.ring;
  const bool shared = a.time_batch_stride == 0;
  const int64_t newest = ring_slot(*ring.pointer, a.offset, ring.slots);
  const int64_t minus_newest = a.minus ? ring_slot(*a.minus_pointer, a.offset, ring.slots) : newest;
  const T* const data = static_cast<const T*>(a.data);
  const T* const minus_data = static_cast<const T*>(a.minus);
  Located<Factor<Out>> l;
  Place picked[located_block], newer[located_block], minus_picked[located_block];
  Out minus[located_block];
  Window<T> window, minus_window;
  for (int64_t p = begin; p < end; p += located_block) {
    const int64_t stop = std::min(p + located_block, end), first = p / a.depth;
    const int64_t elements = (stop - 1) / a.depth - first + 1;
    const bool windowed = Window<T>::pays(a, elements);
    // the ring as a window holds it
    const Ring held{ring.slots, ring.batch, ring.rest, Window<T>::group, 1, ring.slots * Window<T>::group, nullptr};
    const Ring& from = windowed ? held : ring;
    const int64_t start = windowed ? ring.slots - 1 : newest, minus_start = windowed ? start : minus_newest;
    Positions<Time, Place> at(a, p, stop, windowed ? first : 0, from.rest_stride);
    const Time* time = nullptr;
    bool all_known = false;
    for (int64_t b = 0; b < ring.batch; ++b) {
      const int64_t item = windowed ? b % Window<T>::group : b * ring.batch_stride;
      if (windowed && item == 0) {
        window.copy(ring, data, newest, first, elements, b);
        if (a.minus) minus_window.copy(ring, minus_data, minus_newest, first, elements, b);
      }
      if (b == 0 || !shared) {
        time = at.times(static_cast<const Time*>(a.time) + b * a.time_batch_stride);
        all_known = locate(a.grid, a.clamp, time, at.count, l);
        place(from, start, l.picked, at.element, at.count, picked);
        if (a.grid.mode == Interp::linear) place(from, start, l.newer, at.element, at.count, newer);
        if (minus_start != start) place(from, minus_start, l.picked, at.element, at.count, minus_picked);
      }
      Out* out = static_cast<Out*>(a.out) + b * ring.rest * a.depth + p;
      gather_row(a, (windowed ? window.samples() : data) + item, l.factor, picked, newer, at.count, out);
      if (a.minus) {
        const T* subtracted = (windowed ? minus_window.samples() : minus_data) + item;
        const Place* places = minus_start == start ? picked : minus_picked;
        gather_row(a, subtracted, l.second, places, newer, at.count, minus);
        subtract(out, minus, at.count, out);
      }
      if (all_known) continue;
      for (int64_t j = 0; j < at.count; ++j)
        if (!l.known[j]) out[j] = unknown_value<T, Out>(a, time[j]);
    }
  }
}

template <class T, class Out, class Time>
void gather_in(const HistoryGatherArgs& a, int64_t begin, int64_t end) {
  const int64_t reach = (a.ring.slots - 1) * std::abs(a.ring.slot_stride) + a.ring.rest * std::abs(a.ring.rest_stride);
  reach < (int64_t(1) << 31) ? gather<T, Out, Time, int32_t>(a, begin, end)
                             : gather<T, Out, Time, int64_t>(a, begin, end);
}

template <class T, class Out>
void gather_as(const HistoryGatherArgs& a, int64_t begin, int64_t end) {
  a.time_type == Scalar::f64 ? gather_in<T, Out, double>(a, begin, end) : gather_in<T, Out, float>(a, begin, end);
}

template <class F, class Slot>
void plan(const DelayPlanArgs& a, int64_t begin, int64_t end) {
  const F* delay = static_cast<const F*>(a.delay);
  F* factor = static_cast<F*>(a.factor);
  Slot* slot = static_cast<Slot*>(a.slot);
  const bool computes = a.grid.mode == Interp::linear || a.grid.mode == Interp::expdecay;
  const F outside = a.grid.mode == Interp::linear ? 0 : 1;
  Located<F> l;
  for (int64_t i = begin; i < end; i += located_block) {
    const int64_t count = std::min(located_block, end - i);
    locate(a.grid, a.clamp, delay + i, count, l);
    const int32_t clamps = a.clamp;
    for (int64_t j = 0; j < count; ++j) slot[i + j] = Slot((clamps | l.known[j]) ? l.picked[j] : a.slots);
    if (computes)
      for (int64_t j = 0; j < count; ++j) factor[i + j] = (clamps | l.known[j]) ? l.factor[j] : outside;
    else
      std::fill_n(factor + i, count, outside);
  }
}

}  // namespace

void history_push_cpu(const HistoryPushArgs& a, int64_t begin, int64_t end) {
  switch (a.element_size) {
    case 1:
      return push<uint8_t>(a, begin, end);
    case 2:
      return push<uint16_t>(a, begin, end);
    case 4:
      return push<uint32_t>(a, begin, end);
    case 8:
      return push<uint64_t>(a, begin, end);
  }
}

void history_advance_cpu(const HistoryPushArgs& a) { *a.pointer = ring_slot(*a.pointer, -1, a.ring.slots); }

void history_gather_cpu(const HistoryGatherArgs& a, int64_t begin, int64_t end) {
  if (a.scaled) return dispatch_floating(a.out_type, [&](auto out) { gather_as<Bool, decltype(out)>(a, begin, end); });
  dispatch_sample(a.type, [&](auto sample) {
    using T = decltype(sample);
    gather_as<T, T>(a, begin, end);
  });
}

void delay_plan_cpu(const DelayPlanArgs& a, int64_t begin, int64_t end) {
  if (a.type == Scalar::f64)
    a.byte_slots ? plan<double, uint8_t>(a, begin, end) : plan<double, int32_t>(a, begin, end);
  else
    a.byte_slots ? plan<float, uint8_t>(a, begin, end) : plan<float, int32_t>(a, begin, end);
}

}  // namespace inferno
