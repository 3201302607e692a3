// Kernel launches that a plain C++ compiler can also parse: tests/cpp compiles the kernels over a CPU stand-in.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#ifndef INFERNO_CUDA_EMU
#include <cuda_runtime.h>
#endif

namespace inferno {

#ifdef INFERNO_CUDA_EMU
template <class... P, class... A>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, void*, const A&... a) {
  emu::launch(kernel, grid, block, shared, static_cast<P>(a)...);
}

using emu::dynamic_shared;

inline void copy_to_device(void* to, const void* from, size_t bytes, void*) { std::memcpy(to, from, bytes); }
#else
template <class... P, class... A>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, void* stream, const A&... a) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  config.stream = static_cast<cudaStream_t>(stream);
  const cudaError_t error = cudaLaunchKernelEx(&config, kernel, static_cast<P>(a)...);
  if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
}

// `from` may be written again once this has returned.
inline void copy_to_device(void* to, const void* from, size_t bytes, void* stream) {
  const cudaError_t error = cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, static_cast<cudaStream_t>(stream));
  if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
}

// The shared memory that a launch asked for.
template <class T>
__device__ T* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  return reinterpret_cast<T*>(shared_bytes);
}
#endif

// Blocks for `count` items, one a thread; kernels stride over what a grid this size leaves.
inline dim3 grid_for(int64_t count, int64_t threads) {
  const int64_t blocks = (count + threads - 1) / threads;
  const int64_t limit = 1 << 20;
  return dim3(unsigned(blocks < limit ? blocks : limit));
}

#define INFERNO_FIRST_ITEM (int64_t(blockIdx.x) * blockDim.x + threadIdx.x)
#define INFERNO_ITEM_STRIDE (int64_t(gridDim.x) * blockDim.x)

}  // namespace inferno
