// One step of synapses: from spikes to currents, both recorded.
#pragma once
#include "core/args.h"
#include "core/history.h"
#include "core/scalar.h"

namespace inferno {

template <class C>
struct SynapseParams {
  C gain, decay[synapse_max_currents];
};

template <class C>
SynapseParams<C> synapse_params(const SynapseStepArgs& a) {
  return {C(a.gain), {C(a.decay[0]), C(a.decay[1])}};
}

// A model says its name, how many currents it records and how many decays it takes, whether the magnitude of an input
// counts or only that it is not zero, whether currents can be injected, and how the recorded currents move on under the
// drive: gain * input + injected. `advance` returns the present current, as it is stored.
struct Delta {
  static constexpr const char* name = "delta";
  static constexpr int currents = 0, decays = 0;
  static constexpr bool weighs = false, injects = false;
  template <class T, class C>
  static INFERNO_HD T advance(const T*, T*, C drive, const SynapseParams<C>&) {
    return store<T>(drive);
  }
};

struct DeltaPlus {
  static constexpr const char* name = "delta_plus";
  static constexpr int currents = 1, decays = 0;
  static constexpr bool weighs = true, injects = true;
  template <class T, class C>
  static INFERNO_HD T advance(const T*, T* now, C drive, const SynapseParams<C>&) {
    return now[0] = store<T>(drive);
  }
};

struct Exponential {
  static constexpr const char* name = "exponential";
  static constexpr int currents = 1, decays = 1;
  static constexpr bool weighs = true, injects = false;
  template <class T, class C>
  static INFERNO_HD T advance(const T* newest, T* now, C drive, const SynapseParams<C>& p) {
    return now[0] = store<T>(load(newest[0]) * p.decay[0] + drive);
  }
};

struct DoubleExponential {
  static constexpr const char* name = "double_exponential";
  static constexpr int currents = 2, decays = 2;
  static constexpr bool weighs = true, injects = false;
  template <class T, class C>
  static INFERNO_HD T advance(const T* newest, T* now, C drive, const SynapseParams<C>& p) {
    for (int k = 0; k < 2; ++k) now[k] = store<T>(load(newest[k]) * p.decay[k] + drive);
    return store<T>(load(now[0]) - load(now[1]));  // of what is recorded, so that it can be read again
  }
};

// Calls f with the model, on the host.
template <class F>
inline __attribute__((always_inline)) void dispatch_synapse(SynapseModel model, F&& f) {
  switch (model) {
    case SynapseModel::delta:
      return f(Delta{});
    case SynapseModel::delta_plus:
      return f(DeltaPlus{});
    case SynapseModel::exponential:
      return f(Exponential{});
    case SynapseModel::double_exponential:
      return f(DoubleExponential{});
  }
}

// Of a model, for those who do not know it at compile time.
inline int synapse_currents(SynapseModel model) {
  int count = 0;
  dispatch_synapse(model, [&](auto m) { count = decltype(m)::currents; });
  return count;
}

inline bool synapse_injects(SynapseModel model) {
  bool injects = false;
  dispatch_synapse(model, [&](auto m) { injects = decltype(m)::injects; });
  return injects;
}

// What an input, bool or of the currents' type, says: is there a spike, and of how many.
INFERNO_HD bool is_spike(Bool input) { return input.value != 0; }
template <class T>
INFERNO_HD bool is_spike(T input) {
  return load(input) != 0;
}

template <class M, class C, class X>
INFERNO_HD C spike_count(X input) {
  if constexpr (M::weighs && sizeof(X) > 1)
    return load(input);
  else
    return is_spike(input) ? C(1) : C(0);
}

// Where a ring's newest slot is, and the one that is written next.
INFERNO_HD int64_t newest_slot(const SynapseRing& r) { return ring_slot(*r.ring.pointer, 1, r.ring.slots); }
INFERNO_HD int64_t next_slot(const SynapseRing& r) { return ring_slot(*r.ring.pointer, 0, r.ring.slots); }

// Moves every pointer of a step on.
INFERNO_HD void synapse_advance(const SynapseStepArgs& a) {
  *a.spikes.pointer = ring_slot(*a.spikes.pointer, -1, a.spikes.ring.slots);
  for (int k = 0; k < synapse_max_currents; ++k)
    if (a.currents[k].pointer) *a.currents[k].pointer = ring_slot(*a.currents[k].pointer, -1, a.currents[k].ring.slots);
}

// Views the batch as part of rest, where every slot and tensor is one stretch of memory in the same order.
inline void merge_batch(SynapseStepArgs& a) {
  const auto merges = [&](int64_t batch_stride, int64_t rest_stride) {
    return rest_stride == 1 && batch_stride == a.rest;
  };
  bool all = merges(a.inputs.batch_stride, a.inputs.rest_stride) &&
             merges(a.spikes.ring.batch_stride, a.spikes.ring.rest_stride);
  for (int k = 0; k < a.injected_count; ++k) all = all && merges(a.injected[k].batch_stride, a.injected[k].rest_stride);
  for (const SynapseRing& r : a.currents) all = all && (!r.pointer || merges(r.ring.batch_stride, r.ring.rest_stride));
  if (!all) return;
  a.rest *= a.batch;
  a.batch = 1;
}

}  // namespace inferno
