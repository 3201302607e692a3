// Where, in a ring of recorded samples, the value at a time in the past is found.
#pragma once
#include "core/args.h"
#include "core/exp.h"
#include "core/scalar.h"

namespace inferno {

struct Lookup {
  int32_t older, newer;  // ages of the two samples around the time; equal on the grid
  double blend;          // 0 at the older sample, towards 1 at the newer
  int32_t inside;        // whether the time was within [0, max_time], up to rounding
};

INFERNO_HD Lookup lookup(double time, const TimeGrid& g) {
  double t = time < g.max_time ? time : g.max_time;
  t = t > 0 ? t : 0;
  // Of t: a time below 0 is inside within the tolerance alone, since its own rounding is far smaller than itself.
  const double rounding = 2 * g.eps * t;
  const double slack = rounding > g.tolerance ? rounding : g.tolerance;
  const int32_t inside = int32_t(time >= -slack) & int32_t(time <= g.max_time + slack);
  // Bounded first, so that the ages are; in flags and sums, so that compilers vectorise it without a branch.
  const double last = double(g.max_age);
  double steps = t / g.dt;
  steps = steps < last ? steps : last;
  const double nearest = round_even(steps);
  const double off = nearest * g.dt - t;
  const int32_t off_grid = int32_t(!((off < 0 ? -off : off) <= slack));
  const int32_t after = off_grid & int32_t(nearest < steps);
  const int32_t before = off_grid & int32_t(nearest > steps);
  const double below = nearest > steps ? nearest - 1 : nearest;
  const int32_t age = int32_t(nearest);
  return {age + after, age - before, (after | before) ? 1.0 - (steps - below) : 0.0, inside};
}

// What multiplies the older sample is exp of this: 1 for a blend of 0.
INFERNO_HD double decay_exponent(double blend, const TimeGrid& g) { return -(g.dt * blend) / g.time_constant; }

// Whether exp_polynomial takes every exponent, as blends are at most 1: ln(2) / 2 is above 0.346.
INFERNO_HD bool decay_is_polynomial(const TimeGrid& g) { return g.dt <= 0.346 * g.time_constant; }

INFERNO_HD double decay_since_older(const Lookup& at, const TimeGrid& g) {
  return exp_portable(decay_exponent(at.blend, g));
}

// The age of the sample that a mode without arithmetic picks.
INFERNO_HD int32_t picked_age(const Lookup& at, Interp mode) {
  const int32_t take_newer =
      int32_t(mode == Interp::next) | (int32_t(mode == Interp::nearest) & int32_t(at.blend > 0.5));
  return take_newer ? at.newer : at.older;
}

// The slot of the sample `back` writes ago, for any pointer and any back.
INFERNO_HD int64_t ring_slot(int64_t pointer, int64_t back, int64_t slots) {
  const int64_t slot = (pointer - back) % slots;
  return slot < 0 ? slot + slots : slot;
}

// The slot of the sample of an age below `slots`, without a division or a branch; `newest` is a slot.
template <class I>
INFERNO_HD I slot_of_age(I newest, int32_t age, I slots) {
  const I slot = newest - age;
  return slot + (slots & -I(slot < 0));
}

template <class C>
INFERNO_HD C blend_linear(C older, C newer, C blend) {
  return older + (newer - older) * blend;
}

// Samples that only modes without arithmetic may pick.
struct Bool {
  uint8_t value;
};

// A recorded sample in the compute type; a bool one stands for 0 or `scale`.
template <class T, class C>
INFERNO_HD C sample_value(T sample, double) {
  return load(sample);
}
template <>
INFERNO_HD float sample_value<Bool, float>(Bool sample, double scale) {
  return sample.value ? float(scale) : 0.0f;
}
template <>
INFERNO_HD double sample_value<Bool, double>(Bool sample, double scale) {
  return sample.value ? scale : 0.0;
}

// Calls f with a value of the type that recorded samples are stored in.
template <class F>
void dispatch_sample(Scalar type, F&& f) {
  type == Scalar::boolean ? f(Bool{}) : dispatch_floating(type, f);
}

template <class T>
INFERNO_HD T outside_value(double overbound) {
  return store<T>(Compute<T>(overbound));
}
template <>
INFERNO_HD Bool outside_value<Bool>(double overbound) {
  return {uint8_t(int32_t(overbound != 0) & int32_t(overbound == overbound))};
}

// The value between two samples; `factor` is the blend (linear) or the decay since the older one (expdecay).
template <class T, class F>
INFERNO_HD T combine(T older, T newer, bool between, F factor, Interp mode) {
  using C = Compute<T>;
  if (mode == Interp::linear && between) return store<T>(blend_linear(load(older), load(newer), C(factor)));
  if (mode == Interp::expdecay) return store<T>(load(older) * C(factor));
  return older;
}
template <class F>
INFERNO_HD Bool combine(Bool older, Bool, bool, F, Interp) {
  return older;
}

// The value at `time` before the sample in slot `newest` of one element, whose samples lie ring.slot_stride apart.
template <class T>
INFERNO_HD T gather_one(const T* samples, double time, int64_t newest, const HistoryGatherArgs& a) {
  if (time != time) return outside_value<T>(time);
  const Lookup at = lookup(time, a.grid);
  if (!(a.clamp | at.inside)) return outside_value<T>(a.overbound);
  const int64_t older = slot_of_age(newest, picked_age(at, a.grid.mode), a.ring.slots);
  const int64_t newer = slot_of_age(newest, at.newer, a.ring.slots);
  const double factor = a.grid.mode == Interp::expdecay ? decay_since_older(at, a.grid) : at.blend;
  return combine(samples[older * a.ring.slot_stride], samples[newer * a.ring.slot_stride], at.older != at.newer, factor,
                 a.grid.mode);
}

// The age at which a synapse's sample is found, or `slots` where its delay is out of range, and its factor.
INFERNO_HD int64_t plan_one(double delay, const DelayPlanArgs& a, double& factor) {
  const Lookup at = lookup(delay, a.grid);
  const int32_t found = int32_t(a.clamp) | at.inside;
  factor = 1;
  if (a.grid.mode == Interp::expdecay) factor = found ? decay_since_older(at, a.grid) : 1;
  if (a.grid.mode == Interp::linear) factor = found ? at.blend : 0;
  return found ? picked_age(at, a.grid.mode) : a.slots;
}

}  // namespace inferno
