// Gradients of sequences of neurons whose samples share adaptations.
#pragma once
#include "core/adapting_scratch.h"
#include "cuda/batch_lanes.h"
#include "cuda/neuron_trace.h"

namespace inferno {

// A thread's part in taking the gradient of a neuron back, in the samples of some lanes. What the threads of a neuron
// share lies in shared memory, what a sample takes from step to step in the scratch.
template <class T, class Model>
struct AdaptingBackward {
  using C = Compute<T>;
  using Law = typename Model::Adaptation;
  enum Sum { moving, fired, above_rest, acting, sum_count };

  const NeuronRunBackwardArgs& g;
  const NeuronRunArgs& a;
  const SurrogateNumbers<C> numbers;
  const bool learns;
  const int lanes;
  const int64_t i, items;
  const bool mine, adapts, mean;
  const Model model;
  const Refractory<C> waits;
  const AdaptingScratch<T> scratch;
  C* const shared;

  // Values of a neuron in shared memory.
  static size_t slots(const NeuronRunArgs& a, int64_t lanes) {
    const int64_t sums = a.kinds > sum_count ? a.kinds : int64_t(sum_count);
    return size_t((1 + adapting_stretch) * a.kinds + sums * lanes);
  }

  __device__ AdaptingBackward(const NeuronRunBackwardArgs& args, const SurrogateNumbers<C>& numbers, bool learns,
                              int lanes)
      : g(args),
        a(args.run),
        numbers(numbers),
        learns(learns),
        lanes(lanes),
        i(int64_t(blockIdx.x) * blockDim.x + threadIdx.x),
        items(a.batch * a.count),
        mine(i < a.count),
        adapts(a.reduction != BatchReduction::none),
        mean(a.reduction == BatchReduction::mean && a.batch > 1),
        model(model_of<Model, C>(a, mine ? i : 0)),
        waits(refractory_of<C>(a, mine ? i : 0)),
        scratch(args.scratch, items),
        shared(dynamic_shared<C>()) {}

  __device__ C& slot(int64_t number) const { return shared[number * blockDim.x + threadIdx.x]; }
  __device__ C& gradient(int64_t kind) const { return slot(kind); }
  // The adaptation before a step of the stretch.
  __device__ C& before(int64_t step, int64_t kind) const { return slot((1 + step) * a.kinds + kind); }
  __device__ C& sum(int64_t number, int64_t lane) const {
    return slot((1 + adapting_stretch) * a.kinds + number * lanes + lane);
  }
  __device__ void add_to_sum(int64_t number, int64_t sample, int lane, C value) const {
    sum(number, lane) = (sample < lanes ? C(0) : sum(number, lane)) + value;
  }
  template <class F>
  __device__ void each_kind(F&& f) const {
    for (int64_t k = threadIdx.y; mine && k < a.kinds; k += blockDim.y) f(k);
  }
  __device__ C constant(int64_t number, int64_t kind) const {
    return static_cast<const C*>(a.constants)[number * a.kinds + kind];
  }
  __device__ void constants_of(int64_t kind, C* own) const {
    for (int c = 0; c < Law::constants; ++c) own[c] = constant(c, kind);
  }
  __device__ C total(int64_t step) const {
    C total = 0;
    for (int64_t k = 0; mine && k < a.kinds; ++k) total = k ? total + before(step, k) : before(step, k);
    return total;
  }
  // Where the voltages before the steps of a stretch are kept.
  __device__ T* voltages(int64_t first) const {
    return g.inputs ? static_cast<T*>(g.inputs) + first * items : scratch.voltages;
  }

  __device__ void begin() const {
    each_kind([&](int64_t k) {
      const T* from = static_cast<const T*>(g.of_adaptation);
      gradient(k) = from ? load(from[i * a.kinds + k]) : C(0);
      for (int c = 0; g.constants && c < Law::constants; ++c) of_constant(c, k) = 0;
    });
    if (!mine) return;
    each_sample(a.batch, lanes, [&](int64_t sample, int) {
      const int64_t at = sample * a.count + i;
      scratch.of_voltage[at] = g.of_voltage ? load(static_cast<const T*>(g.of_voltage)[at]) : C(0);
      Model none;
      memset(&none, 0, sizeof none);
      if (learns) store_parameters<C>(g, at, none);
    });
  }

  __device__ C& of_constant(int number, int64_t kind) const {
    return static_cast<C*>(g.constants)[(number * a.kinds + kind) * a.count + i];
  }

