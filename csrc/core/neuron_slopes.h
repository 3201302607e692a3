// The derivatives of the steps of neurons, each alone.
#pragma once
#include "core/args.h"
#include "core/surrogate.h"

namespace inferno {

// Results of a step: its voltage and its spike; by what it started from: the voltage before it and its current.
enum NeuronSlope { voltage_by_voltage, voltage_by_input, spike_by_voltage, spike_by_input, neuron_slopes };

struct NeuronSlopesArgs {
  NeuronRunArgs run;  // the results are not written; adaptations stand still
  Surrogate surrogate;
  double scale;  // of the surrogate, 1/mV
  bool detach_reset;
  void* slopes[neuron_slopes];  // [steps, batch, count] each, in the compute type
};

void neuron_slopes_cpu(const NeuronSlopesArgs& args, int64_t begin, int64_t end);  // neuron_items(args.run)

}  // namespace inferno
