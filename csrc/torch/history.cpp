#include <cmath>

#include "torch/common.h"

namespace inferno {
namespace {

int32_t element_size(Scalar type) {
  switch (type) {
    case Scalar::f32:
      return 4;
    case Scalar::f64:
      return 8;
    case Scalar::f16:
    case Scalar::bf16:
      return 2;
    case Scalar::boolean:
      return 1;
  }
  return 0;
}

Interp mode_of(int64_t mode) {
  STD_TORCH_CHECK(mode >= 0 && mode <= 4, "mode: unknown interpolation");
  return Interp(mode);
}

TimeGrid grid_of(double dt, double max_time, double tolerance, double time_constant, double eps, int64_t max_age,
                 int64_t mode) {
  STD_TORCH_CHECK(dt > 0, "dt: must be positive");
  return {dt, max_time, tolerance, time_constant, eps, max_age, mode_of(mode)};
}

// data: [slots, batch, rest], any strides; obs: [batch, rest], any strides
HistoryPushArgs push_args(const Tensor& data, const Tensor& pointer, const Tensor& obs) {
  const Ring ring = ring_of(data, pointer);
  STD_TORCH_CHECK(obs.dim() == 2 && obs.size(0) == ring.batch && obs.size(1) == ring.rest, "obs: wrong shape");
  STD_TORCH_CHECK(obs.scalar_type() == data.scalar_type(), "obs: wrong dtype");
  check_device(obs, data, "obs");
  for (int64_t d = 0; d < 3; ++d)
    STD_TORCH_CHECK(data.stride(d) != 0 || data.size(d) == 1, "data: its elements share memory");
  STD_TORCH_CHECK(!overlap(obs, data), "obs: overlaps data in memory; pass a clone");
  return {ring,
          element_size(scalar_of(data, "data")),
          data.mutable_data_ptr(),
          static_cast<int64_t*>(pointer.mutable_data_ptr()),
          obs.const_data_ptr(),
          obs.stride(0),
          obs.stride(1)};
}

void push_cpu(Tensor data, Tensor pointer, const Tensor& obs) {
  const HistoryPushArgs a = push_args(data, pointer, obs);
  parallel(a.ring.rest, 1 + 65536 / (a.ring.batch + 1),
           [&](int64_t begin, int64_t end) { history_push_cpu(a, begin, end); });
  history_advance_cpu(a);
}

struct TimeLayout {
  int64_t depth, batch_stride, rest_stride, depth_stride;
};

HistoryGatherArgs gather_args(const Tensor& data, const Ring& ring, const Tensor& time, const TimeLayout& layout,
                              const Tensor& out, const TimeGrid& grid, int64_t offset,
                              std::optional<double> overbound) {
  const Scalar time_type = floating_of(time, "time");
  STD_TORCH_CHECK(grid.max_age >= 0 && grid.max_age < ring.slots, "max_age: there are not so many samples");
  STD_TORCH_CHECK(time_type == Scalar::f32 || time_type == Scalar::f64, "time: must be float32 or float64");
  check_device(time, data, "time");
  const Scalar type = scalar_of(data, "data");
  STD_TORCH_CHECK(type != Scalar::boolean || (grid.mode != Interp::linear && grid.mode != Interp::expdecay),
                  "data: bool samples cannot be interpolated");
  return {type,
          time_type,
          ring,
          grid,
          data.const_data_ptr(),
          time.const_data_ptr(),
          layout.depth,
          layout.batch_stride,
          layout.rest_stride,
          layout.depth_stride,
          out.mutable_data_ptr(),
          offset,
          !overbound.has_value(),
          overbound.value_or(0)};
}

// data: [slots, batch, rest]; time: [batch, rest, depth]; any strides. Result: [batch, rest, depth]
template <void (*Run)(const HistoryGatherArgs&, const Tensor&)>
Tensor gather(const Tensor& data, const Tensor& pointer, const Tensor& time, double dt, double max_time,
              int64_t max_age, int64_t mode, double time_constant, double tolerance, double eps, int64_t offset,
              std::optional<double> overbound) {
  const Ring ring = ring_of(data, pointer);
  STD_TORCH_CHECK(time.dim() == 3 && time.size(0) == ring.batch && time.size(1) == ring.rest, "time: wrong shape");
  const TimeLayout layout{time.size(2), time.stride(0), time.stride(1), time.stride(2)};
  Tensor out = empty(data, sizes_of(time), data.scalar_type());
  const TimeGrid grid = grid_of(dt, max_time, tolerance, time_constant, eps, max_age, mode);
  Run(gather_args(data, ring, time, layout, out, grid, offset, overbound), data);
  return out;
}

void gather_cpu(const HistoryGatherArgs& a, const Tensor&) {
  parallel(a.ring.rest * a.depth, 1 + 8192 / (a.ring.batch + 1),
           [&](int64_t begin, int64_t end) { history_gather_cpu(a, begin, end); });
}

// Dimensions [from, to) of t taken as one.
std::pair<int64_t, int64_t> merged(const Tensor& t, int64_t from, int64_t to, const char* name) {
  int64_t size = 1, stride = 1;
  for (int64_t d = to - 1; d >= from; --d) {
    if (t.size(d) == 1) continue;
    STD_TORCH_CHECK(size <= 1 || t.stride(d) == stride * size, name, ": its dimensions do not merge");
    if (size == 1) stride = t.stride(d);
    size *= t.size(d);
  }
  return {size, stride};
}

void set_minus(HistoryGatherArgs& a, const Tensor& data, const Tensor& minus, const std::optional<Tensor>& pointer) {
  STD_TORCH_CHECK(pointer && a.grid.mode == Interp::expdecay && a.grid.second_constant > 0, "minus: must decay");
  STD_TORCH_CHECK(minus.scalar_type() == data.scalar_type(), "minus: wrong dtype");
  check_shape(minus, data, "minus");
  const auto strides = minus.strides(), wanted = data.strides();
  STD_TORCH_CHECK(std::equal(strides.begin(), strides.end(), wanted.begin()), "minus: other strides than data");
  check_ring(minus, *pointer);
  a.minus = minus.const_data_ptr();
  a.minus_pointer = static_cast<const int64_t*>(pointer->const_data_ptr());
}

// The same for data [slots, batch, *obs] and time [batch, *obs] or [batch, *obs, depth] as they are, with all numbers
// in one tensor: every argument of an operator costs time. The result is shaped like time. `minus` is a second history,
// laid out like data, whose values are subtracted. how:
// dt, max_time, tolerance, time_constant, eps, max_age, mode, offset, clamp, overbound, type that bool samples are read
// as or -1, scale of these, time constant of minus; float64
Tensor look_up_cpu(const Tensor& data, const Tensor& pointer, const Tensor& time, const Tensor& how,
                   const std::optional<Tensor> minus, const std::optional<Tensor> minus_pointer) {
  const int64_t dims = data.dim() - 1;
  STD_TORCH_CHECK(dims >= 2 && (time.dim() == dims || time.dim() == dims + 1), "time: wrong shape");
  for (int64_t d = 0; d < dims; ++d) STD_TORCH_CHECK(time.size(d) == data.size(d + 1), "time: wrong shape");
  STD_TORCH_CHECK(pointer.dim() == 0, "pointer: must be one int64");
  check_array(how, "how", ScalarType::Double, 13, data);
  const double* h = static_cast<const double*>(how.const_data_ptr());
  for (const int i : {5, 6, 7, 10}) STD_TORCH_CHECK(std::abs(h[i]) < 9e15, "how: no whole number");
  TimeGrid grid = grid_of(h[0], h[1], h[2], h[3], h[4], int64_t(h[5]), int64_t(h[6]));
  const auto [rest, rest_stride] = merged(data, 2, dims + 1, "data");
  const Ring ring = ring_of(data, pointer, rest, rest_stride);
  const int64_t time_rest_stride = merged(time, 1, dims, "time").second;
  const bool deep = time.dim() > dims;
  const TimeLayout layout{deep ? time.size(dims) : 1, time.stride(0), time_rest_stride, deep ? time.stride(dims) : 1};
  const bool scaled = h[10] >= 0;
  STD_TORCH_CHECK(!scaled || (data.scalar_type() == ScalarType::Bool && h[10] < 4), "data: must be bool to be scaled");
  Tensor out = empty(data, sizes_of(time), scaled ? floating_types[int(h[10])] : data.scalar_type());
  std::optional<double> overbound;
  if (h[8] == 0) overbound = h[9];
  if (minus) grid.second_constant = h[12];
  HistoryGatherArgs a = gather_args(data, ring, time, layout, out, grid, int64_t(h[7]), overbound);
  a.scaled = scaled;
  a.out_type = Scalar(scaled ? int(h[10]) : int(a.type));
  a.scale = h[11];
  if (minus) set_minus(a, data, *minus, minus_pointer);
  gather_cpu(a, data);
  return out;
}

// delay: [outputs, inputs], contiguous. Result: slot, uint8 or int32, and factor, both shaped like delay.
template <void (*Run)(const DelayPlanArgs&, const Tensor&)>
std::tuple<Tensor, Tensor> plan(const Tensor& delay, int64_t slots, double dt, double max_delay, int64_t mode,
                                double time_constant, double tolerance, double eps, bool clamp) {
  STD_TORCH_CHECK(slots >= 1 && slots < (int64_t(1) << 31), "slots: must be positive and below 2^31");
  const Scalar type = floating_of(delay, "delay");
  STD_TORCH_CHECK(type == Scalar::f32 || type == Scalar::f64, "delay: must be float32 or float64");
  check_array(delay, "delay", delay.scalar_type(), delay.numel(), delay);
  const bool byte_slots = slots <= 255;
  Tensor slot = empty(delay, sizes_of(delay), byte_slots ? ScalarType::Byte : ScalarType::Int);
  Tensor factor = empty(delay, sizes_of(delay), delay.scalar_type());
  Run({type, byte_slots, delay.numel(), slots, grid_of(dt, max_delay, tolerance, time_constant, eps, slots - 1, mode),
       clamp, delay.const_data_ptr(), slot.mutable_data_ptr(), factor.mutable_data_ptr()},
      delay);
  return {slot, factor};
}

void plan_cpu(const DelayPlanArgs& a, const Tensor&) {
  parallel(a.count, 16384, [&](int64_t begin, int64_t end) { delay_plan_cpu(a, begin, end); });
}

#ifdef INFERNO_WITH_CUDA
void push_cuda(Tensor data, Tensor pointer, const Tensor& obs) {
  on_stream(data, [&](void* stream) { history_push_cuda(push_args(data, pointer, obs), stream); });
}

void gather_cuda(const HistoryGatherArgs& a, const Tensor& t) {
  on_stream(t, [&](void* stream) { history_gather_cuda(a, stream); });
}

void plan_cuda(const DelayPlanArgs& a, const Tensor& t) {
  on_stream(t, [&](void* stream) { delay_plan_cuda(a, stream); });
}
#endif

}  // namespace
}  // namespace inferno