  // Runs from the last state that was kept to the end of the stretch [first, last), which leaves its voltages, marks
  // and adaptations.
  __device__ void remember(int64_t first, int64_t last) const {
    const int64_t mark = first / a.interval - 1;
    load_state(mark, voltages(first));
    for (int64_t t = (mark + 1) * a.interval; t < last; ++t) {
      __syncthreads();
      const C sum_of_kinds = total(t > first ? t - first : 0);
      if (mine)
        each_sample(a.batch, lanes,
                    [&](int64_t sample, int lane) { step(t, first, last, sample, lane, sum_of_kinds); });
      if (t + 1 < last) adapt(t, first);
    }
    __syncthreads();
  }

  __device__ void load_state(int64_t mark, T* voltages) const {
    const bool given = mark < 0;
    const T* voltage = static_cast<const T*>(given ? a.voltage_in : a.voltage_marks) + (given ? 0 : mark * items);
    const T* refrac = static_cast<const T*>(given ? a.refrac_in : a.refrac_marks) + (given ? 0 : mark * items);
    const T* adaptation = static_cast<const T*>(given ? a.adaptation_in : a.adaptation_marks);
    const int64_t row = (given ? 0 : mark * a.count) + i;
    each_kind([&](int64_t k) { before(0, k) = load(adaptation[row * a.kinds + k]); });
    if (!mine) return;
    each_sample(a.batch, lanes, [&](int64_t sample, int) {
      const int64_t at = sample * a.count + i;
      voltages[at] = voltage[at];
      scratch.refrac[at] = load(refrac[at]);
      scratch.marks[at] = 0;
    });
  }

  __device__ void step(int64_t t, int64_t first, int64_t last, int64_t sample, int lane, C sum_of_kinds) const {
    const int64_t at = sample * a.count + i, row = t > first ? t - first : 0;
    C voltage = load(voltages(first)[row * items + at]), refrac = scratch.refrac[at];
    const StepOutcome<C> outcome =
        neuron_step(voltage, refrac, value_at<T>(a.inputs, t, at), sum_of_kinds, model, waits, a.refrac_lock);
    const T after = store<T>(voltage);
    refrac = load(store<T>(refrac));
    scratch.refrac[at] = refrac;
    const int32_t hold = int32_t(a.refrac_lock) & int32_t(refrac > C(0));
    if (t >= first) scratch.marks[at] |= uint64_t(outcome.waiting | hold << 1) << 2 * (t - first);
    if (t + 1 == last) return;
    voltages(first)[(t + 1 > first ? t + 1 - first : 0) * items + at] = after;
    for (int64_t k = 0; adapts && k < a.kinds; ++k) {
      C own[Law::constants];
      constants_of(k, own);
      const C value = Law::update(before(row, k), hold, outcome.fire, load(after) - model.rest_v, own);
      sum(k, lane) = sample < lanes ? value : sum(k, lane) + value;
    }
  }

  // The adaptations after step t, from their partial sums over the batch.
  __device__ void adapt(int64_t t, int64_t first) const {
    const int64_t row = t > first ? t - first : 0, next = t + 1 > first ? t + 1 - first : 0;
    if (adapts)
      add_lanes(a.batch, lanes, mine, [&](int64_t lower, int64_t upper) {
        for (int64_t k = 0; k < a.kinds; ++k) sum(k, lower) = sum(k, lower) + sum(k, upper);
      });
    __syncthreads();
    each_kind([&](int64_t k) {
      const C whole = adapts ? sum(k, 0) : before(row, k);
      before(next, k) = adapts ? load(store<T>(mean ? whole / C(a.batch) : whole)) : whole;
    });
  }

  // Takes the gradients back over step t of the stretch.
  __device__ void back(int64_t t, int64_t first) const {
    AdaptationPull<C> pull{C(0), C(0)};
    for (int64_t k = 0; adapts && mine && k < a.kinds; ++k) {
      C own[Law::constants];
      constants_of(k, own);
      add_pull<Law>(of_update(k), own, pull);
    }
    const C sum_of_kinds = total(t - first);
    if (mine)
      each_sample(a.batch, lanes,
                  [&](int64_t sample, int lane) { back_sample(t, first, sample, lane, sum_of_kinds, pull); });
    add_lanes(a.batch, lanes, mine, [&](int64_t lower, int64_t upper) {
      for (int s = 0; s < sum_count; ++s) sum(s, lower) = sum(s, lower) + sum(s, upper);
    });
    __syncthreads();
    each_kind([&](int64_t k) { back_adaptation(k, before(t - first, k)); });
    __syncthreads();
  }

  // The gradient of what one sample makes of an adaptation.
  __device__ C of_update(int64_t kind) const { return mean ? gradient(kind) / C(a.batch) : gradient(kind); }

