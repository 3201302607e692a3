// A run of a large sparse network: rows of synapses, populations of neurons, and what is recorded.
#pragma once
#include <vector>

#include "core/spiking.h"

namespace inferno {

// Synapses onto targets first..last-1, sorted by source and delay. A segment holds those of one source and one delay.
struct RowsPart {
  int64_t first, last;
  int64_t slots;            // sums of arriving weights: ports * (last - first)
  const int32_t* segments;  // [neurons + 1]; those of source s are segments[s]..segments[s + 1]-1
  const uint16_t* delay;    // [segments], steps
  const int32_t* begin;     // [segments + 1], synapses
  const uint16_t* slot;     // [synapses]: port * (last - first) + target - first
  const void* weight;       // [synapses]: int32 multiples of the quantum, or double
  const uint32_t* both;     // null, or [synapses] in place of these two: int16 multiples in the upper half, slots below
};

// The synapses of a part.
template <class W>
struct ApartSynapses {
  const uint16_t* slots;
  const W* weights;
  INFERNO_HD uint16_t slot(uint32_t q) const { return slots[q]; }
  INFERNO_HD W weight(uint32_t q) const { return weights[q]; }
};

struct PackedSynapses {
  const uint32_t* both;
  INFERNO_HD uint16_t slot(uint32_t q) const { return uint16_t(both[q]); }
  INFERNO_HD int32_t weight(uint32_t q) const { return int32_t(both[q]) >> 16; }
};

// Calls f with the synapses of a part whose sums are of type W.
template <class W, class F>
INFERNO_HD void with_synapses(const RowsPart& part, F&& f) {
  if (part.both)
    f(PackedSynapses{part.both});
  else
    f(ApartSynapses<W>{part.slot, static_cast<const W*>(part.weight)});
}

enum class StimulusKind : int32_t { poisson, noise, spikes };

struct StimulusArgs {
  StimulusKind kind;
  int32_t port;
  uint32_t stream;
  int64_t interval;      // steps; noise
  const int64_t* table;  // [entries], see poisson_table in ops/generate.py
  int64_t entries;
  double weight, mean, std;
};

// Neurons first..last-1.
struct PopulationArgs {
  SpikingKind kind;
  int64_t first, last;
  const void* numbers;          // [numbers, stride], rows of the neuron's struct
  int64_t stride;               // 1: shared; otherwise last - first
  const void* drive;            // [1] or [last - first]: constant current times gain
  bool drive_each;              // whether it is the latter
  const StimulusArgs* stimuli;  // [stimuli_count]
  int64_t stimuli_count;
};

struct Spike {
  int32_t step, neuron, trial;  // steps since the start of the run; before it they are negative
};

struct SimulateArgs {
  Scalar type;  // of the state: f32 or f64
  bool wide;    // weights are double, and so are their sums
  double quantum;
  int64_t neurons, trials, variables, ports;
  int64_t parts_count, populations_count, flight_count, given_count;
  const RowsPart* parts;              // [parts_count], ascending
  const PopulationArgs* populations;  // [populations_count], ascending, without gaps
  void* values;                       // [variables, trials, neurons]
  int16_t* refrac;                    // [trials, neurons]
  const Spike* flight;                // [flight_count], spikes of earlier steps
  const Spike* given;                 // [given_count], of generators, sorted by step
  int64_t start, steps;               // number of the first step, and how many
  int64_t min_delay, max_delay;       // of all synapses
  uint64_t seed;
  const uint8_t* record;  // [neurons] or null
  int64_t* counts;        // [trials, neurons] or null
  const int64_t* probe;   // [probe_count]: variable * neurons + neuron, or null
  int64_t probe_count, probe_every;
  void* probed;  // [samples, trials, probe_count]
  int32_t threads;
  double* phases;  // [threads, 3] or null: CPU seconds of delivery, update, and the rest: exchange, waiting, helping
};

// Where the values have what a probe reads.
INFERNO_HD int64_t probed_value(const SimulateArgs& a, int64_t probe, int64_t trial) {
  return (probe / a.neurons * a.trials + trial) * a.neurons + probe % a.neurons;
}

struct SimulateResult {
  std::vector<Spike> recorded;  // sorted by step, trial, neuron
  std::vector<Spike> flight;    // of the last max_delay steps, in the same order
};

SimulateResult simulate_cpu(const SimulateArgs& a);

// What a run on a GPU needs besides; all of it there, and zero but for `spikes` and `given_begin`.
struct SimulateDevice {
  void* sums;     // [ring, trials, ports * neurons]: what arrives in each of the next steps
  int64_t ring;   // more than max_delay
  Spike* spikes;  // [capacity], written, in no order within a step
  int64_t capacity;
  unsigned long long*
      ends;  // [steps + 1], spikes before each step; the last are all, more than capacity if some are lost
  const int64_t* given_begin;  // [steps + 1], given spikes before each step
  void* tables;                // [simulate_tables_bytes], for the host's arrays of arguments
};

// Pointers in `a` are the device's, those to parts, populations and stimuli the host's.
int64_t simulate_tables_bytes(const SimulateArgs& a);
void simulate_cuda(const SimulateArgs& a, const SimulateDevice& device, void* stream);

}  // namespace inferno
