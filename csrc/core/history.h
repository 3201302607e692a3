// Where, in a ring of recorded samples, the value at a time in the past is found.
#pragma once
#include "core/args.h"
#include "core/exp.h"
#include "core/scalar.h"

namespace inferno {

// Times of float32 are looked up in float32, as long as it counts the samples exactly and with room to spare.
constexpr int64_t float_ages = 1 << 20;

template <class Time>
INFERNO_HD bool in_double(const TimeGrid& g) {
  return sizeof(Time) == sizeof(double) || g.max_age >= float_ages;
}

template <class C>
struct Lookup {
  int32_t older, newer;  // ages of the two samples around the time; equal on the grid
  C blend;               // 0 at the older sample, towards 1 at the newer
  int32_t inside;        // whether the time was within [0, max_time], up to rounding
};

template <class C>
INFERNO_HD Lookup<C> lookup(C time, const TimeGrid& g) {
  const C dt = C(g.dt), end = C(g.max_time), tolerance = C(g.tolerance), last = C(g.max_age);
  C t = time < end ? time : end;
  t = t > 0 ? t : 0;
  // Of t: a time below 0 is inside within the tolerance alone, since its own rounding is far smaller than itself.
  const C rounding = C(2 * g.eps) * t;
  const C slack = rounding > tolerance ? rounding : tolerance;
  const int32_t inside = int32_t(time >= -slack) & int32_t(time <= end + slack);
  // Bounded first, so that the ages are; in flags and sums, so that compilers vectorise it without a branch.
  C steps = t / dt;
  steps = steps < last ? steps : last;
  const C nearest = round_even(steps);
  const C off = nearest * dt - t;
  const int32_t off_grid = int32_t(!((off < 0 ? -off : off) <= slack));
  const int32_t after = off_grid & int32_t(nearest < steps);
  const int32_t before = off_grid & int32_t(nearest > steps);
  const C below = nearest > steps ? nearest - 1 : nearest;
  const int32_t age = int32_t(nearest);
  return {age + after, age - before, (after | before) ? 1 - (steps - below) : 0, inside};
}

// What multiplies the older sample is exp of this: 1 for a blend of 0.
template <class C>
INFERNO_HD C decay_exponent(C blend, double dt, double time_constant) {
  return -(C(dt) * blend) / C(time_constant);
}

template <class F, class C>
INFERNO_HD F decay_since_older(const Lookup<C>& at, const TimeGrid& g) {
  return exp_portable(F(decay_exponent(at.blend, g.dt, g.time_constant)));
}

// The age of the sample that a mode without arithmetic picks.
template <class C>
INFERNO_HD int32_t picked_age(const Lookup<C>& at, Interp mode) {
  const int32_t take_newer =
      int32_t(mode == Interp::next) | (int32_t(mode == Interp::nearest) & int32_t(at.blend > C(0.5)));
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

// The type of what samples of a type are multiplied with.
template <class T>
struct FactorOf {
  using type = Compute<T>;
};
template <>
struct FactorOf<Bool> {
  using type = float;
};
template <class T>
using Factor = typename FactorOf<T>::type;

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
template <class T, class C>
INFERNO_HD T gather_one(const T* samples, C time, int64_t newest, const HistoryGatherArgs& a) {
  if (time != time) return outside_value<T>(time);
  const Lookup<C> at = lookup(time, a.grid);
  if (!(a.clamp | at.inside)) return outside_value<T>(a.overbound);
  const int64_t older = slot_of_age(newest, picked_age(at, a.grid.mode), a.ring.slots);
  const int64_t newer = slot_of_age(newest, at.newer, a.ring.slots);
  const Factor<T> factor =
      a.grid.mode == Interp::expdecay ? decay_since_older<Factor<T>>(at, a.grid) : Factor<T>(at.blend);
  return combine(samples[older * a.ring.slot_stride], samples[newer * a.ring.slot_stride], at.older != at.newer, factor,
                 a.grid.mode);
}

// The age at which a synapse's sample is found, or `slots` where its delay is out of range, and its factor.
template <class C, class F>
INFERNO_HD int64_t plan_one(F delay, const DelayPlanArgs& a, F& factor) {
  const Lookup<C> at = lookup(C(delay), a.grid);
  const int32_t found = int32_t(a.clamp) | at.inside;
  factor = 1;
  if (a.grid.mode == Interp::expdecay) factor = found ? decay_since_older<F>(at, a.grid) : F(1);
  if (a.grid.mode == Interp::linear) factor = found ? F(at.blend) : F(0);
  return found ? picked_age(at, a.grid.mode) : a.slots;
}

}  // namespace inferno
