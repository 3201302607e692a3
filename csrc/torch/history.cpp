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

// data: [slots, batch, rest]; time: [batch, rest, depth]; any strides. Result: [batch, rest, depth]
HistoryGatherArgs gather_args(const Tensor& data, const Tensor& pointer, const Tensor& time, const Tensor& out,
                              const TimeGrid& grid, int64_t offset, std::optional<double> overbound) {
  const Ring ring = ring_of(data, pointer);
  STD_TORCH_CHECK(time.dim() == 3 && time.size(0) == ring.batch && time.size(1) == ring.rest, "time: wrong shape");
  const Scalar time_type = floating_of(time, "time");
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
          time.size(2),
          time.stride(0),
          time.stride(1),
          time.stride(2),
          out.mutable_data_ptr(),
          offset,
          !overbound.has_value(),
          overbound.value_or(0)};
}

template <void (*Run)(const HistoryGatherArgs&, const Tensor&)>
Tensor gather(const Tensor& data, const Tensor& pointer, const Tensor& time, double dt, double max_time,
              int64_t max_age, int64_t mode, double time_constant, double tolerance, double eps, int64_t offset,
              std::optional<double> overbound) {
  Tensor out = empty(data, sizes_of(time), data.scalar_type());
  const TimeGrid grid = grid_of(dt, max_time, tolerance, time_constant, eps, max_age, mode);
  Run(gather_args(data, pointer, time, out, grid, offset, overbound), data);
  return out;
}

void gather_cpu(const HistoryGatherArgs& a, const Tensor&) {
  parallel(a.ring.batch * a.ring.rest * a.depth, 8192,
           [&](int64_t begin, int64_t end) { history_gather_cpu(a, begin, end); });
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
      "delay_plan(Tensor delay, int slots, float dt, float max_delay, int mode, float time_constant, "
      "float tolerance, float eps, bool clamp) -> (Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CPU, m) {
  m.impl("history_push_", TORCH_BOX(&inferno::push_cpu));
  m.impl("history_gather", TORCH_BOX(&inferno::gather<inferno::gather_cpu>));
  m.impl("delay_plan", TORCH_BOX(&inferno::plan<inferno::plan_cpu>));
}

#ifdef INFERNO_WITH_CUDA
STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CUDA, m) {
  m.impl("history_push_", TORCH_BOX(&inferno::push_cuda));
  m.impl("history_gather", TORCH_BOX(&inferno::gather<inferno::gather_cuda>));
  m.impl("delay_plan", TORCH_BOX(&inferno::plan<inferno::plan_cuda>));
}
#endif
