// A step of a block of neurons of one model.
#pragma once
#include "core/simulate.h"

namespace inferno {

constexpr int64_t spiking_block = 512;

template <class C>
struct SpikingBlock {
  int64_t count;                // at most spiking_block
  const C* numbers;             // of the first neuron
  int64_t stride;               // between numbers; 1: shared by all neurons
  C* x[max_spiking_variables];  // state, of the first neuron
  int16_t* refrac;
  const C* arrivals[max_ports];
  const C* drive;
  uint8_t* fired;  // written: 1 where a neuron fires
};

void step_spiking_block(SpikingKind kind, const SpikingBlock<float>& block);
void step_spiking_block(SpikingKind kind, const SpikingBlock<double>& block);

// What arrived, as numbers of the state's type; the sums start again at zero.
void take_sums(int32_t* sums, float quantum, float* arrivals, int64_t count);
void take_sums(int32_t* sums, double quantum, double* arrivals, int64_t count);
void take_sums(double* sums, float quantum, float* arrivals, int64_t count);
void take_sums(double* sums, double quantum, double* arrivals, int64_t count);

// What came from generators of their own.
void add_counts(const int32_t* counts, float weight, float* arrivals, int64_t count);
void add_counts(const int32_t* counts, double weight, double* arrivals, int64_t count);

}  // namespace inferno
