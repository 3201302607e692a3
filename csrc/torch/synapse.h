// The step of synapses on tensors, for operators that contain it.
#pragma once
#include "core/synapse.h"
#include "torch/common.h"

namespace inferno {

// The ring of a recorded current and its pointer, or neither.
struct CurrentRing {
  const std::optional<Tensor>&data, &pointer;
};

// All but the numbers and the result, checked. Shapes: inputs [B, ...], rings [slots, B, ...].
SynapseStepArgs synapse_args(int64_t model, int64_t type, const Tensor& inputs, const std::vector<Tensor>& injected,
                             const Tensor& spikes, const Tensor& spike_pointer, const CurrentRing (&currents)[2],
                             const char* const (&names)[2]);

void run_synapse_cpu(const SynapseStepArgs& a, const Tensor& t);
void run_synapse_cuda(const SynapseStepArgs& a, const Tensor& t);

}  // namespace inferno
