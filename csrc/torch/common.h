// What every operator needs from torch: checks, views for the kernels, allocation, streams and threads.
#pragma once
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Exception.h>

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "core/args.h"

#ifdef INFERNO_WITH_CUDA
// In libtorch_cuda, which a CPU-only torch does not have: weak, so that the library loads there as well.
extern "C" __attribute__((weak)) AOTITorchError aoti_torch_get_current_cuda_stream(int32_t, void**);
#endif

namespace inferno {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

inline Scalar scalar_of(const Tensor& t, const char* name) {
  switch (t.scalar_type()) {
    case ScalarType::Float:
      return Scalar::f32;
    case ScalarType::Double:
      return Scalar::f64;
    case ScalarType::Half:
      return Scalar::f16;
    case ScalarType::BFloat16:
      return Scalar::bf16;
    case ScalarType::Bool:
      return Scalar::boolean;
    default:
      STD_TORCH_CHECK(false, name, ": no kernel for this dtype");
  }
}

// In the order of Scalar.
constexpr ScalarType floating_types[] = {ScalarType::Float, ScalarType::Double, ScalarType::Half, ScalarType::BFloat16};

inline Scalar floating_of(const Tensor& t, const char* name) {
  const Scalar type = scalar_of(t, name);
  STD_TORCH_CHECK(type != Scalar::boolean, name, ": must be floating point");
  return type;
}

inline void check_device(const Tensor& t, const Tensor& like, const char* name) {
  STD_TORCH_CHECK(t.is_cuda() == like.is_cuda() && t.get_device_index() == like.get_device_index(), name,
                  ": on another device");
}

inline void check_shape(const Tensor& t, const Tensor& like, const char* name) {
  const auto sizes = t.sizes(), wanted = like.sizes();
  STD_TORCH_CHECK(std::equal(sizes.begin(), sizes.end(), wanted.begin(), wanted.end()), name, ": wrong shape");
}

// Contiguous, of this type and size, on the device of `like`.
inline void check_array(const Tensor& t, const char* name, ScalarType dtype, int64_t numel, const Tensor& like) {
  STD_TORCH_CHECK(t.scalar_type() == dtype, name, ": wrong dtype");
  STD_TORCH_CHECK(t.numel() == numel, name, ": wrong number of elements");
  STD_TORCH_CHECK(t.is_contiguous(), name, ": must be contiguous");
  check_device(t, like, name);
}

// The memory of a tensor with elements, from the first to behind the last.
inline std::pair<const char*, const char*> stretch(const Tensor& t) {
  int64_t low = 0, high = 1;
  for (int64_t d = 0; d < t.dim(); ++d) (t.stride(d) < 0 ? low : high) += (t.size(d) - 1) * t.stride(d);
  const char* data = static_cast<const char*>(t.const_data_ptr());
  return {data + low * int64_t(t.element_size()), data + high * int64_t(t.element_size())};
}

// Whether the memory of two tensors overlaps, taking each as one stretch.
inline bool overlap(const Tensor& a, const Tensor& b) {
  if (a.numel() == 0 || b.numel() == 0) return false;
  const auto [a_low, a_high] = stretch(a);
  const auto [b_low, b_high] = stretch(b);
  return a_low < b_high && b_low < a_high;
}

inline Tensor empty(const Tensor& like, const std::vector<int64_t>& sizes, ScalarType dtype) {
  std::vector<int64_t> strides(sizes.size(), 1);
  for (int64_t d = int64_t(sizes.size()) - 2; d >= 0; --d)
    strides[d] = strides[d + 1] * (sizes[d + 1] > 1 ? sizes[d + 1] : 1);
  int32_t device_type = 0;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_device_type(like.get(), &device_type));
  AtenTensorHandle out = nullptr;
  STABLE_TORCH_ERROR_CODE_CHECK(
      aoti_torch_empty_strided(int64_t(sizes.size()), sizes.data(), strides.data(),
                               torch::stable::detail::to<int32_t>(torch::stable::detail::from(dtype)), device_type,
                               like.get_device_index(), &out));
  return Tensor(out);
}

inline std::vector<int64_t> sizes_of(const Tensor& t) {
  const auto sizes = t.sizes();
  return {sizes.begin(), sizes.end()};
}

// data: [slots, batch, ...]
inline void check_ring(const Tensor& data, const Tensor& pointer) {
  STD_TORCH_CHECK(data.size(0) > 0, "data: must have at least one slot");
  STD_TORCH_CHECK(data.size(0) < (int64_t(1) << 31), "data: must have fewer than 2^31 slots");
  STD_TORCH_CHECK(pointer.scalar_type() == ScalarType::Long && pointer.dim() == 0, "pointer: must be one int64");
  check_device(pointer, data, "pointer");
}

// data: [slots, batch, rest], of which rest may be several dimensions in memory, `rest_stride` apart
inline Ring ring_of(const Tensor& data, const Tensor& pointer, int64_t rest, int64_t rest_stride) {
  check_ring(data, pointer);
  return {data.size(0),
          data.size(1),
          rest,
          data.stride(0),
          data.stride(1),
          rest_stride,
          static_cast<const int64_t*>(pointer.const_data_ptr())};
}

inline Ring ring_of(const Tensor& data, const Tensor& pointer) {
  STD_TORCH_CHECK(data.dim() == 3, "data: must be [slots, batch, rest]");
  return ring_of(data, pointer, data.size(2), data.stride(2));
}

template <class F>
void parallel(int64_t count, int64_t grain, F&& f) {
  if (count == 0) return;
  if (count <= grain)
    f(int64_t(0), count);
  else
    torch::stable::parallel_for(0, count, grain, f);
}

#ifdef INFERNO_WITH_CUDA
// Runs f(stream) on the device and the current stream of `t`.
template <class F>
void on_stream(const Tensor& t, F&& f) {
  STD_TORCH_CHECK(aoti_torch_get_current_cuda_stream != nullptr, "this torch has no CUDA");
  const torch::stable::accelerator::DeviceGuard guard(t.get_device_index());
  void* stream = nullptr;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(t.get_device_index(), &stream));
  f(stream);
}
#endif

}  // namespace inferno
