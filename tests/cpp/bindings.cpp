// The kernels for numpy arrays, so that pytest and hypothesis reach them: `cpu` holds the CPU loops, which take a range
// of items, and `emulated` the CUDA kernels over the CPU stand-in for CUDA. Strides are passed on as they are.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>

#include "core/args.h"
#include "core/exp.h"
#include "core/history.h"
#include "cuda_emu.h"

namespace py = pybind11;
using namespace py::literals;
using namespace inferno;

namespace {

void require(bool holds, const char* what) {
  if (!holds) throw py::value_error(what);
}

int64_t stride(const py::array& array, int dim) { return array.strides(dim) / array.itemsize(); }

bool is_contiguous(const py::array& array) { return array.flags() & py::array::c_style; }

bool same_shape(const py::array& a, const py::array& b) {
  return a.ndim() == b.ndim() && std::equal(a.shape(), a.shape() + a.ndim(), b.shape());
}

int64_t* pointer_of(py::array& pointer) {
  require(pointer.dtype().is(py::dtype::of<int64_t>()) && pointer.size() == 1, "pointer: one int64");
  return static_cast<int64_t*>(pointer.mutable_data());
}

Ring ring_of(const py::array& data, py::array& pointer) {
  require(data.ndim() == 3, "data: [slots, batch, rest]");
  return {data.shape(0),   data.shape(1),   data.shape(2),      stride(data, 0),
          stride(data, 1), stride(data, 2), pointer_of(pointer)};
}

// Runs one operation on the CPU, on a range of its items, or on the emulator, on all of them.
template <class Args>
struct Operation {
  void (*on_cpu)(const Args&, int64_t, int64_t);
  void (*on_cuda)(const Args&, void*);
};

using Range = std::optional<std::pair<int64_t, int64_t>>;

template <class Args>
void run(bool emulated, const Operation<Args>& op, const Args& args, int64_t items, const Range& range) {
  const auto [begin, end] = range.value_or(std::pair<int64_t, int64_t>(0, items));
  require(0 <= begin && begin <= end && end <= items, "range: outside the items");
  require(!emulated || !range, "range: the kernels take all items");
  emulated ? op.on_cuda(args, nullptr) : op.on_cpu(args, begin, end);
}

void define_operations(py::module_ m, bool emulated) {
  m.def(
      "lif_step",
      [emulated](py::array voltage_in, py::array refrac_in, py::array inputs, py::array voltage, py::array refrac,
                 py::array_t<uint8_t> spikes, Scalar type, double dt, double decay, double rest_v, double reset_v,
                 double thresh_v, double refrac_t, double resistance, bool refrac_lock, Range range) {
        for (const py::array* a : {&voltage_in, &refrac_in, &inputs, &voltage, &refrac})
          require(is_contiguous(*a) && a->size() == spikes.size(), "lif_step: contiguous arrays of one size");
        const LifArgs args{type,
                           spikes.size(),
                           voltage_in.data(),
                           refrac_in.data(),
                           inputs.data(),
                           voltage.mutable_data(),
                           refrac.mutable_data(),
                           spikes.mutable_data(),
                           dt,
                           decay,
                           rest_v,
                           reset_v,
                           thresh_v,
                           refrac_t,
                           resistance,
                           refrac_lock};
        run(emulated, {lif_step_cpu, lif_step_cuda}, args, args.count, range);
      },
      "voltage_in"_a, "refrac_in"_a, "inputs"_a, "voltage"_a, "refrac"_a, "spikes"_a.noconvert(), py::kw_only(),
      "type"_a, "dt"_a, "decay"_a, "rest_v"_a, "reset_v"_a, "thresh_v"_a, "refrac_t"_a, "resistance"_a = 1.0,
      "refrac_lock"_a = true, "range"_a = py::none());

  m.def(
      "history_push",
      [emulated](py::array data, py::array pointer, py::array obs, Range range, bool advance) {
        const Ring ring = ring_of(data, pointer);
        require(obs.ndim() == 2 && obs.shape(0) == ring.batch && obs.shape(1) == ring.rest, "obs: [batch, rest]");
        require(obs.itemsize() == data.itemsize(), "obs: data's type");
        const HistoryPushArgs args{ring,       int32_t(data.itemsize()), data.mutable_data(), pointer_of(pointer),
                                   obs.data(), stride(obs, 0),           stride(obs, 1)};
        run(emulated, {history_push_cpu, history_push_cuda}, args, ring.rest, range);
        if (!emulated && advance) history_advance_cpu(args);
      },
      "data"_a, "pointer"_a, "obs"_a, py::kw_only(), "range"_a = py::none(), "advance"_a = true);

  m.def(
      "history_gather",
      [emulated](py::array data, py::array pointer, py::array time, py::array out, const TimeGrid& grid, Scalar type,
                 Scalar time_type, int64_t offset, bool clamp, double overbound, Range range) {
        const Ring ring = ring_of(data, pointer);
        require(time.ndim() == 3 && time.shape(0) == ring.batch && time.shape(1) == ring.rest,
                "time: [batch, rest, depth]");
        require(same_shape(time, out) && is_contiguous(out), "out: contiguous, time's shape");
        const HistoryGatherArgs args{type,
                                     time_type,
                                     ring,
                                     grid,
                                     data.data(),
                                     time.data(),
                                     time.shape(2),
                                     stride(time, 0),
                                     stride(time, 1),
                                     stride(time, 2),
                                     out.mutable_data(),
                                     offset,
                                     clamp,
                                     overbound};
        run(emulated, {history_gather_cpu, history_gather_cuda}, args, out.size(), range);
      },
      "data"_a, "pointer"_a, "time"_a, "out"_a, py::kw_only(), "grid"_a, "type"_a, "time_type"_a, "offset"_a = 1,
      "clamp"_a = true, "overbound"_a = 0.0, "range"_a = py::none());

  m.def(
      "delay_plan",
      [emulated](py::array delay, py::array slot, py::array factor, const TimeGrid& grid, Scalar type, int64_t slots,
                 bool clamp, Range range) {
        for (const py::array* a : {&delay, &slot, &factor})
          require(is_contiguous(*a) && a->size() == delay.size(), "delay_plan: contiguous arrays of one size");
        require(slot.itemsize() == 1 || slot.itemsize() == 4, "slot: uint8 or int32");
        require(factor.itemsize() == delay.itemsize(), "factor: delay's type");
        const DelayPlanArgs args{type,         slot.itemsize() == 1, delay.size(),         slots, grid, clamp,
                                 delay.data(), slot.mutable_data(),  factor.mutable_data()};
        run(emulated, {delay_plan_cpu, delay_plan_cuda}, args, args.count, range);
      },
      "delay"_a, "slot"_a, "factor"_a, py::kw_only(), "grid"_a, "type"_a, "slots"_a, "clamp"_a = false,
      "range"_a = py::none());

  m.def(
      "delayed_dense",
      [emulated](py::array data, py::array pointer, py::array weight, py::array slot, py::array out,
                 std::optional<py::array> factor, std::optional<py::array> bias, Scalar type, bool linear, double scale,
                 double overbound, Range range) {
        const Ring ring = ring_of(data, pointer);
        require(weight.ndim() == 2 && weight.shape(1) == ring.rest, "weight: [outputs, inputs]");
        require(same_shape(weight, slot) && (!factor || same_shape(weight, *factor)), "slot, factor: weight's shape");
        const int64_t outputs = weight.shape(0);
        require(out.ndim() == 2 && out.shape(0) == ring.batch && out.shape(1) == outputs, "out: [batch, outputs]");
        require(!bias || (bias->ndim() == 1 && bias->shape(0) == outputs), "bias: [outputs]");
        for (const py::array* a : {&weight, &slot, &out})
          require(is_contiguous(*a), "delayed_dense: all but data is contiguous");
        const DelayedDenseArgs args{type,
                                    data.dtype().kind() == 'b',
                                    slot.itemsize() == 1,
                                    linear,
                                    ring,
                                    outputs,
                                    data.data(),
                                    weight.data(),
                                    bias ? bias->data() : nullptr,
                                    slot.data(),
                                    factor ? factor->data() : nullptr,
                                    out.mutable_data(),
                                    scale,
                                    overbound};
        run(emulated, {delayed_dense_cpu, delayed_dense_cuda}, args, outputs, range);
      },
      "data"_a, "pointer"_a, "weight"_a, "slot"_a, "out"_a, py::kw_only(), "factor"_a = py::none(),
      "bias"_a = py::none(), "type"_a, "linear"_a = false, "scale"_a = 1.0, "overbound"_a = 0.0,
      "range"_a = py::none());
}

}  // namespace

