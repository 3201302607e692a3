#include "core/synapse_run.h"

#include <algorithm>

#include "cpu/clones.h"

namespace inferno {
namespace {

constexpr int64_t block = 512;  // elements whose currents stay in the cache from step to step

// A step of a block: what lies at its first element.
template <class T, class X>
struct Step {
  const X* inputs;
  const T* injected[synapse_max_injected];
  const T* newest[synapse_max_currents];
  T* recorded[synapse_max_currents];
  T* out;
};

template <class M, class T, class X>
INFERNO_HD void step_block(const Step<T, X>& s, int injected_count, int64_t count, const SynapseParams<Compute<T>>& p) {
  using C = Compute<T>;
  C drive[block];
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) drive[i] = p.gain * spike_count<M, C>(s.inputs[i]);
  if constexpr (M::injects)
    for (int k = 0; k < injected_count; ++k)
      for (int64_t i = 0; i < count; ++i) drive[i] = drive[i] + load(s.injected[k][i]);
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) {
    T old[synapse_max_currents], now[synapse_max_currents];
    for (int k = 0; k < M::currents; ++k) old[k] = s.newest[k][i];
    const T current = M::advance(old, now, drive[i], p);
    for (int k = 0; k < M::currents; ++k) s.recorded[k][i] = now[k];
    if constexpr (M::currents != 1) s.out[i] = current;  // otherwise it is the recorded one
  }
}

template <class M, class T, class X>
INFERNO_HD void run_block(const SynapseRunArgs& a, int64_t begin, int64_t count) {
  const SynapseParams<Compute<T>> p = synapse_run_params<Compute<T>>(a);
  Step<T, X> s{};
  for (int k = 0; k < M::currents; ++k) s.newest[k] = static_cast<const T*>(a.newest[k]) + begin;
  for (int64_t t = 0; t < a.steps; ++t) {
    const int64_t at = t * a.count + begin;
    s.inputs = static_cast<const X*>(a.inputs) + t * a.input_stride + begin;
    for (int k = 0; k < a.injected_count; ++k) s.injected[k] = static_cast<const T*>(a.injected[k]) + at;
    for (int k = 0; k < M::currents; ++k) s.recorded[k] = static_cast<T*>(a.recorded[k]) + at;
    s.out = static_cast<T*>(a.out) + at;
    step_block<M, T, X>(s, a.injected_count, count, p);
    for (int k = 0; k < M::currents; ++k) s.newest[k] = s.recorded[k];
  }
}

template <class M, class T>
INFERNO_HD void run_block_backward(const SynapseRunBackwardArgs& a, int64_t begin, int64_t count) {
  using C = Compute<T>;
  const SynapseParams<C> p = synapse_run_params<C>(a);
  C carried[synapse_max_currents][block] = {};
  for (int64_t t = a.steps - 1; t >= 0; --t) {
    const int64_t at = t * a.count + begin;
    T* grad_inputs = static_cast<T*>(a.grad_inputs) + at;
#pragma GCC ivdep
    for (int64_t i = 0; i < count; ++i) {
      C carry[synapse_max_currents] = {carried[0][i], carried[1][i]};
      const C drive = synapse_step_adjoint<M, T>(a, at + i, carry, p);
      grad_inputs[i] = store<T>(drive * p.gain);
      for (int k = 0; k < M::decays; ++k) carried[k][i] = carry[k];
    }
  }
  for (int k = 0; k < M::currents; ++k) {
    T* grad_newest = static_cast<T*>(a.grad_newest[k]) + begin;
    for (int64_t i = 0; i < count; ++i) grad_newest[i] = store<T>(carried[k][i]);
  }
}

// Clones cannot be templates.
#define INFERNO_INLINE_LAMBDA __attribute__((always_inline))
#define INFERNO_RUN(NAME, T)                                                                                      \
  INFERNO_CLONES void NAME(const SynapseRunArgs& a, int64_t begin, int64_t count) {                               \
    dispatch_synapse(a.model, [&](auto m) INFERNO_INLINE_LAMBDA {                                                 \
      using M = decltype(m);                                                                                      \
      a.bool_inputs ? run_block<M, T, Bool>(a, begin, count) : run_block<M, T, T>(a, begin, count);               \
    });                                                                                                           \
  }                                                                                                               \
  INFERNO_CLONES void NAME##_backward(const SynapseRunBackwardArgs& a, int64_t begin, int64_t count) {            \
    dispatch_synapse(a.model,                                                                                     \
                     [&](auto m) INFERNO_INLINE_LAMBDA { run_block_backward<decltype(m), T>(a, begin, count); }); \
  }                                                                                                               \
  void blocks_of(T, const SynapseRunArgs& a, int64_t begin, int64_t count) { NAME(a, begin, count); }             \
  void blocks_of(T, const SynapseRunBackwardArgs& a, int64_t begin, int64_t count) { NAME##_backward(a, begin, count); }
INFERNO_RUN(run_f32, float)
INFERNO_RUN(run_f64, double)
INFERNO_RUN(run_f16, Half)
INFERNO_RUN(run_bf16, BFloat16)
#undef INFERNO_RUN
#undef INFERNO_INLINE_LAMBDA

template <class A>
void run_blocks(const A& a, int64_t begin, int64_t end) {
  dispatch_floating(a.type, [&](auto scalar) {
    for (int64_t i = begin; i < end; i += block) blocks_of(scalar, a, i, std::min(block, end - i));
  });
}

}  // namespace

void synapse_run_cpu(const SynapseRunArgs& a, int64_t begin, int64_t end) { run_blocks(a, begin, end); }

void synapse_run_backward_cpu(const SynapseRunBackwardArgs& a, int64_t begin, int64_t end) {
  run_blocks(a, begin, end);
}

}  // namespace inferno
