#include <type_traits>

#include "core/neuron_models.h"
#include "core/surrogate.h"
#include "cpu/clones.h"
#include "cpu/neuron_passes.h"

namespace inferno {
namespace {

template <class Law, class C>
INFERNO_HD void add_row(const AdaptationRow<C>& row, int64_t count, const C* constants, const C* now, bool first,
                        C* sum) {
  C own[Law::constants];
  for (int c = 0; c < Law::constants; ++c) own[c] = constants[c];
  const AdaptationRow<C> s = row;
  const int32_t lock = s.lock;
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) {
    const int32_t hold = lock & int32_t(s.refrac[i] > C(0)), fire = int32_t(s.code[i] > C(0));
    const C value = Law::update(now[i], hold, fire, s.voltage[i] - s.rest_v[i], own);
    sum[i] = first ? value : sum[i] + value;
  }
}

template <class Law, class C>
INFERNO_HD void pull_row(int64_t count, const C* constants, const C* gradient, C* of_spike, C* of_above_rest) {
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) {
    AdaptationPull<C> pull{of_spike[i], of_above_rest[i]};
    add_pull<Law>(gradient[i], constants, pull);
    of_spike[i] = pull.spike;
    of_above_rest[i] = pull.above_rest;
  }
}

template <class Law, class C>
INFERNO_HD void back_row(const SampleRows<C>& rows, int64_t count, int64_t batch, const C* constants, const C* before,
                         C* gradient, C* of_constants, int64_t stride) {
  C own[Law::constants];
  for (int c = 0; c < Law::constants; ++c) own[c] = constants[c];
  const SampleRows<C> s = rows;
  for (int64_t i = 0; i < count; ++i) {
    if (of_constants) {
      const SampleSums<C> sums{s.moving[i], s.fired[i], s.above_rest[i]};
      C parts[Law::constants] = {};
      Law::add_gradients(gradient[i], before[i], sums, own, parts);
      for (int c = 0; c < Law::constants; ++c) of_constants[c * stride + i] += parts[c];
    }
    gradient[i] = adaptation_adjoint<Law>(gradient[i], s.moving[i], s.acting[i], batch, own);
  }
}

constexpr int held_mark = 4;  // more than codes differ by

template <class C>
INFERNO_HD void mark_held_row(const C* refrac, bool lock, C* code, int64_t count) {
  const int32_t locks = lock;
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) code[i] += (locks & int32_t(refrac[i] > C(0))) ? C(held_mark) : C(0);
}

template <class C>
INFERNO_HD void split_held_row(const C* marked, C* code, C* moving, int64_t count) {
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) {
    const C whole = marked[i], held = whole > C(1) ? C(1) : C(0);  // 1 is the largest code
    code[i] = whole - C(held_mark) * held;
    moving[i] = C(1) - held;
  }
}

template <class C>
INFERNO_HD void count_row(const C* code, const C* moving, const C* voltage, const C* rest_v, C* fired, C* above_rest,
                          int64_t count) {
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) {
    const C above = voltage[i] - rest_v[i];
    fired[i] += code[i] > C(0) ? C(1) : C(0);
    above_rest[i] += moving[i] > C(0) ? above : C(0);
  }
}

template <class C>
INFERNO_HD void lanes_rows(C* sums, int64_t width, int64_t batch, int64_t count) {
  const int64_t lanes = batch_lanes(batch);
  for (int64_t filled = batch < lanes ? batch : lanes, half = lanes / 2; half > 0; filled = half, half /= 2)
    for (int64_t lane = half; lane < filled; ++lane) {
      const C* upper = sums + lane * width;
      C* lower = sums + (lane - half) * width;
#pragma GCC ivdep
      for (int64_t i = 0; i < count; ++i) lower[i] = lower[i] + upper[i];
    }
}

template <class S, class C>
INFERNO_HD void slope_row(const SurrogateNumbers<C>& numbers, const C* code, C* above, int64_t count) {
  const SurrogateNumbers<C> n = numbers;
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) {
    const C slope = S::slope(above[i], n);
    above[i] = code[i] < C(0) ? C(0) : slope;
  }
}

