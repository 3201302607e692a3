#include "core/args.h"
#include "core/neuron_models.h"
#include "cuda/batch_lanes.h"
#include "cuda/neuron_numbers.h"

namespace inferno {
namespace {

constexpr int threads = 256;

// The state of one neuron of one sample on its way through the steps.
template <class T>
struct State {
  using C = Compute<T>;
  C voltage, refrac;

  __device__ void load_from(const void* voltages, const void* refracs, int64_t at) {
    voltage = load(static_cast<const T*>(voltages)[at]);
    refrac = load(static_cast<const T*>(refracs)[at]);
  }
  __device__ void store_to(void* voltages, void* refracs, int64_t at) const {
    if (voltages) static_cast<T*>(voltages)[at] = store<T>(voltage);
    if (refracs) static_cast<T*>(refracs)[at] = store<T>(refrac);
  }
};

// Takes a step, and writes what is to be known of it at `at` of the series; returns whether the neuron fired.
template <class T, class Model>
__device__ int32_t step_once(const NeuronRunArgs& a, State<T>& state, Compute<T> input, Compute<T> acting,
                             const Model& model, const Refractory<Compute<T>>& waits, int64_t at) {
  using C = Compute<T>;
  const int32_t fire = neuron_step(state.voltage, state.refrac, input, acting, model, waits, a.refrac_lock).fire;
  state.voltage = load(store<T>(state.voltage));
  state.refrac = load(store<T>(state.refrac));
  if (a.bool_spikes)
    static_cast<uint8_t*>(a.spikes)[at] = uint8_t(fire);
  else
    static_cast<T*>(a.spikes)[at] = store<T>(C(fire));
  state.store_to(a.voltages, a.refracs, at);
  return fire;
}

// Whether the state after step t is one of those that are kept.
__device__ bool is_mark(const NeuronRunArgs& a, int64_t t) {
  return a.voltage_marks && (t + 1) % a.interval == 0 && t + 1 < a.steps;
}

// A thread takes a neuron of a sample through all steps, its state in registers.
template <class T, class Model>
__global__ void __launch_bounds__(threads) neuron_run_kernel(NeuronRunArgs a) {
  using C = Compute<T>;
  const int64_t items = a.batch * a.count;
  for (int64_t i = INFERNO_FIRST_ITEM; i < items; i += INFERNO_ITEM_STRIDE) {
    const Model model = model_of<Model, C>(a, i % a.count);
    const Refractory<C> waits = refractory_of<C>(a, i % a.count);
    State<T> state;
    state.load_from(a.voltage_in, a.refrac_in, i);
    for (int64_t t = 0; t < a.steps; ++t) {
      step_once(a, state, value_at<T>(a.inputs, t, i), C(0), model, waits, t * items + i);
      if (is_mark(a, t)) state.store_to(a.voltage_marks, a.refrac_marks, t / a.interval * items + i);
    }
    state.store_to(a.voltage, a.refrac, i);
  }
}

// As adaptive_step_kernel of a single step: blockDim = (neurons, rows of threads), a thread takes one neuron in the
// samples of some lanes. Their state stays in the outputs, the adaptations in shared memory: [kinds, 1 + lanes,
// neurons] of which the first are those of the neurons, the others partial sums.
template <class T, class Model>
__global__ void __launch_bounds__(lane_threads) adaptive_run_kernel(NeuronRunArgs a, int lanes) {
  using C = Compute<T>;
  using Law = typename Model::Adaptation;
  C* shared = dynamic_shared<C>();
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x, items = a.batch * a.count;
  const bool mine = i < a.count, adapts = a.reduction != BatchReduction::none;
  const auto sum_at = [&](int64_t kind, int64_t lane) -> C& {
    return shared[(kind * (1 + lanes) + 1 + lane) * blockDim.x + threadIdx.x];
  };
  const Model model = model_of<Model, C>(a, mine ? i : 0);
  const Refractory<C> waits = refractory_of<C>(a, mine ? i : 0);
  for (int64_t k = threadIdx.y; mine && k < a.kinds; k += blockDim.y)
    sum_at(k, -1) = load(static_cast<const T*>(a.adaptation_in)[i * a.kinds + k]);
  if (mine)
    each_sample(a.batch, lanes, [&](int64_t b, int) {
      State<T> state;
      state.load_from(a.voltage_in, a.refrac_in, b * a.count + i);
      state.store_to(a.voltage, a.refrac, b * a.count + i);
    });
  __syncthreads();
  for (int64_t t = 0; t < a.steps; ++t) {
    C total = 0;
    for (int64_t k = 0; mine && k < a.kinds; ++k) total = k ? total + sum_at(k, -1) : sum_at(k, -1);
    const auto take = [&](int64_t b, int lane) {
      const int64_t at = b * a.count + i;
      State<T> state;
      state.load_from(a.voltage, a.refrac, at);
      const int32_t fire = step_once(a, state, value_at<T>(a.inputs, t, at), total, model, waits, t * items + at);
      state.store_to(a.voltage, a.refrac, at);
      if (is_mark(a, t)) state.store_to(a.voltage_marks, a.refrac_marks, t / a.interval * items + at);
      const int32_t hold = int32_t(a.refrac_lock) & int32_t(state.refrac > C(0));
      for (int64_t k = 0; adapts && k < a.kinds; ++k) {
        C own[Law::constants];
        for (int c = 0; c < Law::constants; ++c) own[c] = static_cast<const C*>(a.constants)[c * a.kinds + k];
        const C value = Law::update(sum_at(k, -1), hold, fire, state.voltage - model.rest_v, own);
        sum_at(k, lane) = b < lanes ? value : sum_at(k, lane) + value;
      }
    };
    if (mine) each_sample(a.batch, lanes, take);
    if (adapts)
      add_lanes(a.batch, lanes, mine, [&](int64_t lower, int64_t upper) {
        for (int64_t k = 0; k < a.kinds; ++k) sum_at(k, lower) = sum_at(k, lower) + sum_at(k, upper);
      });
    __syncthreads();
    for (int64_t k = threadIdx.y; mine && k < a.kinds; k += blockDim.y) {
      const C sum = adapts ? sum_at(k, 0) : sum_at(k, -1);
      const T value = store<T>(a.reduction == BatchReduction::mean && a.batch > 1 ? sum / C(a.batch) : sum);
      sum_at(k, -1) = load(value);
      if (is_mark(a, t)) static_cast<T*>(a.adaptation_marks)[(t / a.interval * a.count + i) * a.kinds + k] = value;
    }
    __syncthreads();
  }
  for (int64_t k = threadIdx.y; mine && k < a.kinds; k += blockDim.y)
    static_cast<T*>(a.adaptation)[i * a.kinds + k] = store<T>(sum_at(k, -1));
}

template <class T, class Model>
void adaptive_run(const NeuronRunArgs& a, void* stream) {
  const int lanes = int(batch_lanes(a.batch));
  const size_t bytes = size_t(a.kinds) * (1 + lanes) * sizeof(Compute<T>);
  const dim3 block = lane_block(lanes, bytes, "neuron_run");
  const dim3 grid(unsigned((a.count + block.x - 1) / block.x));
  launch(adaptive_run_kernel<T, Model>, grid, block, block.x * bytes, stream, a, lanes);
}

}  // namespace

void neuron_run_cuda(const NeuronRunArgs& a, void* stream) {
  if (a.batch * a.count == 0) return;
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    dispatch_model<Compute<T>>(a.model, [&](auto model) {
      using Model = decltype(model);
      if constexpr (Model::Adaptation::constants)
        adaptive_run<T, Model>(a, stream);
      else
        launch(neuron_run_kernel<T, Model>, grid_for(a.batch * a.count, threads), dim3(threads), 0, stream, a);
    });
  });
}

}  // namespace inferno