STABLE_TORCH_LIBRARY_FRAGMENT(inferno_cuda, m) {
  m.def("history_push_(Tensor(a!) data, Tensor(b!) pointer, Tensor obs) -> ()");
  m.def(
      "history_gather(Tensor data, Tensor pointer, Tensor time, float dt, float max_time, int max_age, int mode, "
      "float time_constant, float tolerance, float eps, int offset, float? overbound) -> Tensor");
  m.def(
      "history_look_up(Tensor data, Tensor pointer, Tensor time, Tensor how, Tensor? minus, Tensor? minus_pointer) "
      "-> Tensor");
  m.def(
      "delay_plan(Tensor delay, int slots, float dt, float max_delay, int mode, float time_constant, "
      "float tolerance, float eps, bool clamp) -> (Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CPU, m) {
  m.impl("history_push_", TORCH_BOX(&inferno::push_cpu));
  m.impl("history_gather", TORCH_BOX(&inferno::gather<inferno::gather_cpu>));
  m.impl("history_look_up", TORCH_BOX(&inferno::look_up_cpu));
  m.impl("delay_plan", TORCH_BOX(&inferno::plan<inferno::plan_cpu>));
}

#ifdef INFERNO_WITH_CUDA
STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CUDA, m) {
  m.impl("history_push_", TORCH_BOX(&inferno::push_cuda));
  m.impl("history_gather", TORCH_BOX(&inferno::gather<inferno::gather_cuda>));
  m.impl("delay_plan", TORCH_BOX(&inferno::plan<inferno::plan_cuda>));
}
#endif
