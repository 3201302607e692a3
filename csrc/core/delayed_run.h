// Which elements of a sequence meet in the delayed sums of its steps.
#pragma once
#include "core/delayed.h"

namespace inferno {

struct Span {
  int64_t begin, end;
  INFERNO_HD int64_t size() const { return end - begin; }
};

INFERNO_HD int64_t floor_divide(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

// One side of a map is summed over, the other is where the sums go. Forward, a place sums over the pixels under the
// kernel; the transposed map, of the gradient, has a pixel sum over the places that see it.
template <bool Transposed>
struct Side {
  INFERNO_HD static int64_t sources(const ConvAxis& axis) { return Transposed ? axis.output : axis.input; }
  INFERNO_HD static int64_t targets(const ConvAxis& axis) { return Transposed ? axis.input : axis.output; }

  // What a target finds under a tap; -1 if there is nothing.
  INFERNO_HD static int64_t source(const ConvAxis& axis, int64_t target, int64_t tap) {
    const int64_t at = Transposed ? target + axis.padding - tap * axis.dilation
                                  : target * axis.stride - axis.padding + tap * axis.dilation;
    if (Transposed && at % axis.stride != 0) return -1;
    const int64_t source = Transposed ? at / axis.stride : at;
    return at >= 0 && source < sources(axis) ? source : -1;
  }

  // All that some targets find.
  INFERNO_HD static Span reach(const ConvAxis& axis, const Span& targets) {
    const int64_t spread = (axis.kernel - 1) * axis.dilation;
    Span span{targets.begin * axis.stride - axis.padding, (targets.end - 1) * axis.stride - axis.padding + spread + 1};
    if (Transposed)
      span = {-floor_divide(-(targets.begin + axis.padding - spread), axis.stride),
              floor_divide(targets.end - 1 + axis.padding, axis.stride) + 1};
    span.begin = span.begin > 0 ? span.begin : 0;
    span.end = span.end < sources(axis) ? span.end : sources(axis);
    if (span.end < span.begin) span.end = span.begin;
    return span;
  }

  // Steps from the first source time of a target to the sample of an age.
  INFERNO_HD static int64_t steps(const DelayedRunArgs& a, int32_t age) { return Transposed ? age : a.slots - 1 - age; }

  INFERNO_HD static int64_t synapse(const DelayedRunArgs& a, int64_t target, int64_t source, int64_t tap) {
    const int64_t filter = Transposed ? source : target, channel = a.direct ? 0 : Transposed ? target : source;
    const int64_t channels = a.direct ? 1 : a.channels;
    return (filter * channels + channel) * a.rows.kernel * a.columns.kernel + tap;
  }
};

// A synapse of a sum: forward weight and blend, in the gradient the weights of the older and of the newer sample.
template <class C>
struct RunTap {
  C weight;
  C second;     // 0: the older sample alone
  int32_t age;  // of the older sample; the number of slots where the delay is out of range
};

template <class T, class Slot, bool Transposed, class C = Compute<T>>
INFERNO_HD RunTap<C> run_tap(const DelayedRunArgs& a, int64_t synapse) {
  const C weight = load(static_cast<const T*>(a.weight)[synapse]);
  const int32_t age = int32_t(static_cast<const Slot*>(a.slot)[synapse]);
  if (!a.factor) return {weight, C(0), age};
  const C factor = static_cast<const C*>(a.factor)[synapse];
  if (!a.linear) return {weight * factor, C(0), age};
  const C blend = factor > C(0) ? factor : C(0);
  if (Transposed) return {weight * (C(1) - blend), weight * blend, age};
  return {weight, blend, age};
}

}  // namespace inferno
