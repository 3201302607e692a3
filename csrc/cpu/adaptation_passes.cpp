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
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) {
    const int32_t hold = int32_t(s.held[i] > C(0)), fire = int32_t(s.code[i] > C(0));
    const C value = Law::update(now[i], hold, fire, s.voltage[i] - s.rest_v[i], own);
    sum[i] = first ? value : sum[i] + value;
  }
}

template <class Law, class C>
INFERNO_HD void reach_row(int64_t count, const C* constants, const C* gradient, C* of_spikes, C* of_above_rest) {
  const AdaptationSlopes<C> slopes = Law::slopes(constants);
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) {
    of_spikes[i] += slopes.spike * gradient[i];
    of_above_rest[i] += slopes.above_rest * gradient[i];
  }
}

template <class Law, class C>
INFERNO_HD void back_row(const SampleRows<C>& rows, int64_t count, int64_t batch, const C* constants, const C* before,
                         C* gradient, C* of_constants, int64_t stride) {
  C own[Law::constants];
  for (int c = 0; c < Law::constants; ++c) own[c] = constants[c];
  const C kept = Law::slopes(constants).kept, samples = C(batch);
  const SampleRows<C> s = rows;
  for (int64_t i = 0; i < count; ++i) {
    const SampleSums<C> sums{s.moving[i], s.fired[i], s.above_rest[i]};
    if (of_constants) {
      C parts[Law::constants] = {};
      Law::add_gradients(gradient[i], before[i], sums, own, parts);
      for (int c = 0; c < Law::constants; ++c) of_constants[c * stride + i] += parts[c];
    }
    gradient[i] = gradient[i] * ((samples - sums.moving) + sums.moving * kept) + s.acting[i];
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
  INFERNO_CLONES void reach_##NAME(int64_t count, const C* constants, const C* gradient, C* of_spikes,           \
                                   C* of_above_rest) {                                                           \
    reach_row<LAW>(count, constants, gradient, of_spikes, of_above_rest);                                        \
  }                                                                                                              \
  void back_##NAME(const SampleRows<C>& rows, int64_t count, int64_t batch, const C* constants, const C* before, \
                   C* gradient, C* of_constants, int64_t stride) {                                               \
    back_row<LAW>(rows, count, batch, constants, before, gradient, of_constants, stride);                        \
  }                                                                                                              \
  const AdaptationPasses<C>& passes_of(LAW, C) {                                                                 \
    static constexpr AdaptationPasses<C> passes{add_##NAME, reach_##NAME, back_##NAME};                          \
    return passes;                                                                                               \
  }
INFERNO_LAW(ThresholdAdaptation, float, threshold_f32)
INFERNO_LAW(ThresholdAdaptation, double, threshold_f64)
INFERNO_LAW(CurrentAdaptation, float, current_f32)
INFERNO_LAW(CurrentAdaptation, double, current_f64)
#undef INFERNO_LAW

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

template <>
const AdaptationPasses<float>& adaptation_passes<float>(NeuronModel model) {
  return passes_of_model<float>(model);
}

template <>
const AdaptationPasses<double>& adaptation_passes<double>(NeuronModel model) {
  return passes_of_model<double>(model);
}

void surrogate_pass(Surrogate surrogate, double scale, const float* code, float* above, int64_t count) {
  surrogate_pass_of(surrogate, scale, code, above, count);
}

void surrogate_pass(Surrogate surrogate, double scale, const double* code, double* above, int64_t count) {
  surrogate_pass_of(surrogate, scale, code, above, count);
}

}  // namespace inferno
