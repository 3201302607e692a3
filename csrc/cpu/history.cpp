#include "core/history.h"

#include <algorithm>

#include "core/args.h"
#include "cpu/clones.h"

namespace inferno {
namespace {

template <class T>
void push(const HistoryPushArgs& a, int64_t begin, int64_t end) {
  const Ring& ring = a.ring;
  T* slot = static_cast<T*>(a.data) + *ring.pointer * ring.slot_stride;
  const T* obs = static_cast<const T*>(a.obs);
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

template <class T, class Time>
void gather(const HistoryGatherArgs& a, int64_t begin, int64_t end) {
  const Ring& ring = a.ring;
  const T* data = static_cast<const T*>(a.data);
  const Time* time = static_cast<const Time*>(a.time);
  T* out = static_cast<T*>(a.out);
  const int64_t newest = *ring.pointer - a.offset;
  for (int64_t i = begin; i < end; ++i) {
    const int64_t element = i / a.depth, d = i % a.depth;
    const int64_t b = element / ring.rest, r = element % ring.rest;
    const double t = time[b * a.time_batch_stride + r * a.time_rest_stride + d * a.time_depth_stride];
    const T* samples = data + b * ring.batch_stride + r * ring.rest_stride;
    out[i] = gather_one<T>(samples, t, newest, a);
  }
}

template <class F>
INFERNO_HD void plan(const DelayPlanArgs& a, int64_t begin, int64_t end) {
  const F* delay = static_cast<const F*>(a.delay);
  F* factor = static_cast<F*>(a.factor);
  for (int64_t i = begin; i < end; ++i) {
    double f;
    const int64_t slot = plan_one(delay[i], a, f);
    factor[i] = F(f);
    if (a.byte_slots)
      static_cast<uint8_t*>(a.slot)[i] = uint8_t(slot);
    else
      static_cast<int32_t*>(a.slot)[i] = int32_t(slot);
  }
}

INFERNO_CLONES void plan_f32(const DelayPlanArgs& a, int64_t begin, int64_t end) { plan<float>(a, begin, end); }
INFERNO_CLONES void plan_f64(const DelayPlanArgs& a, int64_t begin, int64_t end) { plan<double>(a, begin, end); }

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

void history_advance_cpu(const HistoryPushArgs& a) { *a.pointer = (*a.pointer + 1) % a.ring.slots; }

void history_gather_cpu(const HistoryGatherArgs& a, int64_t begin, int64_t end) {
  dispatch_sample(a.type, [&](auto sample) {
    using T = decltype(sample);
    a.time_type == Scalar::f64 ? gather<T, double>(a, begin, end) : gather<T, float>(a, begin, end);
  });
}

void delay_plan_cpu(const DelayPlanArgs& a, int64_t begin, int64_t end) {
  a.type == Scalar::f64 ? plan_f64(a, begin, end) : plan_f32(a, begin, end);
}

}  // namespace inferno
