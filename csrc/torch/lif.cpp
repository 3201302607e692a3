#include "torch/common.h"

namespace inferno {
namespace {

// Shapes: [B, *shape] all. `voltage_out` and `refrac_out` may be the state itself.
LifArgs lif_args(const Tensor& voltage, const Tensor& refrac, const Tensor& inputs, const Tensor& voltage_out,
                 const Tensor& refrac_out, const Tensor& spikes, double dt, double decay, double rest_v, double reset_v,
                 double thresh_v, double refrac_t, double resistance, bool refrac_lock) {
  const int64_t n = voltage.numel();
  const ScalarType dtype = voltage.scalar_type();
  const Scalar type = floating_of(voltage, "voltage");
  check_shape(refrac, voltage, "refrac");
  check_shape(inputs, voltage, "inputs");
  check_array(voltage, "voltage", dtype, n, voltage);
  check_array(refrac, "refrac", dtype, n, voltage);
  check_array(inputs, "inputs", dtype, n, voltage);
  const auto apart = [bytes = n * int64_t(voltage.element_size())](const void* x, const void* y) {
    const int64_t distance = static_cast<const char*>(x) - static_cast<const char*>(y);
    return distance >= bytes || distance <= -bytes || bytes == 0;
  };
  const void *v = voltage.const_data_ptr(), *r = refrac.const_data_ptr(), *x = inputs.const_data_ptr();
  if (voltage_out.const_data_ptr() == v) {
    STD_TORCH_CHECK(apart(v, r), "voltage, refrac: overlap in memory");
    STD_TORCH_CHECK((x == v || apart(x, v)) && (x == r || apart(x, r)), "inputs: overlap the state in memory");
  }
  return {type,
          n,
          v,
          r,
          x,
          voltage_out.mutable_data_ptr(),
          refrac_out.mutable_data_ptr(),
          static_cast<uint8_t*>(spikes.mutable_data_ptr()),
          dt,
          decay,
          rest_v,
          reset_v,
          thresh_v,
          refrac_t,
          resistance,
          refrac_lock};
}

void run_cpu(const LifArgs& a, const Tensor&) {
  parallel(a.count, 16384, [&](int64_t begin, int64_t end) { lif_step_cpu(a, begin, end); });
}

#ifdef INFERNO_WITH_CUDA
void run_cuda(const LifArgs& a, const Tensor& t) {
  on_stream(t, [&](void* stream) { lif_step_cuda(a, stream); });
}
#endif

template <void (*Run)(const LifArgs&, const Tensor&)>
Tensor lif_step_inplace(Tensor voltage, Tensor refrac, const Tensor& inputs, double dt, double decay, double rest_v,
                        double reset_v, double thresh_v, double refrac_t, double resistance, bool refrac_lock) {
  Tensor spikes = empty(voltage, sizes_of(voltage), ScalarType::Bool);
  Run(lif_args(voltage, refrac, inputs, voltage, refrac, spikes, dt, decay, rest_v, reset_v, thresh_v, refrac_t,
               resistance, refrac_lock),
      voltage);
  return spikes;
}

template <void (*Run)(const LifArgs&, const Tensor&)>
std::tuple<Tensor, Tensor, Tensor> lif_step(const Tensor& voltage, const Tensor& refrac, const Tensor& inputs,
                                            double dt, double decay, double rest_v, double reset_v, double thresh_v,
                                            double refrac_t, double resistance, bool refrac_lock) {
  const auto sizes = sizes_of(voltage);
  Tensor voltage_out = empty(voltage, sizes, voltage.scalar_type());
  Tensor refrac_out = empty(voltage, sizes, voltage.scalar_type());
  Tensor spikes = empty(voltage, sizes, ScalarType::Bool);
  Run(lif_args(voltage, refrac, inputs, voltage_out, refrac_out, spikes, dt, decay, rest_v, reset_v, thresh_v, refrac_t,
               resistance, refrac_lock),
      voltage);
  return {voltage_out, refrac_out, spikes};
}

}  // namespace
}  // namespace inferno

STABLE_TORCH_LIBRARY_FRAGMENT(inferno_cuda, m) {
  m.def(
      "lif_step_(Tensor(a!) voltage, Tensor(b!) refrac, Tensor inputs, float dt, float decay, float rest_v, "
      "float reset_v, float thresh_v, float refrac_t, float resistance, bool refrac_lock) -> Tensor");
  m.def(
      "lif_step(Tensor voltage, Tensor refrac, Tensor inputs, float dt, float decay, float rest_v, float reset_v, "
      "float thresh_v, float refrac_t, float resistance, bool refrac_lock) -> (Tensor, Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CPU, m) {
  m.impl("lif_step_", TORCH_BOX(&inferno::lif_step_inplace<inferno::run_cpu>));
  m.impl("lif_step", TORCH_BOX(&inferno::lif_step<inferno::run_cpu>));
}

#ifdef INFERNO_WITH_CUDA
STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CUDA, m) {
  m.impl("lif_step_", TORCH_BOX(&inferno::lif_step_inplace<inferno::run_cuda>));
  m.impl("lif_step", TORCH_BOX(&inferno::lif_step<inferno::run_cuda>));
}
#endif
