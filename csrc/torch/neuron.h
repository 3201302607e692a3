// The step of neurons on tensors, for operators that contain it.
#pragma once
#include "core/neuron_models.h"
#include "torch/common.h"

namespace inferno {

using MaybeTensor = std::optional<Tensor>;

// What a step reads and writes. Shapes: [B, *shape] all, but for the adaptations, [*shape, K], and their constants,
// [constants, K]. Outputs may be the state itself.
struct NeuronTensors {
  const Tensor &voltage, &refrac, &inputs;
  const MaybeTensor &adaptation, &constants;
  const Tensor &voltage_out, &refrac_out, &spikes;
  const MaybeTensor& adaptation_out;
};

// Checked, but for the results that are not the state itself.
NeuronArgs neuron_args(const NeuronTensors& t, int64_t model, double dt, double refrac_t, const double* parameters,
                       int64_t parameter_count, int64_t reduction, bool refrac_lock);

void run_neuron_cpu(const NeuronArgs& a, const Tensor& t);
void run_neuron_cuda(const NeuronArgs& a, const Tensor& t);

}  // namespace inferno
