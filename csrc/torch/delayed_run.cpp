#include "torch/common.h"

namespace inferno {
namespace {

ConvAxis run_axis(int64_t input, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation) {
  STD_TORCH_CHECK(input > 0 && kernel > 0 && stride > 0 && dilation > 0 && padding >= 0, "geometry: out of range");
  const int64_t room = input + 2 * padding - dilation * (kernel - 1) - 1;
  STD_TORCH_CHECK(room >= 0, "kernel: larger than the padded image");
  return {input, room / stride + 1, kernel, stride, padding, dilation, 1};
}

// [time, batch, rest], any strides
Sequence sequence_of(const Tensor& t, int64_t times, int64_t batch, int64_t rest, const char* name) {
  STD_TORCH_CHECK(t.dim() == 3 && t.size(0) == times && t.size(1) == batch && t.size(2) == rest, name, ": wrong shape");
  return {t.const_data_ptr(), t.stride(0), t.stride(1), t.stride(2)};
}

// geometry: empty (dense), one number (direct), or height, width and pairs of stride, padding and dilation.
DelayedRunArgs run_args(const Tensor& weight, const Tensor& slot, const std::optional<Tensor>& factor, int64_t slots,
                        bool linear, const std::vector<int64_t>& geometry) {
  DelayedRunArgs a{};
  a.type = floating_of(weight, "weight");
  const ScalarType compute = a.type == Scalar::f64 ? ScalarType::Double : ScalarType::Float;
  STD_TORCH_CHECK(slots > 0 && slots < (int64_t(1) << 31), "slots: must be positive and below 2^31");
  check_array(weight, "weight", weight.scalar_type(), weight.numel(), weight);
  a.byte_slots = slot.scalar_type() == ScalarType::Byte;
  check_array(slot, "slot", a.byte_slots ? ScalarType::Byte : ScalarType::Int, weight.numel(), weight);
  if (factor) check_array(*factor, "factor", compute, weight.numel(), weight);
  a.linear = linear;
  a.direct = geometry.size() == 1;
  a.slots = slots;
  STD_TORCH_CHECK(weight.dim() == (geometry.empty() ? 2 : a.direct ? 1 : 4), "weight: wrong number of dimensions");
  a.filters = weight.size(0);
  a.channels = a.direct ? weight.size(0) : weight.size(1);
  a.rows = a.columns = {1, 1, 1, 1, 0, 1, 1};
  if (geometry.size() > 1) {
    STD_TORCH_CHECK(geometry.size() == 8, "geometry: must have 8 numbers");
    const auto& g = geometry;
    a.rows = run_axis(g[0], weight.size(2), g[2], g[4], g[6]);
    a.columns = run_axis(g[1], weight.size(3), g[3], g[5], g[7]);
  }
  a.weight = weight.const_data_ptr();
  a.slot = slot.const_data_ptr();
  a.factor = factor ? factor->const_data_ptr() : nullptr;
  a.scale = 1;
  return a;
}

int64_t inputs_of(const DelayedRunArgs& a) { return a.channels * a.rows.input * a.columns.input; }
int64_t outputs_of(const DelayedRunArgs& a) { return a.filters * a.rows.output * a.columns.output; }

// series: [slots - 1 + steps, batch, inputs]
void take_series(DelayedRunArgs& a, const Tensor& series, const Tensor& weight, double scale, double overbound) {
  STD_TORCH_CHECK(series.dim() == 3 && series.size(0) >= a.slots - 1,
                  "series: must be [slots - 1 + steps, batch, inputs]");
  a.bool_series = series.scalar_type() == ScalarType::Bool;
  STD_TORCH_CHECK(a.bool_series || series.scalar_type() == weight.scalar_type(),
                  "series: must be bool or of weight's dtype");
  check_device(series, weight, "series");
  a.steps = series.size(0) - (a.slots - 1);
  a.batch = series.size(1);
  a.series = sequence_of(series, series.size(0), a.batch, inputs_of(a), "series");
  a.scale = scale;
  a.overbound = overbound;
}

// grad: [steps, batch, outputs]
void take_grad(DelayedRunArgs& a, const Tensor& grad, const Tensor& weight) {
  STD_TORCH_CHECK(grad.scalar_type() == weight.scalar_type(), "grad: must be of weight's dtype");
  check_device(grad, weight, "grad");
  a.grad = sequence_of(grad, a.steps, a.batch, outputs_of(a), "grad");
}

// Runs a CPU kernel on `count` items, one stretch of them a thread unless that would be too little work for it.
template <class Kernel>
void run_cpu(const DelayedRunArgs& a, Kernel kernel, int64_t count, int64_t work) {
  const int64_t threads = torch::stable::get_num_threads();
  const int64_t grain = std::max((count + threads - 1) / threads, 32768 / (work + 1));
  parallel(count, std::max(grain, int64_t(1)), [&](int64_t begin, int64_t end) { kernel(a, begin, end); });
}

enum class Device { cpu, cuda };

int64_t terms_of(const DelayedRunArgs& a) { return (a.direct ? 1 : a.channels) * a.rows.kernel * a.columns.kernel; }

template <Device device>
Tensor run(const Tensor& series, const Tensor& weight, const std::optional<Tensor> bias, const Tensor& slot,
           const std::optional<Tensor> factor, int64_t slots, bool linear, double scale, double overbound,
           const std::vector<int64_t> geometry) {
  DelayedRunArgs a = run_args(weight, slot, factor, slots, linear, geometry);
  take_series(a, series, weight, scale, overbound);
  if (bias) check_array(*bias, "bias", weight.scalar_type(), a.filters, weight);
  a.bias = bias ? bias->const_data_ptr() : nullptr;
  Tensor out = empty(weight, {a.steps, a.batch, outputs_of(a)}, weight.scalar_type());
  a.out = out.mutable_data_ptr();
  if constexpr (device == Device::cpu) {
    const int64_t units = delayed_run_units(a, a.steps);
    const int64_t elements = units ? a.steps * a.batch * a.rows.output * a.columns.output / units : 0;
    run_cpu(a, delayed_run_cpu, units * a.filters, elements * terms_of(a));
  }
#ifdef INFERNO_WITH_CUDA
  if constexpr (device == Device::cuda) on_stream(weight, [&](void* stream) { delayed_run_cuda(a, stream); });
#endif
  return out;
}

template <Device device>
Tensor run_series(const Tensor& grad, const Tensor& weight, const Tensor& slot, const std::optional<Tensor> factor,
                  int64_t slots, bool linear, const std::vector<int64_t> geometry) {
  DelayedRunArgs a = run_args(weight, slot, factor, slots, linear, geometry);
  STD_TORCH_CHECK(grad.dim() == 3, "grad: must be [steps, batch, outputs]");
  a.steps = grad.size(0);
  a.batch = grad.size(1);
  take_grad(a, grad, weight);
  const int64_t times = a.slots - 1 + a.steps;
  Tensor out = empty(weight, {times, a.batch, inputs_of(a)}, weight.scalar_type());
  a.out = out.mutable_data_ptr();
  if constexpr (device == Device::cpu) {
    const int64_t units = delayed_run_units(a, times);
    const int64_t elements = units ? a.steps * a.batch * a.rows.output * a.columns.output / units : 0;
    run_cpu(a, delayed_run_series_cpu, units * a.channels,
            elements * terms_of(a) * a.filters / std::max(a.channels, int64_t(1)));
  }
#ifdef INFERNO_WITH_CUDA
  if constexpr (device == Device::cuda) on_stream(weight, [&](void* stream) { delayed_run_series_cuda(a, stream); });
#endif
  return out;
}

template <Device device>
std::tuple<Tensor, Tensor> run_taps(const Tensor& grad, const Tensor& series, const Tensor& weight, const Tensor& slot,
                                    int64_t slots, bool newer, double scale, double overbound,
                                    const std::vector<int64_t> geometry) {
  DelayedRunArgs a = run_args(weight, slot, std::nullopt, slots, false, geometry);
  take_series(a, series, weight, scale, overbound);
  take_grad(a, grad, weight);
  STD_TORCH_CHECK(!newer || slots > 1, "newer: there is no sample after the only one");
  const ScalarType compute = a.type == Scalar::f64 ? ScalarType::Double : ScalarType::Float;
  Tensor older = empty(weight, sizes_of(weight), compute);
  Tensor other = empty(weight, newer ? sizes_of(weight) : std::vector<int64_t>{0}, compute);
  a.older = older.mutable_data_ptr();
  a.newer = newer ? other.mutable_data_ptr() : nullptr;
  if constexpr (device == Device::cpu)
    run_cpu(a, delayed_run_taps_cpu, a.filters, a.steps * a.batch * a.rows.output * a.columns.output * terms_of(a));
#ifdef INFERNO_WITH_CUDA
  if constexpr (device == Device::cuda) on_stream(weight, [&](void* stream) { delayed_run_taps_cuda(a, stream); });
#endif
  return {older, other};
}

}  // namespace
}  // namespace inferno

