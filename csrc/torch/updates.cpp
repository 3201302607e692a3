#include "core/updates.h"

#include "torch/common.h"
#include "torch/flat.h"

namespace inferno {
namespace {

enum class Device { cpu, cuda };

// Weights: with fewer, waking a thread, and moving them between the caches of cores, takes longer than changing them.
constexpr int64_t fewest_of_a_thread = 131072;
// The same for updates that are tensors as large as the weights: threads have just made these.
constexpr int64_t fewest_with_tensors = 32768;

// power, below, scaled, limit, range; empty: the update as it is
Bound bound_of(const std::vector<double>& numbers, const char* name) {
  if (numbers.empty()) return {Power::none, false, false, 0, 1};
  STD_TORCH_CHECK(numbers.size() == 5, name, ": must have 5 numbers");
  STD_TORCH_CHECK(numbers[0] >= 1 && numbers[0] <= double(Power::sharp), name, ": no such power");
  return {Power(int32_t(numbers[0])), numbers[1] != 0, numbers[2] != 0, numbers[3], numbers[4]};
}

const void* update_of(const std::optional<Tensor>& update, const Tensor& param, const char* name) {
  if (!update) return nullptr;
  check_array(*update, name, param.scalar_type(), param.numel(), param);
  check_shape(*update, param, name);
  STD_TORCH_CHECK(!overlap(*update, param), name, ": overlaps param in memory");
  return update->const_data_ptr();
}

template <Device device>
void apply_updates(Tensor param, const std::optional<Tensor> pos, const std::optional<Tensor> neg,
                   const std::vector<double> upper, const std::vector<double> lower) {
  const Scalar type = floating_of(param, "param");
  STD_TORCH_CHECK(param.is_contiguous(), "param: must be contiguous");
  const UpdateArgs a{type,
                     param.numel(),
                     param.mutable_data_ptr(),
                     update_of(pos, param, "pos"),
                     update_of(neg, param, "neg"),
                     bound_of(upper, "upper"),
                     bound_of(lower, "lower")};
  if constexpr (device == Device::cpu)
    parallel(a.count, fewest_with_tensors, [&](int64_t begin, int64_t end) { apply_updates_cpu(a, begin, end); });
#ifdef INFERNO_WITH_CUDA
  if constexpr (device == Device::cuda) on_stream(param, [&](void* stream) { apply_updates_cuda(a, stream); });
#endif
}

Plane side_of(const Tensor& t, const Tensor& param, int64_t batch, int64_t size, const char* name) {
  STD_TORCH_CHECK(t.dim() == 2 && t.size(0) == batch && t.size(1) == size, name, ": wrong shape");
  STD_TORCH_CHECK(t.scalar_type() == ScalarType::Bool || t.scalar_type() == param.scalar_type(), name,
                  ": must be bool or of param's dtype");
  check_device(t, param, name);
  STD_TORCH_CHECK(!overlap(t, param), name, ": overlaps param in memory");
  return {t.const_data_ptr(), t.stride(0), t.stride(1)};
}

// The first `positive` products are of the positive side.
template <Device device>
void apply_outers(Tensor param, const std::vector<Tensor> posts, const std::vector<Tensor> pres,
                  const std::vector<double> scales, int64_t positive, const std::vector<double> upper,
                  const std::vector<double> lower) {
  OuterUpdateArgs a{};
  a.type = floating_of(param, "param");
  STD_TORCH_CHECK(param.dim() == 2 && param.is_contiguous(), "param: must be [outputs, inputs], contiguous");
  STD_TORCH_CHECK(posts.size() <= size_t(max_outers) && posts.size() == pres.size() && posts.size() == scales.size(),
                  "posts, pres, scales: wrong number");
  a.outputs = param.size(0);
  a.inputs = param.size(1);
  a.outers = int32_t(posts.size());
  for (size_t k = 0; k < posts.size(); ++k) {
    const int64_t batch = posts[k].size(0);
    a.outer[k] = {side_of(posts[k], param, batch, a.outputs, "post"),
                  side_of(pres[k], param, batch, a.inputs, "pre"),
                  posts[k].scalar_type() == ScalarType::Bool,
                  pres[k].scalar_type() == ScalarType::Bool,
                  batch,
                  scales[k],
                  int64_t(k) >= positive};
  }
  a.upper = bound_of(upper, "upper");
  a.lower = bound_of(lower, "lower");
  a.param = param.mutable_data_ptr();
  if constexpr (device == Device::cpu) {
    const int64_t threads = torch::stable::get_num_threads();
    const int64_t grain = std::max((a.outputs + threads - 1) / threads, fewest_of_a_thread / (a.inputs + 1));
    parallel(a.outputs, grain, [&](int64_t begin, int64_t end) { apply_outers_cpu(a, begin, end); });
  }
#ifdef INFERNO_WITH_CUDA
  if constexpr (device == Device::cuda) on_stream(param, [&](void* stream) { apply_outers_cuda(a, stream); });
#endif
}

// Between two limits, either of which may be infinite; NaN stays.
void clamp_updated(Tensor param, double low, double high) {
  const Scalar type = floating_of(param, "param");
  STD_TORCH_CHECK(type == Scalar::f32 || type == Scalar::f64, "param: must be float32 or float64");
  STD_TORCH_CHECK(param.is_contiguous(), "param: must be contiguous");
  const ClampArgs a{type, param.mutable_data_ptr(), low, high};
  parallel(param.numel(), fewest_of_a_thread, [&](int64_t begin, int64_t end) { clamp_cpu(a, begin, end); });
}

// The newest slots of rings, [batch, elements] each, for outer products; and last how many of each are not 0, int64.
std::vector<Tensor> outer_sides(const std::vector<Tensor> data, const std::vector<Tensor> pointers) {
  STD_TORCH_CHECK(!data.empty() && data.size() == pointers.size(), "pointers: must be as many as data");
  std::vector<Tensor> found;
  Tensor counts = empty(data[0], {int64_t(data.size())}, ScalarType::Long);
  auto* count = static_cast<int64_t*>(counts.mutable_data_ptr());
  for (size_t k = 0; k < data.size(); ++k) {
    STD_TORCH_CHECK(data[k].dim() >= 2, "data: must be [slots, batch, ...]");
    const Flat flat = flat_of(data[k], 1, "data");
    Ring ring = ring_of(data[k], pointers[k], flat.rest, flat.rest_stride);
    Tensor out = empty(data[k], {flat.batch, flat.rest}, data[k].scalar_type());
    count[k] = take_newest_cpu({floating_of(data[k], "data"), ring, data[k].const_data_ptr(), out.mutable_data_ptr()});
    found.push_back(out);
  }
  found.push_back(counts);
  return found;
}

}  // namespace
}  // namespace inferno

