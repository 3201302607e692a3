#include "core/trace.h"

#include "torch/common.h"
#include "torch/flat.h"

namespace inferno {
namespace {

// Numbers of a step, in the order in which one tensor holds them; `scaled` says whether there is a scale.
struct Numbers {
  int64_t kind, events;
  double decay, amplitude, target, tolerance;
  bool scaled;
  double scale;
};

Plane plane_of(const Tensor& t, const Tensor& data, const char* name) {
  const auto sizes = t.sizes(), wanted = data.sizes();
  STD_TORCH_CHECK(std::equal(sizes.begin(), sizes.end(), wanted.begin() + 1, wanted.end()), name, ": wrong shape");
  check_device(t, data, name);
  STD_TORCH_CHECK(!overlap(t, data), name, ": overlaps data in memory; pass a clone");
  const Flat flat = flat_of(t, 0, name);
  return {t.const_data_ptr(), flat.batch_stride, flat.rest_stride};
}

// With `marks`, bytes stand in the place of the observation.
TraceArgs args_of(const Tensor& data, const Tensor& pointer, const Tensor& obs, const std::optional<Tensor>& mask,
                  const Numbers& n, const std::vector<uint8_t>* marks = nullptr) {
  STD_TORCH_CHECK(data.dim() >= 2, "data: must be [slots, batch, ...]");
  check_ring(data, pointer);
  for (int64_t d = 0; d < data.dim(); ++d)
    STD_TORCH_CHECK(data.stride(d) != 0 || data.size(d) == 1, "data: its elements share memory");
  STD_TORCH_CHECK(!overlap(pointer, data) && !overlap(pointer, obs), "pointer: overlaps another tensor in memory");
  STD_TORCH_CHECK(n.kind >= 0 && n.kind <= int64_t(TraceKind::instant), "kind: unknown");
  STD_TORCH_CHECK(n.events >= 0 && n.events <= int64_t(TraceEvents::within), "events: unknown");
  TraceArgs a{};
  a.kind = TraceKind(n.kind);
  a.events = TraceEvents(n.events);
  a.type = floating_of(data, "data");
  a.bool_obs = marks || obs.scalar_type() == ScalarType::Bool;
  STD_TORCH_CHECK(a.bool_obs || obs.scalar_type() == data.scalar_type(), "obs: wrong dtype");
  a.scaled = n.scaled;
  const Flat flat = flat_of(data, 1, "data");
  auto* at = static_cast<int64_t*>(pointer.mutable_data_ptr());
  a.ring = {data.size(0), flat.batch, flat.rest, data.stride(0), flat.batch_stride, flat.rest_stride, at};
  a.data = data.mutable_data_ptr();
  a.pointer = at;
  a.obs = plane_of(obs, data, "obs");
  if (marks) a.obs.data = marks->data();
  STD_TORCH_CHECK(mask.has_value() == (a.events == TraceEvents::masked), "mask: must go with masked events");
  if (mask) {
    STD_TORCH_CHECK(mask->scalar_type() == ScalarType::Bool, "mask: wrong dtype");
    a.mask = plane_of(*mask, data, "mask");
  }
  a.decay = n.decay;
  a.amplitude = n.amplitude;
  a.target = n.target;
  a.tolerance = n.tolerance;
  a.scale = n.scale;
  merge_batch(a);
  return a;
}

void run_cpu(const TraceArgs& a, const Tensor&) {
  parallel(a.ring.rest, 1 + 32768 / (a.ring.batch + 1),
           [&](int64_t begin, int64_t end) { trace_push_cpu(a, begin, end); });
  trace_advance_cpu(a);
}

#ifdef INFERNO_WITH_CUDA
void run_cuda(const TraceArgs& a, const Tensor& t) {
  on_stream(t, [&](void* stream) { trace_push_cuda(a, stream); });
}
#endif

template <void (*Run)(const TraceArgs&, const Tensor&)>
void push(Tensor data, Tensor pointer, const Tensor& obs, const std::optional<Tensor> mask, int64_t kind,
          int64_t events, double decay, double amplitude, double target, double tolerance,
          std::optional<double> scale) {
  Run(args_of(data, pointer, obs, mask,
              {kind, events, decay, amplitude, target, tolerance, scale.has_value(), scale.value_or(0)}),
      data);
}

Numbers numbers_of(const double* h) { return {int64_t(h[0]), int64_t(h[1]), h[2], h[3], h[4], h[5], h[6] != 0, h[7]}; }

// The same with all numbers in one tensor, which is quicker than handing them over one by one.
// how: kind, events, decay, amplitude, target, tolerance, whether there is a scale, scale; float64
void push_packed(Tensor data, Tensor pointer, const Tensor& obs, const std::optional<Tensor> mask, const Tensor& how) {
  check_array(how, "how", ScalarType::Double, 8, data);
  const double* h = static_cast<const double*>(how.const_data_ptr());
  run_cpu(args_of(data, pointer, obs, mask, numbers_of(h)), data);
}

// Bytes in the place of a floating observation: 1 where it lies between two numbers.
std::vector<uint8_t> marks_of(const Tensor& values, double low, double high) {
  const ScalarType type = values.scalar_type();
  STD_TORCH_CHECK(type == ScalarType::Float || type == ScalarType::Double, "observed: must be float32 or float64");
  STD_TORCH_CHECK(values.is_contiguous(), "observed: must be contiguous");
  std::vector<uint8_t> marks(values.numel());
  between_cpu({floating_of(values, "observed"), values.numel(), values.const_data_ptr(), low, high, marks.data()});
  return marks;
}

// Several traces of a step at once, each of one of the observations; nothing is written unless all arguments fit.
// of_observed: for each observation whether it is spikes between two numbers, these, and nothing; of_traces: the
// number of the observation, and the numbers of push_packed.
void push_several(std::vector<Tensor> data, std::vector<Tensor> pointers, const std::vector<Tensor> observed,
                  const Tensor& of_observed, const Tensor& of_traces) {
  const int64_t traces = int64_t(data.size()), count = int64_t(observed.size());
  STD_TORCH_CHECK(traces > 0 && int64_t(pointers.size()) == traces, "pointers: must be as many as traces");
  check_array(of_observed, "of_observed", ScalarType::Double, 3 * count, data[0]);
  check_array(of_traces, "of_traces", ScalarType::Double, 9 * traces, data[0]);
  const double* between = static_cast<const double*>(of_observed.const_data_ptr());
  const double* how = static_cast<const double*>(of_traces.const_data_ptr());
  std::vector<std::vector<uint8_t>> marks(count);
  for (int64_t k = 0; k < count; ++k)
    if (between[3 * k] != 0) marks[k] = marks_of(observed[k], between[3 * k + 1], between[3 * k + 2]);
  std::vector<TraceArgs> every;
  for (int64_t k = 0; k < traces; ++k) {
    const int64_t from = int64_t(how[9 * k]);
    STD_TORCH_CHECK(from >= 0 && from < count, "of_traces: there is no such observation");
    TraceArgs a = args_of(data[k], pointers[k], observed[from], {}, numbers_of(how + 9 * k + 1),
                          between[3 * from] != 0 ? &marks[from] : nullptr);
    for (int64_t j = 0; j < k; ++j)
      STD_TORCH_CHECK(!overlap(data[k], data[j]) && !overlap(pointers[k], pointers[j]), "data: overlap in memory");
    every.push_back(a);
  }
  for (const TraceArgs& a : every) run_cpu(a, data[0]);
}

}  // namespace
}  // namespace inferno

STABLE_TORCH_LIBRARY_FRAGMENT(inferno_cuda, m) {
  m.def(
      "trace_push_(Tensor(a!) data, Tensor(b!) pointer, Tensor obs, Tensor? mask, int kind, int events, float decay, "
      "float amplitude, float target, float tolerance, float? scale) -> ()");
  m.def("trace_push_packed_(Tensor(a!) data, Tensor(b!) pointer, Tensor obs, Tensor? mask, Tensor how) -> ()");
  m.def(
      "traces_push_(Tensor(a!)[] data, Tensor(b!)[] pointers, Tensor[] observed, Tensor of_observed, "
      "Tensor of_traces) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CPU, m) {
  m.impl("trace_push_", TORCH_BOX(&inferno::push<inferno::run_cpu>));
  m.impl("trace_push_packed_", TORCH_BOX(&inferno::push_packed));
  m.impl("traces_push_", TORCH_BOX(&inferno::push_several));
}

#ifdef INFERNO_WITH_CUDA
STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CUDA, m) {
  m.impl("trace_push_", TORCH_BOX(&inferno::push<inferno::run_cuda>));
}
#endif
