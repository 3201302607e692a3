#include "core/trace.h"

#include <algorithm>

#include "cpu/clones.h"

namespace inferno {
namespace {

constexpr int64_t block = 256;

// A stretch of traces, each array of which lies in one piece.
struct Lane {
  const void* obs;
  const uint8_t* mask;
  const void* newest;
  void* next;  // may be newest
};

template <class X, class C>
INFERNO_HD void find_events(const TraceArgs& a, const TraceNumbers<C>& n, const X* obs, int64_t count,
                            uint8_t* events) {
  if constexpr (sizeof(X) == 1) {
    const uint8_t at_one = trace_event(C(1), a.events, n), at_zero = trace_event(C(0), a.events, n);
    for (int64_t i = 0; i < count; ++i) events[i] = obs[i].value ? at_one : at_zero;
  } else if (a.events == TraceEvents::nonzero) {
    for (int64_t i = 0; i < count; ++i) events[i] = trace_event(load(obs[i]), TraceEvents::nonzero, n);
  } else if (a.events == TraceEvents::equal) {
    for (int64_t i = 0; i < count; ++i) events[i] = trace_event(load(obs[i]), TraceEvents::equal, n);
  } else {
    for (int64_t i = 0; i < count; ++i) events[i] = trace_event(load(obs[i]), TraceEvents::within, n);
  }
}

template <TraceKind kind, bool Scaled, class T, class X, class C>
INFERNO_HD void advance(const TraceNumbers<C>& n, const X* obs, const uint8_t* events, const T* newest, T* next,
                        int64_t count) {
  // A ring of one slot is read and written at the same place: no iteration reads what another writes.
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) {
    C value = n.amplitude;
    if constexpr (Scaled) value = trace_seen(obs[i], C(0)) * n.scale + n.amplitude;
    next[i] = store<T>(trace_next<kind>(load(newest[i]), value, events[i] != 0, n.decay));
  }
}

template <TraceKind kind, class T, class X, class C>
INFERNO_HD void advance(const TraceArgs& a, const TraceNumbers<C>& n, const X* obs, const uint8_t* events,
                        const T* newest, T* next, int64_t count) {
  a.scaled ? advance<kind, true>(n, obs, events, newest, next, count)
           : advance<kind, false>(n, obs, events, newest, next, count);
}

template <class T, class X>
INFERNO_HD void run_lane(const TraceArgs& a, const Lane& lane, int64_t count) {
  using C = Compute<T>;
  const TraceNumbers<C> n = trace_numbers<C>(a);
  uint8_t found[block];
  for (int64_t begin = 0; begin < count; begin += block) {
    const int64_t size = std::min(block, count - begin);
    const X* obs = static_cast<const X*>(lane.obs) + begin;
    const uint8_t* events = found;
    if (a.events == TraceEvents::masked)
      events = lane.mask + begin;
    else
      find_events(a, n, obs, size, found);
    const T* newest = static_cast<const T*>(lane.newest) + begin;
    T* next = static_cast<T*>(lane.next) + begin;
    dispatch_trace(a.kind, [&](auto kind) { advance<decltype(kind)::value>(a, n, obs, events, newest, next, size); });
  }
}

// Clones cannot be templates.
#define INFERNO_LANE(T)                                                                 \
  INFERNO_CLONES void lane_of(T, const TraceArgs& a, const Lane& lane, int64_t count) { \
    a.bool_obs ? run_lane<T, Bool>(a, lane, count) : run_lane<T, T>(a, lane, count);    \
  }
INFERNO_LANE(float)
INFERNO_LANE(double)
INFERNO_LANE(Half)
INFERNO_LANE(BFloat16)
#undef INFERNO_LANE

#define INFERNO_BETWEEN(T)                                                                        \
  INFERNO_CLONES void mark_between(const T* values, T low, T high, int64_t count, uint8_t* out) { \
    for (int64_t i = 0; i < count; ++i) out[i] = between(values[i], low, high);                   \
  }
INFERNO_BETWEEN(float)
INFERNO_BETWEEN(double)
#undef INFERNO_BETWEEN

template <class T>
void copy_strided(const T* from, int64_t from_stride, T* to, int64_t to_stride, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i * to_stride] = from[i * from_stride];
}

// `count` elements `stride` apart as one piece: where they lie, or copied to `buffer`.
template <class T>
const T* in_one_piece(const T* data, int64_t stride, int64_t count, T* buffer) {
  if (stride == 1) return data;
  copy_strided(data, stride, buffer, 1, count);
  return buffer;
}

// Elements [begin, begin + count) of a row that does not lie in one piece.
template <class T, class X>
void scattered(const TraceArgs& a, const T* newest, T* next, const X* obs, const uint8_t* mask, int64_t count) {
  X observed[block];
  T before[block], after[block];
  uint8_t masked[block];
  Lane lane;
  lane.obs = in_one_piece(obs, a.obs.rest_stride, count, observed);
  lane.mask = mask ? in_one_piece(mask, a.mask.rest_stride, count, masked) : nullptr;
  lane.newest = in_one_piece(newest, a.ring.rest_stride, count, before);
  lane.next = after;
  lane_of(T{}, a, lane, count);
  copy_strided(after, 1, next, a.ring.rest_stride, count);
}

template <class T, class X>
void push(const TraceArgs& a, int64_t begin, int64_t end) {
  const Ring& ring = a.ring;
  const bool masked = a.events == TraceEvents::masked;
  const bool whole = ring.rest_stride == 1 && a.obs.rest_stride == 1 && (!masked || a.mask.rest_stride == 1);
  T* const data = static_cast<T*>(a.data);
  const T* const newest = data + ring_slot(*ring.pointer, 1, ring.slots) * ring.slot_stride;
  T* const next = data + ring_slot(*ring.pointer, 0, ring.slots) * ring.slot_stride;
  const int64_t piece = whole ? end - begin : block;
  for (int64_t b = 0; b < ring.batch; ++b)
    for (int64_t r = begin; r < end; r += piece) {
      const int64_t count = std::min(piece, end - r), at = b * ring.batch_stride + r * ring.rest_stride;
      const X* obs = static_cast<const X*>(a.obs.data) + b * a.obs.batch_stride + r * a.obs.rest_stride;
      const uint8_t* mask =
          masked ? static_cast<const uint8_t*>(a.mask.data) + b * a.mask.batch_stride + r * a.mask.rest_stride
                 : nullptr;
      if (whole)
        lane_of(T{}, a, {obs, mask, newest + at, next + at}, count);
      else
        scattered(a, newest + at, next + at, obs, mask, count);
    }
}

}  // namespace

void trace_push_cpu(const TraceArgs& a, int64_t begin, int64_t end) {
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    a.bool_obs ? push<T, Bool>(a, begin, end) : push<T, T>(a, begin, end);
  });
}

void trace_advance_cpu(const TraceArgs& a) { *a.pointer = ring_slot(*a.pointer, -1, a.ring.slots); }

void between_cpu(const BetweenArgs& a) {
  if (a.type == Scalar::f64)
    mark_between(static_cast<const double*>(a.values), a.low, a.high, a.count, a.out);
  else
    mark_between(static_cast<const float*>(a.values), float(a.low), float(a.high), a.count, a.out);
}

}  // namespace inferno
