// One term of a delayed sum: a weight times a sample of the past.
#pragma once
#include "core/args.h"
#include "core/history.h"

namespace inferno {

template <class C>
struct Tap {
  C weight;     // with the decay since the sample
  C blend;      // from the sample towards the next newer one; 0: none
  int32_t age;  // of the sample; the number of slots where the delay is out of range
};

// The tap of a synapse, which is its place in weight, slot and factor.
template <class T, class Slot, class C = Compute<T>>
INFERNO_HD Tap<C> tap_of(const DelayedSumArgs& a, int64_t synapse) {
  const C weight = load(static_cast<const T*>(a.weight)[synapse]);
  const int32_t age = int32_t(static_cast<const Slot*>(a.slot)[synapse]);
  const C factor = a.factor ? static_cast<const C*>(a.factor)[synapse] : C(a.linear ? 0 : 1);
  if (a.linear) return {weight, factor > C(0) ? factor : C(0), age};
  return {weight * factor, C(0), age};
}

// The sample of an age, `element` after the first of its slot; `newest` is a slot.
template <class T, class C = Compute<T>>
INFERNO_HD C sample_at(const DelayedSumArgs& a, int64_t newest, int32_t age, int64_t element) {
  if (age == a.ring.slots) return C(a.overbound);
  const int64_t from = slot_of_age(newest, age, a.ring.slots) * a.ring.slot_stride + element;
  if (a.bool_history) return sample_value<Bool, C>(static_cast<const Bool*>(a.data)[from], a.scale);
  return load(static_cast<const T*>(a.data)[from]);
}

// The places along an axis of the image whose tap, `offset` pixels after the first, is inside: [begin, end).
struct Places {
  int64_t begin, end;
};

INFERNO_HD int64_t ceil_divide(int64_t a, int64_t b) { return a > 0 ? (a + b - 1) / b : a / b; }

INFERNO_HD Places places_inside(const ConvAxis& axis, int64_t tap) {
  const int64_t first = tap * axis.dilation - axis.padding;  // pixel at place 0
  const int64_t begin = ceil_divide(-first, axis.stride), end = ceil_divide(axis.input - first, axis.stride);
  return {begin > 0 ? begin : 0, end < axis.output ? end : axis.output};
}

}  // namespace inferno
