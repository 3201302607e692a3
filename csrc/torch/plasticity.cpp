#include "torch/plasticity.h"

namespace inferno {
namespace {

// geometry: empty (dense), one number (direct), or pairs of kernel, stride, padding and dilation.
void take_geometry(CorrelateArgs& a, const Tensor& pre, const std::vector<int64_t>& geometry) {
  const int64_t first = pre.dim() - (geometry.size() > 1 ? 4 : 2);  // the dimension of the batch
  a.direct = geometry.size() == 1;
  a.channels = pre.size(first + 1);
  a.slots = first ? pre.size(0) : 1;
  a.pre_slot = first ? pre.stride(0) : 0;
  a.pre_batch = pre.stride(first);
  a.pre_channel = pre.stride(first + 1);
  a.rows = a.columns = {1, 1, 1, 1, 0, 1, 1};
  if (geometry.size() < 2) return;
  STD_TORCH_CHECK(geometry.size() == 8, "geometry: must have 8 numbers");
  const auto axis = [&](int64_t k) -> ConvAxis {
    const int64_t kernel = geometry[k], stride = geometry[2 + k], padding = geometry[4 + k], dilation = geometry[6 + k];
    STD_TORCH_CHECK(kernel > 0 && stride > 0 && dilation > 0 && padding >= 0, "geometry: out of range");
    const int64_t input = pre.size(first + 2 + k), room = input + 2 * padding - dilation * (kernel - 1) - 1;
    STD_TORCH_CHECK(room >= 0, "kernel: larger than the padded image");
    return {input, room / stride + 1, kernel, stride, padding, dilation, pre.stride(first + 2 + k)};
  };
  a.rows = axis(0);
  a.columns = axis(1);
}

// post: [batch, filters] or [batch, filters, rows, columns]
void take_post(CorrelateArgs& a, const Tensor& post) {
  const bool image = post.dim() == 4;
  a.batch = post.size(0);
  a.filters = post.size(1);
  STD_TORCH_CHECK(!image || (post.size(2) == a.rows.output && post.size(3) == a.columns.output), "post: wrong shape");
  STD_TORCH_CHECK(!a.direct || a.filters == a.channels, "post: wrong shape");
  a.post = post.const_data_ptr();
  a.post_batch = post.stride(0);
  a.post_filter = post.stride(1);
  a.post_row = image ? post.stride(2) : 0;
  a.post_column = image ? post.stride(3) : 0;
}

}  // namespace

std::vector<int64_t> sizes_of_synapses(const CorrelateArgs& a, const std::vector<int64_t>& geometry) {
  if (geometry.empty()) return {a.filters, a.channels};
  if (a.direct) return {a.filters};
  return {a.filters, a.channels, a.rows.kernel, a.columns.kernel};
}

CorrelateArgs correlate_args(const Tensor& post, const Tensor& pre, const std::optional<Tensor>& pointer,
                             const std::optional<Tensor>& slot, const std::optional<Tensor>& factor, Scalar type,
                             bool linear, double scale, double overbound, const std::vector<int64_t>& geometry) {
  CorrelateArgs a{};
  a.type = type;
  a.bool_post = post.scalar_type() == ScalarType::Bool;
  a.bool_pre = pre.scalar_type() == ScalarType::Bool;
  const ScalarType dtype = floating_types[int(type)];
  STD_TORCH_CHECK(a.bool_post || post.scalar_type() == dtype, "post: must be bool or of the dtype of the result");
  STD_TORCH_CHECK(a.bool_pre || pre.scalar_type() == dtype, "pre: must be bool or of the dtype of the result");
  const int64_t dims = geometry.size() > 1 ? 4 : 2;
  STD_TORCH_CHECK(post.dim() == dims && pre.dim() == dims + (slot ? 1 : 0), "post, pre: wrong number of dimensions");
  STD_TORCH_CHECK(slot.has_value() == pointer.has_value(), "pointer, slot: both or none");
  check_device(pre, post, "pre");
  take_geometry(a, pre, geometry);
  take_post(a, post);
  STD_TORCH_CHECK(pre.size(slot ? 1 : 0) == a.batch, "pre: must have the batch of post");
  STD_TORCH_CHECK(a.slots * a.channels < (int64_t(1) << 31) && a.batch < (int64_t(1) << 31), "pre: too large");
  a.pre = pre.const_data_ptr();
  a.linear = linear;
  a.scale = scale;
  a.overbound = overbound;
  if (!slot) return a;
  check_ring(pre, *pointer);
  a.pointer = static_cast<const int64_t*>(pointer->const_data_ptr());
  const int64_t synapses = a.filters * terms_of(a);
  a.byte_slots = slot->scalar_type() == ScalarType::Byte;
  check_array(*slot, "slot", a.byte_slots ? ScalarType::Byte : ScalarType::Int, synapses, post);
  a.slot = slot->const_data_ptr();
  if (factor)
    check_array(*factor, "factor", type == Scalar::f64 ? ScalarType::Double : ScalarType::Float, synapses, post);
  a.factor = factor ? factor->const_data_ptr() : nullptr;
  return a;
}

namespace {

template <Device device>
Tensor correlate(const Tensor& post, const Tensor& pre, const std::optional<Tensor> pointer,
                 const std::optional<Tensor> slot, const std::optional<Tensor> factor, int64_t type, bool linear,
                 double scale, double overbound, const std::vector<int64_t> geometry) {
  STD_TORCH_CHECK(type >= 0 && type < int64_t(Scalar::boolean), "type: out of range");
  CorrelateArgs a = correlate_args(post, pre, pointer, slot, factor, Scalar(type), linear, scale, overbound, geometry);
  Tensor out = empty(post, sizes_of_synapses(a, geometry), floating_types[type]);
  a.out = out.mutable_data_ptr();
  if constexpr (device == Device::cpu)
    parallel_over_synapses(a, 1,
                           [&](const Span& channels, const Span& filters) { correlate_cpu(a, channels, filters); });
#ifdef INFERNO_WITH_CUDA
  if constexpr (device == Device::cuda) on_stream(post, [&](void* stream) { correlate_cuda(a, stream); });
#endif
  return out;
}

}  // namespace
}  // namespace inferno

STABLE_TORCH_LIBRARY_FRAGMENT(inferno_cuda, m) {
  m.def(
      "correlate(Tensor post, Tensor pre, Tensor? pointer, Tensor? slot, Tensor? factor, int type, bool linear, "
      "float scale, float overbound, int[] geometry) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CPU, m) {
  m.impl("correlate", TORCH_BOX(&inferno::correlate<inferno::Device::cpu>));
}

#ifdef INFERNO_WITH_CUDA
STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CUDA, m) {
  m.impl("correlate", TORCH_BOX(&inferno::correlate<inferno::Device::cuda>));
}
#endif