  __device__ void back_sample(int64_t t, int64_t first, int64_t sample, int lane, C sum_of_kinds,
                              const AdaptationPull<C>& pull) const {
    const int64_t at = sample * a.count + i;
    const uint64_t mark = scratch.marks[at] >> 2 * (t - first);
    const int32_t waiting = int32_t(mark & 1), moves = int32_t(adapts) & int32_t((mark >> 1 & 1) ^ 1);
    const C voltage = load(voltages(first)[(t - first) * items + at]);
    const StepTrace<C> trace = trace_of<T>(g, t, at, sum_of_kinds, model, voltage, waiting, numbers);
    C of_voltage = scratch.of_voltage[at];
    if (g.of_voltages.data) of_voltage += value_at<T>(g.of_voltages, t, at);
    const C of_above_rest = moves ? pull.above_rest : C(0);
    const C of_spike = (g.of_spikes.data ? value_at<T>(g.of_spikes, t, at) : C(0)) + pull.spike;
    of_voltage += of_above_rest;
    const StepGradients<C> found = neuron_adjoint(of_spike, of_voltage, trace, model, int32_t(g.detach_reset));
    if (learns) {
      Model gradients = load_parameters<C, Model>(g, at);
      add_parameter_gradients(found, of_above_rest, trace, model, gradients);
      store_parameters<C>(g, at, gradients);
    }
    scratch.of_voltage[at] = found.voltage;
    if (g.inputs) static_cast<T*>(g.inputs)[t * items + at] = store<T>(found.current);
    const bool fires = trace.code > C(0);
    const C after = load(store<T>(fires ? model.reset(trace.reached) : trace.reached));
    add_to_sum(moving, sample, lane, C(moves));
    add_to_sum(fired, sample, lane, C(fires));
    add_to_sum(above_rest, sample, lane, moves ? after - model.rest_v : C(0));
    add_to_sum(acting, sample, lane, Law::acting(found.crossing, found.current));
  }

  __device__ void back_adaptation(int64_t kind, C adaptation) const {
    if (!adapts) {
      gradient(kind) += sum(acting, 0);
      return;
    }
    C own[Law::constants], parts[Law::constants] = {};
    constants_of(kind, own);
    const C after = of_update(kind);
    const SampleSums<C> sums{sum(moving, 0), sum(fired, 0), sum(above_rest, 0)};
    Law::add_gradients(after, adaptation, sums, own, parts);
    for (int c = 0; g.constants && c < Law::constants; ++c) of_constant(c, kind) += parts[c];
    gradient(kind) = adaptation_adjoint<Law>(after, sums.moving, sum(acting, 0), a.batch, own);
  }

  __device__ void end() const {
    each_kind([&](int64_t k) {
      if (g.adaptation) static_cast<T*>(g.adaptation)[i * a.kinds + k] = store<T>(gradient(k));
    });
    if (!mine || !g.voltage) return;
    each_sample(a.batch, lanes, [&](int64_t sample, int) {
      const int64_t at = sample * a.count + i;
      static_cast<T*>(g.voltage)[at] = store<T>(scratch.of_voltage[at]);
    });
  }
};

template <class T, class Model>
__global__ void __launch_bounds__(lane_threads)
    adapting_backward_kernel(NeuronRunBackwardArgs g, SurrogateNumbers<Compute<T>> numbers, bool learns, int lanes) {
  const AdaptingBackward<T, Model> neuron(g, numbers, learns, lanes);
  neuron.begin();
  for (int64_t last = g.run.steps, first; last > 0; last = first) {
    const int64_t kept = (last - 1) / g.run.interval * g.run.interval;
    first = kept + (last - 1 - kept) / adapting_stretch * adapting_stretch;
    neuron.remember(first, last);
    for (int64_t t = last - 1; t >= first; --t) neuron.back(t, first);
  }
  neuron.end();
}

template <class T, class Model>
void adapting_backward(const NeuronRunBackwardArgs& g, bool learns, void* stream) {
  using C = Compute<T>;
  const int lanes = int(batch_lanes(g.run.batch));
  const size_t bytes = AdaptingBackward<T, Model>::slots(g.run, lanes) * sizeof(C);
  const dim3 block = lane_block(lanes, bytes, "neuron_run_backward");
  const dim3 grid(unsigned((g.run.count + block.x - 1) / block.x));
  launch(adapting_backward_kernel<T, Model>, grid, block, block.x * bytes, stream, g,
         surrogate_numbers<C>(g.surrogate, g.scale), learns, lanes);
}

}  // namespace inferno
