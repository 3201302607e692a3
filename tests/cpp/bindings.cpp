// The kernels for numpy arrays, so that pytest and hypothesis reach them: `cpu` holds the CPU loops, which take a range
// of items, and `emulated` the CUDA kernels over the CPU stand-in for CUDA. Strides are passed on as they are.
#include "bindings.h"

#include "core/draw.h"
#include "core/exp.h"
#include "core/history.h"
#include "cuda_emu.h"

template <class C>
void define_lookup(py::module_& m, const char* type, const char* name) {
  py::class_<Lookup<C>>(m, type)
      .def_readonly("older", &Lookup<C>::older)
      .def_readonly("newer", &Lookup<C>::newer)
      .def_readonly("blend", &Lookup<C>::blend)
      .def_readonly("inside", &Lookup<C>::inside);
  m.def(name, [](C time, const TimeGrid& grid) { return lookup(time, grid); });
}

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
  define_lookup<double>(m, "Lookup", "lookup");
  define_lookup<float>(m, "FloatLookup", "lookup_float");

  m.def("exp", py::vectorize([](double x) { return exp_portable(x); }));
  m.def("exp_float", py::vectorize([](float x) { return exp_portable(x); }));
  m.def("log", py::vectorize([](double x) { return log_portable(x); }));
  m.def("sqrt", py::vectorize([](double x) { return sqrt_portable(x); }));
  m.def("normal_quantile", py::vectorize([](double u) { return normal_quantile(u); }));
  m.def("round_even", py::vectorize([](double x) { return round_even(x); }));
  m.def("half_to_float", py::vectorize([](uint16_t x) { return half_to_float({x}); }));
  m.def("float_to_half", py::vectorize([](float x) { return float_to_half(x).bits; }));
  m.def("bfloat16_to_float", py::vectorize([](uint16_t x) { return bfloat16_to_float({x}); }));
  m.def("float_to_bfloat16", py::vectorize([](float x) { return float_to_bfloat16(x).bits; }));
  m.def("ring_slot",
        py::vectorize([](int64_t pointer, int64_t back, int64_t slots) { return ring_slot(pointer, back, slots); }));

  py::module_ cpu = m.def_submodule("cpu"), emulated = m.def_submodule("emulated");
  for (const auto define : {define_neurons, define_neuron_run, define_history, define_connections, define_synapses,
                            define_integrate_fire, define_trace, define_simulate, define_generate}) {
    define(cpu, false);
    define(emulated, true);
  }
  emulated.def(
      "set_reversed", [](bool on) { emu::reversed = on; }, "Runs threads and blocks from the last to the first.");
}