PYBIND11_MODULE(inferno_core_py, m) {
  py::enum_<Scalar>(m, "Scalar")
      .value("f32", Scalar::f32)
      .value("f64", Scalar::f64)
      .value("f16", Scalar::f16)
      .value("bf16", Scalar::bf16)
      .value("boolean", Scalar::boolean);
  py::enum_<Interp>(m, "Interp")
      .value("previous", Interp::previous)
      .value("next", Interp::next)
      .value("nearest", Interp::nearest)
      .value("linear", Interp::linear)
      .value("expdecay", Interp::expdecay);
  py::class_<TimeGrid>(m, "TimeGrid")
      .def(py::init([](double dt, double max_time, int64_t max_age, Interp mode, double tolerance, double time_constant,
                       double eps) { return TimeGrid{dt, max_time, tolerance, time_constant, eps, max_age, mode}; }),
           py::kw_only(), "dt"_a, "max_time"_a, "max_age"_a, "mode"_a = Interp::previous, "tolerance"_a = 0.0,
           "time_constant"_a = 1.0, "eps"_a = 0.0);
  py::class_<Lookup>(m, "Lookup")
      .def_readonly("older", &Lookup::older)
      .def_readonly("newer", &Lookup::newer)
      .def_readonly("blend", &Lookup::blend)
      .def_readonly("inside", &Lookup::inside);

  m.def("exp", py::vectorize([](double x) { return exp_portable(x); }));
  m.def("round_even", py::vectorize([](double x) { return round_even(x); }));
  m.def("half_to_float", py::vectorize([](uint16_t x) { return half_to_float({x}); }));
  m.def("float_to_half", py::vectorize([](float x) { return float_to_half(x).bits; }));
  m.def("bfloat16_to_float", py::vectorize([](uint16_t x) { return bfloat16_to_float({x}); }));
  m.def("float_to_bfloat16", py::vectorize([](float x) { return float_to_bfloat16(x).bits; }));
  m.def("ring_slot",
        py::vectorize([](int64_t pointer, int64_t back, int64_t slots) { return ring_slot(pointer, back, slots); }));
  m.def("lookup", [](double time, const TimeGrid& grid) { return lookup(time, grid); });
  m.def("picked_age", [](const Lookup& at, Interp mode) { return picked_age(at, mode); });
  m.def("decay_since_older", [](const Lookup& at, const TimeGrid& grid) { return decay_since_older(at, grid); });

  define_operations(m.def_submodule("cpu"), false);
  py::module_ emulated = m.def_submodule("emulated");
  define_operations(emulated, true);
  emulated.def(
      "set_reversed", [](bool on) { emu::reversed = on; }, "Runs threads and blocks from the last to the first.");
}