STABLE_TORCH_LIBRARY_FRAGMENT(inferno_cuda, m) {
  m.def("apply_updates_(Tensor(a!) param, Tensor? pos, Tensor? neg, float[] upper, float[] lower) -> ()");
  m.def(
      "apply_outers_(Tensor(a!) param, Tensor[] posts, Tensor[] pres, float[] scales, int positive, float[] upper, "
      "float[] lower) -> ()");
  m.def("clamp_updated_(Tensor(a!) param, float low, float high) -> ()");
  m.def("outer_sides(Tensor[] data, Tensor[] pointers) -> Tensor[]");
}

STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CPU, m) {
  m.impl("apply_updates_", TORCH_BOX(&inferno::apply_updates<inferno::Device::cpu>));
  m.impl("apply_outers_", TORCH_BOX(&inferno::apply_outers<inferno::Device::cpu>));
  m.impl("clamp_updated_", TORCH_BOX(&inferno::clamp_updated));
  m.impl("outer_sides", TORCH_BOX(&inferno::outer_sides));
}

#ifdef INFERNO_WITH_CUDA
STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CUDA, m) {
  m.impl("apply_updates_", TORCH_BOX(&inferno::apply_updates<inferno::Device::cuda>));
  m.impl("apply_outers_", TORCH_BOX(&inferno::apply_outers<inferno::Device::cuda>));
}
#endif
