#include "core/args.h"
#include "core/neuron_models.h"
#include "cuda/launch.h"

namespace inferno {
namespace {

constexpr int threads = 256;

// As many values as one 16-byte access moves.
template <class T>
struct alignas(16) Pack {
  static constexpr int size = 16 / sizeof(T);
  T values[size];
};

template <bool Lock, class T, class Model>
__device__ uint8_t step_one(T& voltage, T& refrac, T input, Compute<T> adaptation, const Model& model,
                            const Refractory<Compute<T>>& waits) {
  Compute<T> v = load(voltage), r = load(refrac);
  const int32_t fire = neuron_step<Lock>(v, r, load(input), adaptation, model, waits);
  voltage = store<T>(v);
  refrac = store<T>(r);
  return uint8_t(fire);
}

template <class T, class Model, bool Lock>
__global__ void __launch_bounds__(threads)
    neuron_step_kernel(NeuronArgs a, Model model, Refractory<Compute<T>> waits, int64_t packs) {
  using C = Compute<T>;
  constexpr int size = Pack<T>::size;
  struct alignas(size) Flags {
    uint8_t values[size];
  };
  for (int64_t i = INFERNO_FIRST_ITEM; i < packs; i += INFERNO_ITEM_STRIDE) {
    Pack<T> voltage = static_cast<const Pack<T>*>(a.voltage_in)[i];
    Pack<T> refrac = static_cast<const Pack<T>*>(a.refrac_in)[i];
    const Pack<T> input = static_cast<const Pack<T>*>(a.inputs)[i];
    Flags spikes;
    for (int j = 0; j < size; ++j)
      spikes.values[j] = step_one<Lock>(voltage.values[j], refrac.values[j], input.values[j], C(0), model, waits);
    static_cast<Pack<T>*>(a.voltage)[i] = voltage;
    static_cast<Pack<T>*>(a.refrac)[i] = refrac;
    reinterpret_cast<Flags*>(a.spikes)[i] = spikes;
  }
  for (int64_t i = packs * size + INFERNO_FIRST_ITEM; i < a.batch * a.count; i += INFERNO_ITEM_STRIDE) {
    T voltage = static_cast<const T*>(a.voltage_in)[i], refrac = static_cast<const T*>(a.refrac_in)[i];
    a.spikes[i] = step_one<Lock>(voltage, refrac, static_cast<const T*>(a.inputs)[i], C(0), model, waits);
    static_cast<T*>(a.voltage)[i] = voltage;
    static_cast<T*>(a.refrac)[i] = refrac;
  }
}

// blockDim = (neurons, rows of threads): a thread steps one neuron in the samples of some lanes of the batch, see
// batch_lanes(), and keeps the partial sums of their adaptations in shared memory, [kinds, lanes, neurons].
template <class T, class Model>
__global__ void __launch_bounds__(threads)
    adaptive_step_kernel(NeuronArgs a, Model model, Refractory<Compute<T>> waits, int lanes) {
  using C = Compute<T>;
  using Law = typename Model::Adaptation;
  C* partial = dynamic_shared<C>();
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  const bool mine = i < a.count;
  const T* adaptation = static_cast<const T*>(a.adaptation_in) + i * a.kinds;
  const bool adapts = a.reduction != BatchReduction::none;
  const auto sum_at = [&](int64_t kind, int64_t lane) -> C& {
    return partial[(kind * lanes + lane) * blockDim.x + threadIdx.x];
  };
  C total = 0;
  if (mine)
    for (int64_t k = 0; k < a.kinds; ++k) total = k ? total + load(adaptation[k]) : load(adaptation[k]);
  for (int lane = threadIdx.y; mine && lane < lanes; lane += blockDim.y)
    for (int64_t b = lane; b < a.batch; b += lanes) {
      const int64_t at = b * a.count + i;
      T voltage = static_cast<const T*>(a.voltage_in)[at], refrac = static_cast<const T*>(a.refrac_in)[at];
      const T input = static_cast<const T*>(a.inputs)[at];
      const uint8_t fire = a.refrac_lock ? step_one<true>(voltage, refrac, input, total, model, waits)
                                         : step_one<false>(voltage, refrac, input, total, model, waits);
      static_cast<T*>(a.voltage)[at] = voltage;
      static_cast<T*>(a.refrac)[at] = refrac;
      a.spikes[at] = fire;
      const int32_t hold = int32_t(a.refrac_lock) & int32_t(load(refrac) > C(0));
      for (int64_t k = 0; adapts && k < a.kinds; ++k) {
        C own[Law::constants];
        for (int c = 0; c < Law::constants; ++c) own[c] = static_cast<const C*>(a.constants)[c * a.kinds + k];
        const C value = Law::update(load(adaptation[k]), hold, int32_t(fire), load(voltage) - model.rest_v, own);
        sum_at(k, lane) = b < lanes ? value : sum_at(k, lane) + value;
      }
    }
  if (!adapts) return;
  int64_t filled = a.batch < lanes ? a.batch : lanes;
  for (int half = lanes / 2; half > 0; filled = half, half /= 2) {
    __syncthreads();
    for (int lane = half + threadIdx.y; mine && lane < filled; lane += blockDim.y)
      for (int64_t k = 0; k < a.kinds; ++k) sum_at(k, lane - half) = sum_at(k, lane - half) + sum_at(k, lane);
  }
  __syncthreads();
  for (int64_t k = threadIdx.y; mine && k < a.kinds; k += blockDim.y) {
    const C sum = sum_at(k, 0);
    const C value = a.reduction == BatchReduction::mean && a.batch > 1 ? sum / C(a.batch) : sum;
    static_cast<T*>(a.adaptation)[i * a.kinds + k] = store<T>(value);
  }
}

bool aligned(const NeuronArgs& a) {
  const auto bits = uintptr_t(a.voltage_in) | uintptr_t(a.refrac_in) | uintptr_t(a.inputs) | uintptr_t(a.voltage) |
                    uintptr_t(a.refrac) | uintptr_t(a.spikes);
  return bits % 16 == 0;
}

template <class T, class Model>
void step(const NeuronArgs& a, void* stream) {
  const int64_t count = a.batch * a.count;
  const int64_t packs = aligned(a) ? count / Pack<T>::size : 0;
  const auto kernel = a.refrac_lock ? neuron_step_kernel<T, Model, true> : neuron_step_kernel<T, Model, false>;
  launch(kernel, grid_for(packs ? packs : count, threads), dim3(threads), 0, stream, a,
         model_from<Model, Compute<T>>(a.parameters), refractory<Compute<T>>(a), packs);
}

constexpr size_t shared_limit = 48 << 10;  // of a block, without asking for more

template <class T, class Model>
void adaptive_step(const NeuronArgs& a, void* stream) {
  using C = Compute<T>;
  const int lanes = int(batch_lanes(a.batch));
  const int rows = lanes < 8 ? lanes : 8;
  const size_t column = a.reduction == BatchReduction::none ? 0 : size_t(a.kinds) * lanes * sizeof(C);
  int columns = threads / rows;
  while (columns > 1 && columns * column > shared_limit) columns /= 2;
  if (columns * column > shared_limit) throw std::runtime_error("neuron_step: too many adaptations of one neuron");
  const dim3 grid(unsigned((a.count + columns - 1) / columns));
  launch(adaptive_step_kernel<T, Model>, grid, dim3(columns, rows), columns * column, stream, a,
         model_from<Model, C>(a.parameters), refractory<C>(a), lanes);
}

}  // namespace

void neuron_step_cuda(const NeuronArgs& a, void* stream) {
  if (a.batch * a.count == 0) return;
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    dispatch_model<Compute<T>>(a.model, [&](auto model) {
      using Model = decltype(model);
      if constexpr (Model::Adaptation::constants)
        adaptive_step<T, Model>(a, stream);
      else
        step<T, Model>(a, stream);
    });
  });
}

}  // namespace inferno
