// Synapses over a whole sequence, and the adjoint of that: the same filters, backwards in time.
#pragma once
#include "core/synapse.h"

namespace inferno {

struct SynapseRunArgs {
  SynapseModel model;
  Scalar type;       // of currents, injected, and of inputs unless those are bool
  bool bool_inputs;  // bytes 0 or 1
  int64_t steps, count;
  const void* inputs;    // [steps, count], number of spikes
  int64_t input_stride;  // from step to step; may be 0
  int32_t injected_count;
  const void* injected[synapse_max_injected];  // [steps, count], nA, added to the current in this order
  const void* newest[synapse_max_currents];    // [count], nA, recorded last
  void* recorded[synapse_max_currents];        // [steps, count], nA
  void* out;                                   // [steps, count], nA; may be the recorded current where there is one
  double gain, decay[synapse_max_currents];
};

void synapse_run_cpu(const SynapseRunArgs& a, int64_t begin, int64_t end);  // elements
void synapse_run_cuda(const SynapseRunArgs& a, void* stream);

struct SynapseRunBackwardArgs {
  SynapseModel model;
  Scalar type;
  int64_t steps, count;
  const void* grad_out;                             // [steps, count], or null
  const void* grad_recorded[synapse_max_currents];  // [steps, count], or null
  void* grad_inputs;                                // [steps, count]
  void* grad_newest[synapse_max_currents];          // [count]
  double gain, decay[synapse_max_currents];
};

void synapse_run_backward_cpu(const SynapseRunBackwardArgs& a, int64_t begin, int64_t end);  // elements
void synapse_run_backward_cuda(const SynapseRunBackwardArgs& a, void* stream);

template <class C, class A>
SynapseParams<C> synapse_run_params(const A& a) {
  return {C(a.gain), {C(a.decay[0]), C(a.decay[1])}};
}

// The gradient of the recorded current k from this step's outputs: its own, and that of the present current, of which
// the second is subtracted.
template <class T>
INFERNO_HD Compute<T> synapse_step_gradient(const SynapseRunBackwardArgs& a, int k, int64_t at) {
  using C = Compute<T>;
  C gradient = C(0);
  if (a.grad_out) {
    const C of_current = load(static_cast<const T*>(a.grad_out)[at]);
    gradient = k == 0 ? of_current : -of_current;
  }
  if (a.grad_recorded[k]) gradient = gradient + load(static_cast<const T*>(a.grad_recorded[k])[at]);
  return gradient;
}

// One step backwards: `carry` holds the gradients of the currents recorded in this step from the steps behind it, and
// then those of the step before. Returns the gradient of the drive.
template <class M, class T>
INFERNO_HD Compute<T> synapse_step_adjoint(const SynapseRunBackwardArgs& a, int64_t at, Compute<T>* carry,
                                           const SynapseParams<Compute<T>>& p) {
  using C = Compute<T>;
  C drive = synapse_step_gradient<T>(a, 0, at) + carry[0];
  if constexpr (M::decays > 0) carry[0] = drive * p.decay[0];
  if constexpr (M::decays > 1) {
    const C second = synapse_step_gradient<T>(a, 1, at) + carry[1];
    carry[1] = second * p.decay[1];
    drive = drive + second;
  }
  return drive;
}

}  // namespace inferno
