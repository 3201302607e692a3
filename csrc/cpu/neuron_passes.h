// Passes over rows of neurons side by side, from which sequences of steps and their adjoints are put together. All rows
// are in the compute type and hold at most `neuron_block` elements. One pass does one thing, so that neither models nor
// surrogates nor dtypes multiply.
#pragma once
#include <cstdint>

#include "core/args.h"

namespace inferno {

// Small enough that the numbers and the state of a block of neurons stay in the first-level cache.
constexpr int64_t neuron_block = 256;

// What the neurons of a row are made of.
template <class C>
struct NeuronNumbers {
  const C* parameters;  // [parameters of the model, neuron_block]
  const C* period;      // the refractory period that a spike starts, see refractory()
  C dt, snap;
  bool lock, detach;
};

template <class C>
struct StepRow {
  NeuronNumbers<C> numbers;
  const C *inputs, *acting;  // acting: sum of the adaptations, of models that adapt
  const C* voltage_in;
  C *voltage, *refrac;  // voltage may be voltage_in
  C* code;              // 1 where a neuron fires, else 0; where traced, see step_code()
};

// A step that is taken again from what was kept of it: the voltage before it and its code.
template <class C>
struct RetraceRow {
  NeuronNumbers<C> numbers;
  const C *inputs, *acting, *voltage_in, *code;
  C *reached, *above;  // the voltage reached, and how far above the threshold
};

template <class C>
struct AdjointRow {
  NeuronNumbers<C> numbers;
  const C *inputs, *acting, *voltage_in;     // as in the step
  const C *code, *reached, *slope, *moving;  // what it has left
  const C* of_spikes;
  const C *pull_of_spike, *pull_of_above_rest;  // see AdaptationPull, of models that adapt
  C* of_voltage;                                // after the step; then before it
  C* of_current;                                // out
  C *sum_of_moving, *sum_of_acting;             // added to, for models that adapt
};

template <class C>
struct NeuronPasses {
  void (*step)(const StepRow<C>&, int64_t count);
  void (*traced_step)(const StepRow<C>&, int64_t count);
  void (*retrace)(const RetraceRow<C>&, int64_t count);
  void (*adjoint)(const AdjointRow<C>&, int64_t count);
  // Adds to gradients of parameters as well, [parameters, neuron_block].
  void (*learning_adjoint)(const AdjointRow<C>&, int64_t count, C* gradients);
};

template <class C>
const NeuronPasses<C>& neuron_passes(NeuronModel model);

// The neurons of a sample after a step, for their adaptations.
template <class C>
struct AdaptationRow {
  const C *voltage, *rest_v, *code, *refrac;
  bool lock;
};

// Sums over samples, see SampleSums, and of the gradient of what the adaptations act on.
template <class C>
struct SampleRows {
  C *moving, *fired, *above_rest, *acting;
};

template <class C>
struct AdaptationPasses {
  // Adds one adaptation of each neuron, as it is after a sample's step, to a partial sum of the batch, or begins it.
  void (*add)(const AdaptationRow<C>&, int64_t count, const C* constants, const C* now, bool first, C* sum);
  // Adds what one adaptation makes of its gradient, see AdaptationPull.
  void (*pull)(int64_t count, const C* constants, const C* gradient, C* of_spike, C* of_above_rest);
  // Takes the gradient of one adaptation back over the step; adds to those of its constants, `stride` apart, or null.
  void (*back)(const SampleRows<C>&, int64_t count, int64_t batch, const C* constants, const C* before, C* gradient,
               C* of_constants, int64_t stride);
};

template <class C>
const AdaptationPasses<C>& adaptation_passes(NeuronModel model);

// Adds to the codes of a sample's step that adaptations stayed in it; and takes that apart again: 1 where they move on.
template <class C>
void mark_held_pass(const C* refrac, bool lock, C* code, int64_t count);
template <class C>
void split_held_pass(const C* marked, C* code, C* moving, int64_t count);

// Adds a sample to the sums that the gradients of constants need. `voltage`: after the step.
template <class C>
void count_pass(const C* code, const C* moving, const C* voltage, const C* rest_v, C* fired, C* above_rest,
                int64_t count);

// Adds the partial sums of a batch, rows of `width`, up in the first of them, in the order of batch_lanes().
template <class C>
void lanes_pass(C* sums, int64_t width, int64_t batch, int64_t count);

// above: distances from the threshold; becomes the surrogate derivatives there, 0 where code is below 0.
template <class C>
void surrogate_pass(Surrogate surrogate, double scale, const C* code, C* above, int64_t count);

}  // namespace inferno
