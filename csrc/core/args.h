// Plain views of the tensors that each kernel works on, and the kernels' entry points. No torch, no CUDA.
// Strides count elements. `_cpu` works on [begin, end) of the items named beside it; `_cuda` on all of them.
#pragma once
#include <cstdint>

#include "core/scalar.h"

namespace inferno {

// What becomes of the adaptations of the samples of a batch, which share one value.
enum class BatchReduction : int32_t { none, mean, sum };  // none: adaptations stay as they are

enum class NeuronModel : int32_t;  // core/neuron_models.h

constexpr int max_neuron_parameters = 16, max_adaptation_constants = 4;

struct NeuronArgs {
  Scalar type;
  NeuronModel model;
  int64_t batch, count;       // samples, neurons of each
  const void* voltage_in;     // [batch, count], mV
  const void* refrac_in;      // [batch, count], ms
  const void* inputs;         // [batch, count], nA
  void* voltage;              // [batch, count], may be voltage_in
  void* refrac;               // [batch, count], may be refrac_in
  uint8_t* spikes;            // [batch, count], 0 or 1
  int64_t kinds;              // adaptations of each neuron; 0 for models without
  const void* adaptation_in;  // [count, kinds], mV or nA
  void* adaptation;           // [count, kinds], may be adaptation_in
  const void* constants;      // [constants of the model's law, kinds], in the compute type
  BatchReduction reduction;
  bool refrac_lock;
  double dt, refrac_t;
  double parameters[max_neuron_parameters];  // in the model's order
};

void neuron_step_cpu(const NeuronArgs& a, int64_t begin, int64_t end);  // neuron_items(a)
void neuron_step_cuda(const NeuronArgs& a, void* stream);

// A ring of `slots` observations, each [batch, rest].
struct Ring {
  int64_t slots, batch, rest;
  int64_t slot_stride, batch_stride, rest_stride;
  const int64_t* pointer;  // the slot that is written next; the newest is the one before it
};

struct HistoryPushArgs {
  Ring ring;
  int32_t element_size;  // bytes: 1, 2, 4 or 8
  void* data;
  int64_t* pointer;
  const void* obs;  // [batch, rest]
  int64_t obs_batch_stride, obs_rest_stride;
};

void history_push_cpu(const HistoryPushArgs& a, int64_t begin, int64_t end);  // positions along rest
void history_advance_cpu(const HistoryPushArgs& a);                           // once, after the whole push
void history_push_cuda(const HistoryPushArgs& a, void* stream);               // advances the pointer as well

enum class SynapseModel : int32_t { delta, delta_plus, exponential, double_exponential };

// A ring that a synapse writes: spikes as bytes 0 or 1, or currents.
struct SynapseRing {
  Ring ring;
  void* data;
  int64_t* pointer;  // of this ring alone; null where the model has no such ring
};

// A [batch, rest] tensor that is read.
struct Plane {
  const void* data;
  int64_t batch_stride, rest_stride;
};

constexpr int synapse_max_currents = 2, synapse_max_injected = 8;

struct SynapseStepArgs {
  SynapseModel model;
  Scalar type;       // of currents, injected, out, and of inputs unless those are bool
  bool bool_inputs;  // bytes 0 or 1
  int64_t batch, rest;
  Plane inputs;  // number of spikes
  int32_t injected_count;
  Plane injected[synapse_max_injected];  // nA, added to the current in this order
  SynapseRing spikes;
  SynapseRing currents[synapse_max_currents];  // as many as the model records, nA
  void* out;                                   // [batch, rest], contiguous, nA
  double gain, decay[synapse_max_currents];    // nA a spike; what is left of a current after a step
};

void synapse_step_cpu(const SynapseStepArgs& a, int64_t begin, int64_t end);  // positions along rest
void synapse_advance_cpu(const SynapseStepArgs& a);                           // once, after the whole step
void synapse_step_cuda(const SynapseStepArgs& a, void* stream);               // advances the pointers as well

enum class Interp : int32_t { previous, next, nearest, linear, expdecay };

// The times at which samples exist, and how others are looked up.
struct TimeGrid {
  double dt, max_time, tolerance, time_constant;  // ms
  double eps;                                     // spacing, at 1, of the type that the times were given in
  int64_t max_age;                                // age of the oldest sample that may be used
  Interp mode;
  double second_constant = 0;  // of a second decay, from the same times; 0 if there is none
};

struct HistoryGatherArgs {
  Scalar type, time_type;  // time_type: f32 or f64
  Ring ring;
  TimeGrid grid;
  const void* data;
  const void* time;  // [batch, rest, depth], ms
  int64_t depth, time_batch_stride, time_rest_stride, time_depth_stride;
  void* out;       // [batch, rest, depth], contiguous
  int64_t offset;  // 1: time 0 is the newest sample
  bool clamp;      // times outside are moved to the nearer end; otherwise their value is `overbound`
  double overbound;
  // On the CPU alone:
  bool scaled = false;  // bool samples are read as 0 or `scale`, of the type `out_type`
  Scalar out_type = Scalar::f32;
  double scale = 1;
  const void* minus = nullptr;  // a second ring, laid out like the first, whose values are subtracted, or null
  const int64_t* minus_pointer = nullptr;
};

void history_gather_cpu(const HistoryGatherArgs& a, int64_t begin, int64_t end);  // positions along rest and depth
void history_gather_cuda(const HistoryGatherArgs& a, void* stream);

// What depends on a synapse's delay alone: the age of its sample, and the factor that goes with it.
struct DelayPlanArgs {
  Scalar type;      // of delay: f32 or f64
  bool byte_slots;  // slot is uint8, otherwise int32
  int64_t count, slots;
  TimeGrid grid;
  bool clamp;
  const void* delay;  // [count], ms
  void* slot;         // [count], an age, or `slots` where the delay is out of range
  void* factor;       // [count], of `type`: expdecay's multiplier, linear's blend, otherwise 1
};

void delay_plan_cpu(const DelayPlanArgs& a, int64_t begin, int64_t end);  // synapses
void delay_plan_cuda(const DelayPlanArgs& a, void* stream);

// Sums of weights times delayed samples. A map says which input each term of an output's sum is from; terms are added
// in ascending order, one rounded product at a time.
struct DelayedSumArgs {
  Scalar type;        // of weight, bias, out, and of data unless that is bool
  bool bool_history;  // data holds 0 or 1, which stand for 0 and `scale`
  bool byte_slots, linear;
  Ring ring;        // [slots, batch, inputs]
  int64_t outputs;  // rows of weight
  const void* data;
  const void* weight;  // [outputs, terms]
  const void* bias;    // [outputs], or null
  const void* slot;    // [outputs, terms], see DelayPlanArgs
  const void* factor;  // [outputs, terms], in the compute type, or null for all ones
  void* out;           // [batch, outputs], and what the map adds
  double scale, overbound;
};

// Dense: every output sums over all inputs. Direct: it has one term, from the input of its own number.
void delayed_dense_cpu(const DelayedSumArgs& a, int64_t begin, int64_t end);  // outputs
void delayed_dense_cuda(const DelayedSumArgs& a, void* stream);
void delayed_direct_cpu(const DelayedSumArgs& a, int64_t begin, int64_t end);  // outputs
void delayed_direct_cuda(const DelayedSumArgs& a, void* stream);

// One axis of the image.
struct ConvAxis {
  int64_t input, output, kernel;  // pixels, positions of the kernel, taps
  int64_t stride, padding, dilation;
  int64_t pixel_stride;  // from pixel to pixel in data
};

// Every output is a filter at each position; its terms are (channel, row, column) of the kernel. Taps outside the image
// contribute nothing. ring.rest counts pixels, ring.rest_stride has no meaning. out: [batch, outputs, rows, columns].
struct DelayedConv2dArgs : DelayedSumArgs {
  int64_t channels, channel_stride;
  ConvAxis rows, columns;
};

void delayed_conv2d_cpu(const DelayedConv2dArgs& a, int64_t begin, int64_t end);  // (filter, output row) pairs
void delayed_conv2d_cuda(const DelayedConv2dArgs& a, void* stream);

// Observations one after another, [time, batch, rest].
struct Sequence {
  const void* data;
  int64_t time_stride, batch_stride, rest_stride;
};

// Delayed sums of every step of a sequence, and their gradients. Every map is a convolution of channels of pixels:
// dense has one pixel, direct one pixel and, for each output, only the channel of its number. Inputs count channels and
// pixels, outputs filters and places; a term of a filter is (channel, row, column) of the kernel.
struct DelayedRunArgs {
  Scalar type;       // of weight, bias, out, grad, and of series unless that is bool
  bool bool_series;  // series holds 0 or 1, which stand for 0 and `scale`
  bool byte_slots, linear, direct;
  int64_t steps, slots, batch, channels, filters;
  ConvAxis rows, columns;  // pixel strides are not used: rest is (channel, row, column)
  Sequence series;         // [slots - 1 + steps, batch, inputs]: the past, then the steps
  Sequence grad;           // [steps, batch, outputs]
  const void* weight;      // [filters, terms]
  const void* bias;        // [filters], or null
  const void* slot;        // [filters, terms], see DelayPlanArgs
  const void* factor;      // [filters, terms], in the compute type, or null
  void* out;               // contiguous: [steps, batch, outputs], or of the gradient of series
  void* older;             // [filters, terms], in the compute type: the sum over time, batch and places of grad times
  void* newer;             // the sample of age slot; newer: times the one after it, or null
  double scale, overbound;
};

int64_t delayed_run_units(const DelayedRunArgs& a,
                          int64_t times);  // independent parts of a sequence

void delayed_run_cpu(const DelayedRunArgs& a, int64_t begin, int64_t end);         // units x filters
void delayed_run_series_cpu(const DelayedRunArgs& a, int64_t begin, int64_t end);  // units x channels
void delayed_run_taps_cpu(const DelayedRunArgs& a, int64_t begin, int64_t end);    // filters
void delayed_run_cuda(const DelayedRunArgs& a, void* stream);
void delayed_run_series_cuda(const DelayedRunArgs& a, void* stream);
void delayed_run_taps_cuda(const DelayedRunArgs& a, void* stream);

// How neurons charge and when they fire, and what becomes of the voltage of those that fired; see
// core/integrate_fire.h.
enum class ChargeModel : int32_t { leaky, synaptic, perfect, relaxing, filtering };
enum class ResetRule : int32_t { none, subtract, zero, set };

// A number of each neuron: that of neuron i is data[i / inner % size].
struct Coefficient {
  const void* data;  // in the compute type; null where all neurons have `value`
  double value;
  int64_t inner, size;
};

struct IntegrateFireArgs {
  Scalar type;
  ChargeModel model;
  ResetRule reset;
  bool delayed;  // the reset waits for the next step
  int64_t steps, count;
  const void* inputs;      // [steps, count]
  const void* voltage_in;  // [count]
  const void* current_in;  // [count], null for models without
  void* spikes;            // [steps, count], 0 or `factor`
  void* voltage;           // [count]
  void* current;           // [count], null for models without
  void* voltages;          // [steps, count], the voltage after each step, or null
  void* resets;            // [steps, count], whether a neuron stood above its threshold before the step, or null
  Coefficient decay, current_decay, threshold, amount, factor;
  double tau, rest;
};

void integrate_fire_cpu(const IntegrateFireArgs& a, int64_t begin, int64_t end);  // neurons
void integrate_fire_cuda(const IntegrateFireArgs& a, void* stream);

// Element i of step t is data[t * step_stride + i * item_stride]; item_stride is 1, or 0 where all are one.
struct Series {
  const void* data;  // null: there is none
  int64_t step_stride, item_stride;
};

// A sequence of steps of neurons. `marks`: the state after every `interval` steps but the last, for the backward pass.
struct NeuronRunArgs {
  Scalar type;
  NeuronModel model;
  BatchReduction reduction;
  bool refrac_lock;
  int64_t steps, batch, count, kinds;             // kinds: adaptations of each neuron; 0 for models without
  double dt;                                      // ms
  Coefficient refrac_t;                           // of each of `count`, ms
  Coefficient parameters[max_neuron_parameters];  // of each of `count`, in the model's order
  Series inputs;                                  // [steps, batch * count], nA
  const void *voltage_in, *refrac_in;             // [batch, count]
  const void *adaptation_in, *constants;          // [count, kinds]; [constants of the model's law, kinds]
  bool bool_spikes;                               // bytes 0 or 1; otherwise of `type`
  void* spikes;                                   // [steps, batch, count]
  void *voltage, *refrac, *adaptation;            // the state after all steps
  void *voltages, *refracs;                       // [steps, batch, count], after each step, or null
  int64_t interval;                               // steps, at least 1
  void *voltage_marks, *refrac_marks;             // [(steps - 1) / interval, batch, count], or null
  void* adaptation_marks;                         // [(steps - 1) / interval, count, kinds], or null
};

void neuron_run_cpu(const NeuronRunArgs& a, int64_t begin, int64_t end);  // neuron_items(a)
void neuron_run_cuda(const NeuronRunArgs& a, void* stream);

enum class Surrogate : int32_t {  // core/surrogate.h
  atan,
  sigmoid,
  fast_sigmoid,
  super_spike,
  triangular,
  gaussian,
  boxcar,
  straight_through,
  none
};

// Gradients of the results of a sequence in, those of what it was computed from out; null for what there is none of.
struct NeuronRunBackwardArgs {
  NeuronRunArgs run;  // its results are not read, its marks are
  Surrogate surrogate;
  double scale;  // of the surrogate, 1/mV
  bool detach_reset;
  Series of_spikes, of_voltages;            // [steps, batch * count]
  const void *of_voltage, *of_adaptation;   // [batch, count]; [count, kinds]
  void* inputs;                             // [steps, batch, count]
  void* voltage;                            // [batch, count]
  void* adaptation;                         // [count, kinds]
  void* constants;                          // [constants, kinds, count], in the compute type
  void* parameters[max_neuron_parameters];  // [batch, count] each, in the compute type
  void* scratch;                            // of the CUDA kernel of models that adapt, see core/adapting_scratch.h
};

void neuron_run_backward_cpu(const NeuronRunBackwardArgs& a, int64_t begin, int64_t end);  // neuron_items(a.run)
void neuron_run_backward_cuda(const NeuronRunBackwardArgs& a, void* stream);

}  // namespace inferno
