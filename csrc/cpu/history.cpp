#include "core/history.h"

#include <algorithm>

#include "core/args.h"
#include "cpu/clones.h"

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

constexpr int64_t block = 64;

// Lookups side by side, so that the arithmetic is vectorised; only the samples themselves are fetched one by one.
struct Lookups {
  double time[block];
  int32_t older[block], newer[block], picked[block], inside[block];
  double factor[block];
};

INFERNO_CLONES void locate(const TimeGrid& grid, int64_t count, Lookups& l) {
  const TimeGrid g = grid;
  for (int64_t i = 0; i < count; ++i) {
    const Lookup at = lookup(l.time[i], g);
    l.older[i] = at.older;
    l.newer[i] = at.newer;
    l.inside[i] = at.inside;
    l.factor[i] = at.blend;
  }
  for (int64_t i = 0; i < count; ++i) l.picked[i] = picked_age({l.older[i], l.newer[i], l.factor[i], 0}, g.mode);
  if (g.mode == Interp::expdecay)
    for (int64_t i = 0; i < count; ++i) l.factor[i] = decay_since_older({l.older[i], l.newer[i], l.factor[i], 0}, g);
}

template <class T, class Time>
void gather(const HistoryGatherArgs& a, int64_t begin, int64_t end) {
  const Ring& ring = a.ring;
  const T* data = static_cast<const T*>(a.data);
  const Time* time = static_cast<const Time*>(a.time);
  T* out = static_cast<T*>(a.out);
  const int64_t newest = ring_slot(*ring.pointer, a.offset, ring.slots);
  int64_t b = begin / (ring.rest * a.depth), r = begin / a.depth % ring.rest, d = begin % a.depth;
  Lookups l;
  const T* samples[block];
  for (int64_t i = begin; i < end; i += block) {
    const int64_t count = std::min(block, end - i);
    for (int64_t j = 0; j < count; ++j) {
      l.time[j] = time[b * a.time_batch_stride + r * a.time_rest_stride + d * a.time_depth_stride];
      samples[j] = data + b * ring.batch_stride + r * ring.rest_stride;
      if (++d < a.depth) continue;
      d = 0;
      if (++r < ring.rest) continue;
      r = 0;
      ++b;
    }
    locate(a.grid, count, l);
    for (int64_t j = 0; j < count; ++j) {
      const T older = samples[j][slot_of_age(newest, l.picked[j], ring.slots) * ring.slot_stride];
      const T newer = samples[j][slot_of_age(newest, l.newer[j], ring.slots) * ring.slot_stride];
      const T value = combine(older, newer, l.older[j] != l.newer[j], l.factor[j], a.grid.mode);
      const T known = a.clamp || l.inside[j] ? value : outside_value<T>(a.overbound);
      out[i + j] = l.time[j] == l.time[j] ? known : outside_value<T>(l.time[j]);
    }
  }
}

template <class F, class Slot>
void plan(const DelayPlanArgs& a, int64_t begin, int64_t end) {
  const F* delay = static_cast<const F*>(a.delay);
  F* factor = static_cast<F*>(a.factor);
  Slot* slot = static_cast<Slot*>(a.slot);
  const bool computes = a.grid.mode == Interp::linear || a.grid.mode == Interp::expdecay;
  const double outside = a.grid.mode == Interp::linear ? 0 : 1;
  Lookups l;
  for (int64_t i = begin; i < end; i += block) {
    const int64_t count = std::min(block, end - i);
    for (int64_t j = 0; j < count; ++j) l.time[j] = delay[i + j];
    locate(a.grid, count, l);
    for (int64_t j = 0; j < count; ++j) {
      const bool found = a.clamp || l.inside[j];
      slot[i + j] = Slot(found ? l.picked[j] : a.slots);
      factor[i + j] = F(computes && found ? l.factor[j] : outside);
    }
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
  dispatch_sample(a.type, [&](auto sample) {
    using T = decltype(sample);
    a.time_type == Scalar::f64 ? gather<T, double>(a, begin, end) : gather<T, float>(a, begin, end);
  });
}

void delay_plan_cpu(const DelayPlanArgs& a, int64_t begin, int64_t end) {
  if (a.type == Scalar::f64)
    a.byte_slots ? plan<double, uint8_t>(a, begin, end) : plan<double, int32_t>(a, begin, end);
  else
    a.byte_slots ? plan<float, uint8_t>(a, begin, end) : plan<float, int32_t>(a, begin, end);
}

}  // namespace inferno
