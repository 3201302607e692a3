#include "bindings.h"

void define_neurons(py::module_& m, bool emulated) {
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
}
