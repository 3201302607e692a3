// Adds taps to a run of sums at once: the loops below every map of inputs to outputs whose history is not copied.
#pragma once
#include <algorithm>
#include <type_traits>

#include "core/delayed.h"
#include "cpu/clones.h"

namespace inferno {
namespace {

// Samples in rows: the sums lie one after another, row by row.
struct Run {
  int64_t rows, row_stride;
  int64_t columns, column_stride;
};

template <int Taps, class H, class C>
INFERNO_HD void add_row(C* __restrict sums, const H* const* from, int64_t columns, int64_t stride, const C* weight,
                        double scale) {
  const H* samples[Taps];
  C w[Taps];
  for (int t = 0; t < Taps; ++t) samples[t] = from[t], w[t] = weight[t];
#pragma GCC ivdep
  for (int64_t k = 0; k < columns; ++k) {
    C sum = sums[k];
    for (int t = 0; t < Taps; ++t) sum = sum + w[t] * sample_value<H, C>(samples[t][k * stride], scale);
    sums[k] = sum;
  }
}

// sums += weight[0] * from[0], then weight[1] * from[1] and so on.
template <int Taps, class H, class C>
INFERNO_HD void add_rows(C* sums, const H* const* from, const Run& run, const C* weight, double scale) {
  const H* at[Taps];
  for (int64_t row = 0; row < run.rows; ++row, sums += run.columns) {
    for (int t = 0; t < Taps; ++t) at[t] = from[t] + row * run.row_stride;
    if (run.column_stride == 1)
      add_row<Taps>(sums, at, run.columns, 1, weight, scale);
    else
      add_row<Taps>(sums, at, run.columns, run.column_stride, weight, scale);
  }
}

// Between two samples: sums += weight * (older + (newer - older) * blend).
template <class H, class C>
INFERNO_HD void add_blend_rows(C* sums, const H* older, const H* newer, const Run& run, C weight, C blend,
                               double scale) {
  for (int64_t row = 0; row < run.rows; ++row)
#pragma GCC ivdep
    for (int64_t k = 0; k < run.columns; ++k) {
      const int64_t at = row * run.row_stride + k * run.column_stride;
      const C z = blend_linear(sample_value<H, C>(older[at], scale), sample_value<H, C>(newer[at], scale), blend);
      C& sum = sums[row * run.columns + k];
      sum = sum + weight * z;
    }
}

constexpr int taps_at_once = 4;

#define INFERNO_ADD_TAPS(H, C)                                                                              \
  INFERNO_CLONES void add_taps(C* sums, const H* const* from, int taps, const Run& run, const C* weight,    \
                               double scale) {                                                              \
    if (taps == taps_at_once) return add_rows<taps_at_once>(sums, from, run, weight, scale);                \
    for (int t = 0; t < taps; ++t) add_rows<1>(sums, from + t, run, weight + t, scale);                     \
  }                                                                                                         \
  INFERNO_CLONES void add_blend(C* sums, const H* older, const H* newer, const Run& run, C weight, C blend, \
                                double scale) {                                                             \
    add_blend_rows(sums, older, newer, run, weight, blend, scale);                                          \
  }
INFERNO_ADD_TAPS(float, float)
INFERNO_ADD_TAPS(double, double)
INFERNO_ADD_TAPS(Half, float)
INFERNO_ADD_TAPS(BFloat16, float)
INFERNO_ADD_TAPS(Bool, float)
INFERNO_ADD_TAPS(Bool, double)
#undef INFERNO_ADD_TAPS

// The history that taps refer to; adds single taps.
template <class H, class C>
struct Samples {
  const DelayedSumArgs& a;
  int64_t newest;

  explicit Samples(const DelayedSumArgs& a) : a(a), newest(ring_slot(*a.ring.pointer, 1, a.ring.slots)) {}

  bool is_plain(const Tap<C>& tap) const { return tap.age != a.ring.slots && !(tap.blend > C(0)); }

  const H* at(int32_t age, int64_t element) const {
    return static_cast<const H*>(a.data) + slot_of_age(newest, age, a.ring.slots) * a.ring.slot_stride + element;
  }

  // `element` is that of the run's first sample in its slot. Short runs are not worth a call of a clone.
  template <bool Short = false>
  INFERNO_HD void add(C* sums, const Tap<C>& tap, int64_t element, const Run& run) const {
    if (tap.age == a.ring.slots) {
      const C term = tap.weight * C(a.overbound);
      for (int64_t k = 0; k < run.rows * run.columns; ++k) sums[k] = sums[k] + term;
      return;
    }
    const H* older = at(tap.age, element);
    const H* newer = tap.blend > C(0) ? at(tap.age - 1, element) : nullptr;
    if constexpr (Short)
      newer ? add_blend_rows(sums, older, newer, run, tap.weight, tap.blend, a.scale)
            : add_rows<1>(sums, &older, run, &tap.weight, a.scale);
    else
      newer ? add_blend(sums, older, newer, run, tap.weight, tap.blend, a.scale)
            : add_taps(sums, &older, 1, run, &tap.weight, a.scale);
  }
};

// Calls f with a value of the type in which the history of weights of type T is stored.
template <class T, class F>
void dispatch_history(const DelayedSumArgs& a, F&& f) {
  a.bool_history ? f(Bool{}) : f(T{});
}

// Calls f with values of the types of weight and slot.
template <class F>
void dispatch_synapses(const DelayedSumArgs& a, F&& f) {
  dispatch_floating(a.type, [&](auto scalar) { a.byte_slots ? f(scalar, uint8_t{}) : f(scalar, int32_t{}); });
}

}  // namespace
}  // namespace inferno