STABLE_TORCH_LIBRARY_FRAGMENT(inferno_cuda, m) {
  m.def(
      "delayed_run(Tensor series, Tensor weight, Tensor? bias, Tensor slot, Tensor? factor, int slots, bool linear, "
      "float scale, float overbound, int[] geometry) -> Tensor");
  m.def(
      "delayed_run_series(Tensor grad, Tensor weight, Tensor slot, Tensor? factor, int slots, bool linear, "
      "int[] geometry) -> Tensor");
  m.def(
      "delayed_run_taps(Tensor grad, Tensor series, Tensor weight, Tensor slot, int slots, bool newer, float scale, "
      "float overbound, int[] geometry) -> (Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CPU, m) {
  m.impl("delayed_run", TORCH_BOX(&inferno::run<inferno::Device::cpu>));
  m.impl("delayed_run_series", TORCH_BOX(&inferno::run_series<inferno::Device::cpu>));
  m.impl("delayed_run_taps", TORCH_BOX(&inferno::run_taps<inferno::Device::cpu>));
}

#ifdef INFERNO_WITH_CUDA
STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CUDA, m) {
  m.impl("delayed_run", TORCH_BOX(&inferno::run<inferno::Device::cuda>));
  m.impl("delayed_run_series", TORCH_BOX(&inferno::run_series<inferno::Device::cuda>));
  m.impl("delayed_run_taps", TORCH_BOX(&inferno::run_taps<inferno::Device::cuda>));
}
#endif
