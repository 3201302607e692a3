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

TraceArgs args_of(const Tensor& data, const Tensor& pointer, const Tensor& obs, const std::optional<Tensor>& mask,
                  const Numbers& n) {
  STD_TORCH_CHECK(data.dim() >= 2, "data: must be [slots, batch, ...]");
  check_ring(data, pointer);
  for (int64_t d = 0; d < data.dim(); ++d)
    STD_TORCH_CHECK(data.stride(d) != 0 || data.size(d) == 1, "data: its elements share memory");
  STD_TORCH_CHECK(!overlap(pointer, data) && !overlap(pointer, obs), "pointer: overlaps another tensor in memory");
  STD_TORCH_CHECK(n.kind >= 0 && n.kind <= int64_t(TraceKind::nearest), "kind: unknown");
  STD_TORCH_CHECK(n.events >= 0 && n.events <= int64_t(TraceEvents::within), "events: unknown");
  TraceArgs a{};
  a.kind = TraceKind(n.kind);
  a.events = TraceEvents(n.events);
  a.type = floating_of(data, "data");
  a.bool_obs = obs.scalar_type() == ScalarType::Bool;
  STD_TORCH_CHECK(a.bool_obs || obs.scalar_type() == data.scalar_type(), "obs: wrong dtype");
  a.scaled = n.scaled;
  const Flat flat = flat_of(data, 1, "data");
  auto* at = static_cast<int64_t*>(pointer.mutable_data_ptr());
  a.ring = {data.size(0), flat.batch, flat.rest, data.stride(0), flat.batch_stride, flat.rest_stride, at};
  a.data = data.mutable_data_ptr();
  a.pointer = at;
  a.obs = plane_of(obs, data, "obs");
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

// The same with all numbers in one tensor, which is quicker than handing them over one by one.
// how: kind, events, decay, amplitude, target, tolerance, whether there is a scale, scale; float64
void push_packed(Tensor data, Tensor pointer, const Tensor& obs, const std::optional<Tensor> mask, const Tensor& how) {
  check_array(how, "how", ScalarType::Double, 8, data);
  const double* h = static_cast<const double*>(how.const_data_ptr());
  run_cpu(args_of(data, pointer, obs, mask, {int64_t(h[0]), int64_t(h[1]), h[2], h[3], h[4], h[5], h[6] != 0, h[7]}),
          data);
}

}  // namespace
}  // namespace inferno

STABLE_TORCH_LIBRARY_FRAGMENT(inferno_cuda, m) {
  m.def(
      "trace_push_(Tensor(a!) data, Tensor(b!) pointer, Tensor obs, Tensor? mask, int kind, int events, float decay, "
      "float amplitude, float target, float tolerance, float? scale) -> ()");
  m.def("trace_push_packed_(Tensor(a!) data, Tensor(b!) pointer, Tensor obs, Tensor? mask, Tensor how) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CPU, m) {
  m.impl("trace_push_", TORCH_BOX(&inferno::push<inferno::run_cpu>));
  m.impl("trace_push_packed_", TORCH_BOX(&inferno::push_packed));
}

#ifdef INFERNO_WITH_CUDA
STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CUDA, m) {
  m.impl("trace_push_", TORCH_BOX(&inferno::push<inferno::run_cuda>));
}
#endif