#define INFERNO_LAW(LAW, C, NAME)                                                                                \
  INFERNO_CLONES void add_##NAME(const AdaptationRow<C>& row, int64_t count, const C* constants, const C* now,   \
                                 bool first, C* sum) {                                                           \
    add_row<LAW>(row, count, constants, now, first, sum);                                                        \
  }                                                                                                              \
  INFERNO_CLONES void pull_##NAME(int64_t count, const C* constants, const C* gradient, C* of_spike,             \
                                  C* of_above_rest) {                                                            \
    pull_row<LAW>(count, constants, gradient, of_spike, of_above_rest);                                          \
  }                                                                                                              \
  void back_##NAME(const SampleRows<C>& rows, int64_t count, int64_t batch, const C* constants, const C* before, \
                   C* gradient, C* of_constants, int64_t stride) {                                               \
    back_row<LAW>(rows, count, batch, constants, before, gradient, of_constants, stride);                        \
  }                                                                                                              \
  const AdaptationPasses<C>& passes_of(LAW, C) {                                                                 \
    static constexpr AdaptationPasses<C> passes{add_##NAME, pull_##NAME, back_##NAME};                           \
    return passes;                                                                                               \
  }
INFERNO_LAW(ThresholdAdaptation, float, threshold_f32)
INFERNO_LAW(ThresholdAdaptation, double, threshold_f64)
INFERNO_LAW(CurrentAdaptation, float, current_f32)
INFERNO_LAW(CurrentAdaptation, double, current_f64)
#undef INFERNO_LAW

#define INFERNO_ROWS(C, NAME)                                                                                   \
  INFERNO_CLONES void mark_held_##NAME(const C* refrac, bool lock, C* code, int64_t count) {                    \
    mark_held_row(refrac, lock, code, count);                                                                   \
  }                                                                                                             \
  INFERNO_CLONES void split_held_##NAME(const C* marked, C* code, C* moving, int64_t count) {                   \
    split_held_row(marked, code, moving, count);                                                                \
  }                                                                                                             \
  INFERNO_CLONES void count_##NAME(const C* code, const C* moving, const C* voltage, const C* rest_v, C* fired, \
                                   C* above_rest, int64_t count) {                                              \
    count_row(code, moving, voltage, rest_v, fired, above_rest, count);                                         \
  }                                                                                                             \
  INFERNO_CLONES void lanes_##NAME(C* sums, int64_t width, int64_t batch, int64_t count) {                      \
    lanes_rows(sums, width, batch, count);                                                                      \
  }
INFERNO_ROWS(float, f32)
INFERNO_ROWS(double, f64)
#undef INFERNO_ROWS

template <class C>
const AdaptationPasses<C>& passes_of(NoAdaptation, C) {
  static constexpr AdaptationPasses<C> none{};
  return none;
}

template <class C>
const AdaptationPasses<C>& passes_of_model(NeuronModel model) {
  const AdaptationPasses<C>* passes = nullptr;
  dispatch_model<C>(model, [&](auto m) { passes = &passes_of(typename decltype(m)::Adaptation(), C()); });
  return *passes;
}

#define INFERNO_SLOPES_OF(S, C)                                                                                   \
  INFERNO_CLONES void slopes_of_##S(const SurrogateNumbers<C>& numbers, const C* code, C* above, int64_t count) { \
    slope_row<S>(numbers, code, above, count);                                                                    \
  }
#define INFERNO_SLOPES(S) INFERNO_SLOPES_OF(S, float) INFERNO_SLOPES_OF(S, double)
INFERNO_SURROGATES(INFERNO_SLOPES)
#undef INFERNO_SLOPES
#undef INFERNO_SLOPES_OF

template <class C>
void surrogate_pass_of(Surrogate surrogate, double scale, const C* code, C* above, int64_t count) {
  using Pass = void (*)(const SurrogateNumbers<C>&, const C*, C*, int64_t);
  static constexpr Pass passes[] = {
#define INFERNO_ENTRY(S) slopes_of_##S,
      INFERNO_SURROGATES(INFERNO_ENTRY)
#undef INFERNO_ENTRY
  };
  passes[int(surrogate)](surrogate_numbers<C>(surrogate, scale), code, above, count);
}

}  // namespace

// Clones cannot be templates.
#define INFERNO_OF(C, NAME)                                                                                      \
  template <>                                                                                                    \
  const AdaptationPasses<C>& adaptation_passes<C>(NeuronModel model) {                                           \
    return passes_of_model<C>(model);                                                                            \
  }                                                                                                              \
  template <>                                                                                                    \
  void mark_held_pass<C>(const C* refrac, bool lock, C* code, int64_t count) {                                   \
    mark_held_##NAME(refrac, lock, code, count);                                                                 \
  }                                                                                                              \
  template <>                                                                                                    \
  void split_held_pass<C>(const C* marked, C* code, C* moving, int64_t count) {                                  \
    split_held_##NAME(marked, code, moving, count);                                                              \
  }                                                                                                              \
  template <>                                                                                                    \
  void count_pass<C>(const C* code, const C* moving, const C* voltage, const C* rest_v, C* fired, C* above_rest, \
                     int64_t count) {                                                                            \
    count_##NAME(code, moving, voltage, rest_v, fired, above_rest, count);                                       \
  }                                                                                                              \
  template <>                                                                                                    \
  void lanes_pass<C>(C * sums, int64_t width, int64_t batch, int64_t count) {                                    \
    lanes_##NAME(sums, width, batch, count);                                                                     \
  }                                                                                                              \
  template <>                                                                                                    \
  void surrogate_pass<C>(Surrogate surrogate, double scale, const C* code, C* above, int64_t count) {            \
    surrogate_pass_of(surrogate, scale, code, above, count);                                                     \
  }
INFERNO_OF(float, f32)
INFERNO_OF(double, f64)
#undef INFERNO_OF

}  // namespace inferno
