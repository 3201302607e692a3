#include "bindings.h"

void define_connections(py::module_& m, bool emulated) {
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
