// Steps of traces for numpy arrays.
#include "bindings.h"
#include "core/trace.h"

namespace {

Plane plane_of(const py::array& array, const Ring& ring) {
  require(array.ndim() == 2 && array.shape(0) == ring.batch && array.shape(1) == ring.rest, "as an observation");
  return {array.data(), stride(array, 0), stride(array, 1)};
}

}  // namespace

void define_trace(py::module_& m, bool emulated) {
  m.def(
      "trace_push",
      [emulated](py::array data, py::array pointer, py::array obs, std::optional<py::array> mask, Scalar type, int kind,
                 int events, double decay, double amplitude, double target, double tolerance,
                 std::optional<double> scale, bool merge, Range range, bool advance) {
        TraceArgs a{};
        a.kind = TraceKind(kind);
        a.events = TraceEvents(events);
        a.type = type;
        a.bool_obs = obs.itemsize() == 1;
        a.scaled = scale.has_value();
        a.ring = ring_of(data, pointer);
        a.data = data.mutable_data();
        a.pointer = pointer_of(pointer);
        a.obs = plane_of(obs, a.ring);
        require(mask.has_value() == (a.events == TraceEvents::masked), "mask: goes with masked events");
        if (mask) a.mask = plane_of(*mask, a.ring);
        a.decay = decay;
        a.amplitude = amplitude;
        a.target = target;
        a.tolerance = tolerance;
        a.scale = scale.value_or(0);
        if (merge) merge_batch(a);
        run(emulated, {trace_push_cpu, trace_push_cuda}, a, a.ring.rest, range);
        if (!emulated && advance) trace_advance_cpu(a);
      },
      "data"_a, "pointer"_a, "obs"_a, "mask"_a = py::none(), py::kw_only(), "type"_a, "kind"_a, "events"_a, "decay"_a,
      "amplitude"_a, "target"_a = 0.0, "tolerance"_a = 0.0, "scale"_a = py::none(), "merge"_a = false,
      "range"_a = py::none(), "advance"_a = true);
}
