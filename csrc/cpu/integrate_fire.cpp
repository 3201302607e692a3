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
    std::fill_n(to, block, coefficient<C>(c, 0));
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

template <class T, class C>
INFERNO_HD void load_row(const void* from, int64_t at, int64_t count, C* to) {
  const T* row = static_cast<const T*>(from) + at;
  for (int64_t i = 0; i < count; ++i) to[i] = load(row[i]);
}

template <class T, class C>
INFERNO_HD void store_row(const C* from, void* to, int64_t at, int64_t count) {
  T* row = static_cast<T*>(to) + at;
  for (int64_t i = 0; i < count; ++i) row[i] = store<T>(from[i]);
}

template <class M, class R, class T>
INFERNO_HD void run_block(const IntegrateFireArgs& a, int64_t begin, int64_t count, Block<Compute<T>>& b) {
  using C = Compute<T>;
  load_row<T>(a.voltage_in, begin, count, b.voltage);
  if constexpr (M::has_current) load_row<T>(a.current_in, begin, count, b.current);
  for (int64_t t = 0; t < a.steps; ++t) {
    const int64_t at = t * a.count + begin;
    step_block<M, R>(static_cast<const T*>(a.inputs) + at, static_cast<T*>(a.spikes) + at, count, C(a.tau), C(a.rest),
                     b);
    if (a.voltages) store_row<T>(b.voltage, a.voltages, at, count);
    if constexpr (M::late)
      if (a.resets) store_row<T>(b.above, a.resets, at, count);
  }
  store_row<T>(b.voltage, a.voltage, begin, count);
  if constexpr (M::has_current) store_row<T>(b.current, a.current, begin, count);
}

// Clones cannot be templates.
#define INFERNO_BLOCK(NAME, T)                                                                               \
  INFERNO_CLONES void NAME(const IntegrateFireArgs& a, int64_t begin, int64_t count, Block<Compute<T>>& b) { \
    dispatch_integrate_fire(a, [&](auto m, auto r) __attribute__((always_inline)) {                          \
      run_block<decltype(m), decltype(r), T>(a, begin, count, b);                                            \
    });                                                                                                      \
  }                                                                                                          \
  void block_of(T, const IntegrateFireArgs& a, int64_t begin, int64_t count, Block<Compute<T>>& b) {         \
    NAME(a, begin, count, b);                                                                                \
  }
INFERNO_BLOCK(block_f32, float)
INFERNO_BLOCK(block_f64, double)
INFERNO_BLOCK(block_f16, Half)
INFERNO_BLOCK(block_bf16, BFloat16)
#undef INFERNO_BLOCK

}  // namespace

void integrate_fire_cpu(const IntegrateFireArgs& a, int64_t begin, int64_t end) {
  dispatch_floating(a.type, [&](auto scalar) {
    Block<Compute<decltype(scalar)>> b;
    for (int64_t i = begin; i < end; i += block) {
      const int64_t count = std::min(block, end - i);
      fill(a, i, count, i == begin, b);
      block_of(scalar, a, i, count, b);
    }
  });
}

}  // namespace inferno
