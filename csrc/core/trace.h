// Traces: values that jump at events and decay in between. A step computes the newest trace and records it.
#pragma once
#include <type_traits>

#include "core/args.h"
#include "core/history.h"
#include "core/scalar.h"

namespace inferno {

enum class TraceKind : int32_t { cumulative, nearest, instant };

// What makes an observation an event.
enum class TraceEvents : int32_t { masked, nonzero, equal, within };

struct TraceArgs {
  TraceKind kind;
  TraceEvents events;
  Scalar type;    // of data, and of obs unless that is bool
  bool bool_obs;  // bytes 0 or 1
  bool scaled;    // whether an event adds scale * obs + amplitude, not amplitude alone
  Ring ring;
  void* data;
  int64_t* pointer;
  Plane obs;   // [batch, rest]
  Plane mask;  // the same, bytes; where the events are, if they are masked
  double decay, amplitude, target, tolerance, scale;
};

void trace_push_cpu(const TraceArgs& a, int64_t begin, int64_t end);  // positions along rest
void trace_advance_cpu(const TraceArgs& a);                           // once, after the whole push
void trace_push_cuda(const TraceArgs& a, void* stream);               // advances the pointer as well

template <class C>
struct TraceNumbers {
  C decay, amplitude, target, tolerance, scale;
};

template <class C>
INFERNO_HD TraceNumbers<C> trace_numbers(const TraceArgs& a) {
  return {C(a.decay), C(a.amplitude), C(a.target), C(a.tolerance), C(a.scale)};
}

INFERNO_HD float trace_seen(Bool obs, float) { return obs.value ? 1.0f : 0.0f; }
INFERNO_HD double trace_seen(Bool obs, double) { return obs.value ? 1.0 : 0.0; }
template <class T, class C>
INFERNO_HD C trace_seen(T obs, C) {
  return load(obs);
}

// Whether an observation is an event, unless a mask says so.
template <class C>
INFERNO_HD bool trace_event(C seen, TraceEvents events, const TraceNumbers<C>& n) {
  if (events == TraceEvents::nonzero) return seen != 0;
  if (events == TraceEvents::equal) return seen == n.target;
  const C off = seen - n.target;
  return (off < 0 ? -off : off) <= n.tolerance;
}

template <TraceKind kind, class C>
INFERNO_HD C trace_next(C newest, C value, bool event, C decay) {
  if constexpr (kind == TraceKind::instant) return event ? value : C(0);
  const C decayed = newest * decay;
  return event ? (kind == TraceKind::cumulative ? decayed + value : value) : decayed;
}

// Calls f with a constant of the kind.
template <class F>
void dispatch_trace(TraceKind kind, F&& f) {
  switch (kind) {
    case TraceKind::cumulative:
      return f(std::integral_constant<TraceKind, TraceKind::cumulative>{});
    case TraceKind::nearest:
      return f(std::integral_constant<TraceKind, TraceKind::nearest>{});
    case TraceKind::instant:
      return f(std::integral_constant<TraceKind, TraceKind::instant>{});
  }
}

// Where numbers lie between two others, as bytes: spikes that are read off what is left of refractory periods.
struct BetweenArgs {
  Scalar type;
  int64_t count;
  const void* values;  // [count], floating
  double low, high;
  uint8_t* out;  // [count]
};

void between_cpu(const BetweenArgs& a);

template <class T>
INFERNO_HD uint8_t between(T value, T low, T high) {
  return uint8_t(int(value >= low) & int(value <= high));
}

// Views the batch as part of rest, where everything is one stretch of memory in the same order.
inline void merge_batch(TraceArgs& a) {
  const int64_t rest = a.ring.rest;
  const auto merges = [rest](int64_t batch_stride, int64_t rest_stride) {
    return rest_stride == 1 && batch_stride == rest;
  };
  const bool masked = a.events == TraceEvents::masked;
  if (!merges(a.ring.batch_stride, a.ring.rest_stride) || !merges(a.obs.batch_stride, a.obs.rest_stride) ||
      (masked && !merges(a.mask.batch_stride, a.mask.rest_stride)))
    return;
  a.ring.rest *= a.ring.batch;
  a.ring.batch = 1;
}

}  // namespace inferno
