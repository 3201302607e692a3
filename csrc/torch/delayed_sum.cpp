#include "torch/delayed_sum.h"

namespace inferno {

DelayedSumArgs sum_args(const Tensor& data, const Ring& ring, const Tensor& weight, const std::optional<Tensor>& bias,
                        const Tensor& slot, const std::optional<Tensor>& factor, const Tensor& out, bool linear,
                        double scale, double overbound) {
  const Scalar type = floating_of(weight, "weight");
  const ScalarType dtype = weight.scalar_type();
  const ScalarType compute = type == Scalar::f64 ? ScalarType::Double : ScalarType::Float;
  const bool bool_history = data.scalar_type() == ScalarType::Bool;
  STD_TORCH_CHECK(bool_history || data.scalar_type() == dtype, "data: must be bool or of weight's dtype");
  check_device(data, weight, "data");
  const int64_t synapses = weight.numel();
  check_array(weight, "weight", dtype, synapses, weight);
  const bool byte_slots = slot.scalar_type() == ScalarType::Byte;
  check_array(slot, "slot", byte_slots ? ScalarType::Byte : ScalarType::Int, synapses, weight);
  if (factor) check_array(*factor, "factor", compute, synapses, weight);
  if (bias) check_array(*bias, "bias", dtype, weight.size(0), weight);
  return {type,
          bool_history,
          byte_slots,
          linear,
          ring,
          weight.size(0),
          data.const_data_ptr(),
          weight.const_data_ptr(),
          bias ? bias->const_data_ptr() : nullptr,
          slot.const_data_ptr(),
          factor ? factor->const_data_ptr() : nullptr,
          out.mutable_data_ptr(),
          scale,
          overbound};
}

namespace {

using Conv2dSum = SumKernels<DelayedConv2dArgs, delayed_conv2d_cpu, delayed_conv2d_cuda>;
template <class Args>
using Run = void (*)(const Args&, const Tensor&, int64_t items, int64_t work);

// data: [slots, batch, inputs]
template <Run<DelayedSumArgs> Start>
Tensor dense(const Tensor& data, const Tensor& pointer, const Tensor& weight, const std::optional<Tensor> bias,
             const Tensor& slot, const std::optional<Tensor> factor, bool linear, double scale, double overbound) {
  const Ring ring = ring_of(data, pointer);
  STD_TORCH_CHECK(weight.dim() == 2 && weight.size(1) == ring.rest, "weight: must be [outputs, inputs]");
  Tensor out = empty(weight, {ring.batch, weight.size(0)}, weight.scalar_type());
  const auto a = sum_args(data, ring, weight, bias, slot, factor, out, linear, scale, overbound);
  Start(a, weight, a.outputs, ring.batch * ring.rest);
  return out;
}

// data: [slots, batch, inputs]
template <Run<DelayedSumArgs> Start>
Tensor direct(const Tensor& data, const Tensor& pointer, const Tensor& weight, const std::optional<Tensor> bias,
              const Tensor& slot, const std::optional<Tensor> factor, bool linear, double scale, double overbound) {
  const Ring ring = ring_of(data, pointer);
  STD_TORCH_CHECK(weight.dim() == 1 && weight.size(0) == ring.rest, "weight: must be [inputs]");
  Tensor out = empty(weight, {ring.batch, ring.rest}, weight.scalar_type());
  const auto a = sum_args(data, ring, weight, bias, slot, factor, out, linear, scale, overbound);
  Start(a, weight, a.outputs, ring.batch);
  return out;
}

ConvAxis axis_of(int64_t input, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation,
                 int64_t pixel_stride) {
  STD_TORCH_CHECK(stride > 0 && dilation > 0 && padding >= 0 && kernel > 0, "geometry: out of range");
  const int64_t room = input + 2 * padding - dilation * (kernel - 1) - 1;
  STD_TORCH_CHECK(room >= 0, "kernel: larger than the padded image");
  return {input, room / stride + 1, kernel, stride, padding, dilation, pixel_stride};
}

// data: [slots, batch, channels, height, width]; weight, slot, factor: [filters, channels, kernel height, width].
template <Run<DelayedConv2dArgs> Start>
Tensor conv2d(const Tensor& data, const Tensor& pointer, const Tensor& weight, const std::optional<Tensor> bias,
              const Tensor& slot, const std::optional<Tensor> factor, bool linear, double scale, double overbound,
              int64_t stride_h, int64_t stride_w, int64_t padding_h, int64_t padding_w, int64_t dilation_h,
              int64_t dilation_w) {
  STD_TORCH_CHECK(data.dim() == 5 && weight.dim() == 4, "data, weight: wrong number of dimensions");
  STD_TORCH_CHECK(weight.size(1) == data.size(2), "weight: must have data's number of channels");
  check_ring(data, pointer);
  const Ring ring{data.size(0),
                  data.size(1),
                  data.size(2) * data.size(3) * data.size(4),
                  data.stride(0),
                  data.stride(1),
                  0,
                  static_cast<const int64_t*>(pointer.const_data_ptr())};
  const ConvAxis rows = axis_of(data.size(3), weight.size(2), stride_h, padding_h, dilation_h, data.stride(3));
  const ConvAxis columns = axis_of(data.size(4), weight.size(3), stride_w, padding_w, dilation_w, data.stride(4));
  Tensor out = empty(weight, {ring.batch, weight.size(0), rows.output, columns.output}, weight.scalar_type());
  const DelayedConv2dArgs a{sum_args(data, ring, weight, bias, slot, factor, out, linear, scale, overbound),
                            data.size(2), data.stride(2), rows, columns};
  const int64_t terms = data.size(2) * rows.kernel * columns.kernel;
  Start(a, weight, a.outputs * rows.output, ring.batch * columns.output * terms);
  return out;
}

}  // namespace
}  // namespace inferno

#define INFERNO_SUM "(Tensor data, Tensor pointer, Tensor weight, Tensor? bias, Tensor slot, Tensor? factor, "
#define INFERNO_SUM_OPTIONS "bool linear, float scale, float overbound"

STABLE_TORCH_LIBRARY_FRAGMENT(inferno_cuda, m) {
  m.def("delayed_dense" INFERNO_SUM INFERNO_SUM_OPTIONS ") -> Tensor");
  m.def("delayed_direct" INFERNO_SUM INFERNO_SUM_OPTIONS ") -> Tensor");
  m.def("delayed_conv2d" INFERNO_SUM INFERNO_SUM_OPTIONS
        ", int stride_h, int stride_w, int padding_h, int padding_w, int dilation_h, int dilation_w) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CPU, m) {
  m.impl("delayed_dense", TORCH_BOX(&inferno::dense<inferno::DenseSum::run_cpu>));
  m.impl("delayed_direct", TORCH_BOX(&inferno::direct<inferno::DirectSum::run_cpu>));
  m.impl("delayed_conv2d", TORCH_BOX(&inferno::conv2d<inferno::Conv2dSum::run_cpu>));
}

#ifdef INFERNO_WITH_CUDA
STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CUDA, m) {
  m.impl("delayed_dense", TORCH_BOX(&inferno::dense<inferno::DenseSum::run_cuda>));
  m.impl("delayed_direct", TORCH_BOX(&inferno::direct<inferno::DirectSum::run_cuda>));
  m.impl("delayed_conv2d", TORCH_BOX(&inferno::conv2d<inferno::Conv2dSum::run_cuda>));
}
#endif
