#include "core/integrate_fire.h"

#include <algorithm>

#include "core/args.h"
#include "cpu/clones.h"

namespace inferno {
namespace {

constexpr int64_t block = 512;  // neurons whose state stays in the cache over all steps

// The state and the numbers of a block of neurons.
template <class C>
struct Block {
  C voltage[block], current[block], above[block];
  C decay[block], current_decay[block], threshold[block], amount[block], factor[block];
};

template <class C>
void fill(const Coefficient& c, int64_t begin, int64_t count, bool first, C* to) {
  if (c.data && c.size > 1)
    for (int64_t i = 0; i < count; ++i) to[i] = coefficient<C>(c, begin + i);
  else if (first)
    std::fill_n(to, count, coefficient<C>(c, 0));
}

// The numbers that neurons share are written for the first block alone.
template <class C>
void fill(const IntegrateFireArgs& a, int64_t begin, int64_t count, bool first, Block<C>& b) {
  fill(a.decay, begin, count, first, b.decay);
  fill(a.current_decay, begin, count, first, b.current_decay);
  fill(a.threshold, begin, count, first, b.threshold);
  fill(a.amount, begin, count, first, b.amount);
  fill(a.factor, begin, count, first, b.factor);
}

template <class M, class R, class T, class C>
INFERNO_HD void step_block(const T* inputs, T* spikes, int64_t count, C tau, C rest, Block<C>& b) {
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) {
    const FireNumbers<C> n{
        decay_of(b.decay[i]), decay_of(b.current_decay[i]), b.threshold[i], b.amount[i], b.factor[i], tau, rest};
    C voltage = b.voltage[i], current = M::has_current ? b.current[i] : C(0), above;
    spikes[i] = store<T>(integrate_fire<M, R, T>(voltage, current, load(inputs[i]), above, n));
    b.voltage[i] = voltage;
    if constexpr (M::has_current) b.current[i] = current;
    if constexpr (M::late) b.above[i] = above;
  }
}

// Clones cannot be templates. Half types, which spend their time on conversions, have none: there is much to compile.
#define INFERNO_STEP(NAME, CLONES, T)                                                                             \
  CLONES void NAME(const IntegrateFireArgs& a, const T* inputs, T* spikes, int64_t count, Block<Compute<T>>& b) { \
    dispatch_integrate_fire(a, [&](auto m, auto r) __attribute__((always_inline)) {                               \
      step_block<decltype(m), decltype(r)>(inputs, spikes, count, Compute<T>(a.tau), Compute<T>(a.rest), b);      \
    });                                                                                                           \
  }                                                                                                               \
  void step_of(const IntegrateFireArgs& a, const T* inputs, T* spikes, int64_t count, Block<Compute<T>>& b) {     \
    NAME(a, inputs, spikes, count, b);                                                                            \
  }
INFERNO_STEP(step_f32, INFERNO_CLONES, float)
INFERNO_STEP(step_f64, INFERNO_CLONES, double)
INFERNO_STEP(step_f16, , Half)
INFERNO_STEP(step_bf16, , BFloat16)
#undef INFERNO_STEP

template <class T, class C>
void load_row(const void* from, int64_t at, int64_t count, C* to) {
  const T* row = static_cast<const T*>(from) + at;
  for (int64_t i = 0; i < count; ++i) to[i] = load(row[i]);
}

template <class T, class C>
void store_row(const C* from, void* to, int64_t at, int64_t count) {
  if (!to) return;
  T* row = static_cast<T*>(to) + at;
  for (int64_t i = 0; i < count; ++i) row[i] = store<T>(from[i]);
}

template <class T>
void run_block(const IntegrateFireArgs& a, int64_t begin, int64_t count, Block<Compute<T>>& b) {
  load_row<T>(a.voltage_in, begin, count, b.voltage);
  if (a.current_in) load_row<T>(a.current_in, begin, count, b.current);
  for (int64_t t = 0; t < a.steps; ++t) {
    const int64_t at = t * a.count + begin;
    step_of(a, static_cast<const T*>(a.inputs) + at, static_cast<T*>(a.spikes) + at, count, b);
    store_row<T>(b.voltage, a.voltages, at, count);
    store_row<T>(b.above, a.resets, at, count);
  }
  store_row<T>(b.voltage, a.voltage, begin, count);
  store_row<T>(b.current, a.current, begin, count);
}

}  // namespace

void integrate_fire_cpu(const IntegrateFireArgs& a, int64_t begin, int64_t end) {
  dispatch_floating(a.type, [&](auto scalar) {
    Block<Compute<decltype(scalar)>> b;
    for (int64_t i = begin; i < end; i += block) {
      const int64_t count = std::min(block, end - i);
      fill(a, i, count, i == begin, b);
      run_block<decltype(scalar)>(a, i, count, b);
    }
  });
}

}  // namespace inferno
