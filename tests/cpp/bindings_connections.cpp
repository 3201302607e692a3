#include "bindings.h"

namespace {

// What the bindings of every map of inputs to outputs take beside their own geometry.
struct SumOptions {
  std::optional<py::array> factor, bias;
  Scalar type;
  bool linear;
  double scale, overbound;
};

DelayedSumArgs sum_args(const Ring& ring, const py::array& data, const py::array& weight, const py::array& slot,
                        py::array& out, const SumOptions& o) {
  const int64_t outputs = weight.shape(0);
  require(same_shape(weight, slot) && (!o.factor || same_shape(weight, *o.factor)), "slot, factor: weight's shape");
  require(out.ndim() >= 2 && out.shape(0) == ring.batch && out.shape(1) == outputs, "out: [batch, outputs, ...]");
  require(!o.bias || (o.bias->ndim() == 1 && o.bias->shape(0) == outputs), "bias: [outputs]");
  for (const py::array* a : {&weight, &slot, static_cast<const py::array*>(&out)})
    require(is_contiguous(*a), "delayed sums: all but data is contiguous");
  return {o.type,
          data.dtype().kind() == 'b',
          slot.itemsize() == 1,
          o.linear,
          ring,
          outputs,
          data.data(),
          weight.data(),
          o.bias ? o.bias->data() : nullptr,
          slot.data(),
          o.factor ? o.factor->data() : nullptr,
          out.mutable_data(),
          o.scale,
          o.overbound};
}

void define_sum(py::module_& m, const char* name, const Operation<DelayedSumArgs>& op, bool emulated, int dims) {
  m.def(
      name,
      [=](py::array data, py::array pointer, py::array weight, py::array slot, py::array out,
          std::optional<py::array> factor, std::optional<py::array> bias, Scalar type, bool linear, double scale,
          double overbound, Range range) {
        const Ring ring = ring_of(data, pointer);
        require(weight.ndim() == dims && weight.shape(dims - 1) == ring.rest, "weight: one for each input");
        const DelayedSumArgs args =
            sum_args(ring, data, weight, slot, out, {factor, bias, type, linear, scale, overbound});
        run(emulated, op, args, args.outputs, range);
      },
      "data"_a, "pointer"_a, "weight"_a, "slot"_a, "out"_a, py::kw_only(), "factor"_a = py::none(),
      "bias"_a = py::none(), "type"_a, "linear"_a = false, "scale"_a = 1.0, "overbound"_a = 0.0,
      "range"_a = py::none());
}

using Pair = std::pair<int64_t, int64_t>;  // vertical, horizontal

void define_conv2d(py::module_& m, bool emulated) {
  m.def(
      "delayed_conv2d",
      [emulated](py::array data, py::array pointer, py::array weight, py::array slot, py::array out,
                 std::optional<py::array> factor, std::optional<py::array> bias, Scalar type, bool linear, double scale,
                 double overbound, Pair step, Pair padding, Pair dilation, Range range) {
        require(data.ndim() == 5 && weight.ndim() == 4 && out.ndim() == 4, "delayed_conv2d: wrong number of axes");
        require(weight.shape(1) == data.shape(2), "weight: channels of data");
        const Ring ring{data.shape(0),      data.shape(1),   data.shape(2) * data.shape(3) * data.shape(4),
                        stride(data, 0),    stride(data, 1), 0,
                        pointer_of(pointer)};
        const ConvAxis rows{data.shape(3), out.shape(2),   weight.shape(2), step.first,
                            padding.first, dilation.first, stride(data, 3)};
        const ConvAxis columns{data.shape(4),  out.shape(3),    weight.shape(3), step.second,
                               padding.second, dilation.second, stride(data, 4)};
        const DelayedConv2dArgs args{
            sum_args(ring, data, weight, slot, out, {factor, bias, type, linear, scale, overbound}), data.shape(2),
            stride(data, 2), rows, columns};
        run(emulated, {delayed_conv2d_cpu, delayed_conv2d_cuda}, args, args.outputs * rows.output, range);
      },
      "data"_a, "pointer"_a, "weight"_a, "slot"_a, "out"_a, py::kw_only(), "factor"_a = py::none(),
      "bias"_a = py::none(), "type"_a, "linear"_a = false, "scale"_a = 1.0, "overbound"_a = 0.0,
      "stride"_a = Pair(1, 1), "padding"_a = Pair(0, 0), "dilation"_a = Pair(1, 1), "range"_a = py::none());
}

}  // namespace

void define_connections(py::module_& m, bool emulated) {
  define_sum(m, "delayed_dense", {delayed_dense_cpu, delayed_dense_cuda}, emulated, 2);
  define_sum(m, "delayed_direct", {delayed_direct_cpu, delayed_direct_cuda}, emulated, 1);
  define_conv2d(m, emulated);
}
