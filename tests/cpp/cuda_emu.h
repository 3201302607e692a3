// A CPU stand-in for the CUDA that our kernels use, so that plain g++ compiles and runs the .cu files (tests only).
//
// Blocks run one after another: races between blocks are not seen. `reversed` turns the order of threads and blocks
// around, which brings a missing barrier to light. Mistakes that hang or corrupt a GPU are thrown as emu::error.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "fibers.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __shared__ static
#define __constant__ static

struct uint3 {
  unsigned x, y, z;
};

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

using cudaStream_t = struct CUstream_st*;

namespace emu {

constexpr size_t max_threads = 1024;
constexpr size_t max_shared_bytes = 227 << 10;  // what a kernel may ask for on sm_90

inline uint3 thread_idx, block_idx;
inline dim3 block_dim, grid_dim;
inline std::vector<char> shared_memory;

inline void check_launch(dim3 grid, dim3 block, size_t smem) {
  if (!grid.x || !grid.y || !grid.z || !block.x || !block.y || !block.z) throw error("empty grid or block");
  if (grid.x > 0x7fffffffu || grid.y > 0xffffu || grid.z > 0xffffu) throw error("grid too large");
  if (size_t(block.x) * block.y * block.z > max_threads || block.z > 64) throw error("block too large");
  if (smem > max_shared_bytes) throw error("too much dynamic shared memory");
}

template <class... P, class... A>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t smem, A... args) {
  check_launch(grid, block, smem);
  grid_dim = grid;
  block_dim = block;
  shared_memory.resize(smem);
  kernel_call = [kernel, held = std::tuple<P...>(args...)] { std::apply(kernel, held); };
  on_select = [](unsigned i) {
    thread_idx = {i % block_dim.x, i / block_dim.x % block_dim.y, i / block_dim.x / block_dim.y};
  };
  const uint64_t count = uint64_t(grid.x) * grid.y * grid.z;
  for (uint64_t k = 0; k < count; ++k) {
    const uint64_t i = reversed ? count - 1 - k : k;
    block_idx = {unsigned(i % grid.x), unsigned(i / grid.x % grid.y), unsigned(i / grid.x / grid.y)};
    std::fill(shared_memory.begin(), shared_memory.end(), char(0xff));  // NaN, or -1: nobody may count on zeros
    run_block(int(block.x * block.y * block.z));
  }
}

// Stands for `extern __shared__ T name[]`, which no C++ compiler would take.
template <class T>
T* dynamic_shared() {
  return reinterpret_cast<T*>(shared_memory.data());
}

inline int lane() { return current_thread % warp_size; }

inline void sync_block(const char* site) { wait_for(Wait::block, site); }

inline void sync_warp(const char* site, unsigned mask = ~0u) {
  if (!(mask >> lane() & 1)) throw error(std::string("a lane outside the mask at ") + site);
  wait_for(Wait::warp, site, mask);
}

template <class T>
T shuffle(const char* site, unsigned mask, T value, int source) {
  static_assert(sizeof(T) <= 8);
  if (!(mask >> lane() & 1)) throw error(std::string("a lane outside the mask at ") + site);
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  wait_for(Wait::warp, site, mask, bits);
  const Thread& self = threads[current_thread];
  if (!(self.peers >> source & 1)) throw error(std::string("a shuffle from a lane that is not there, at ") + site);
  const Thread& other = threads[current_thread - lane() + source];
  std::memcpy(&value, &other.given, sizeof(T));
  return value;
}

// CUDA's rule: a source outside the lane's segment of `width` lanes means the lane itself.
template <class T>
T shuffle_index(const char* site, unsigned mask, T value, int source, int width = warp_size) {
  return shuffle(site, mask, value, lane() / width * width + (source & (width - 1)));
}

template <class T>
T shuffle_up(const char* site, unsigned mask, T value, unsigned delta, int width = warp_size) {
  const int at = lane() % width - int(delta);
  return shuffle(site, mask, value, at < 0 ? lane() : lane() - int(delta));
}

template <class T>
T shuffle_down(const char* site, unsigned mask, T value, unsigned delta, int width = warp_size) {
  const int at = lane() % width + int(delta);
  return shuffle(site, mask, value, at >= width ? lane() : lane() + int(delta));
}

template <class T>
T shuffle_xor(const char* site, unsigned mask, T value, int bits, int width = warp_size) {
  const int source = lane() ^ bits;
  return shuffle(site, mask, value, source / width > lane() / width ? lane() : source);
}

inline unsigned ballot(const char* site, unsigned mask, bool predicate) {
  shuffle(site, mask, uint32_t(predicate), lane());
  const unsigned peers = threads[current_thread].peers;
  unsigned votes = 0;
  for (int i = 0; i < warp_size; ++i)
    if (peers >> i & 1) votes |= unsigned(threads[current_thread - lane() + i].given) << i;
  return votes;
}

}  // namespace emu

#define EMU_TEXT_(x) #x
#define EMU_TEXT(x) EMU_TEXT_(x)
#define EMU_SITE __FILE__ ":" EMU_TEXT(__LINE__)

#define threadIdx emu::thread_idx
#define blockIdx emu::block_idx
#define blockDim emu::block_dim
#define gridDim emu::grid_dim
#define warpSize emu::warp_size
#define __syncthreads() emu::sync_block(EMU_SITE)
#define __syncwarp(...) emu::sync_warp(EMU_SITE __VA_OPT__(, ) __VA_ARGS__)
#define __shfl_sync(...) emu::shuffle_index(EMU_SITE, __VA_ARGS__)
#define __shfl_up_sync(...) emu::shuffle_up(EMU_SITE, __VA_ARGS__)
#define __shfl_down_sync(...) emu::shuffle_down(EMU_SITE, __VA_ARGS__)
#define __shfl_xor_sync(...) emu::shuffle_xor(EMU_SITE, __VA_ARGS__)
#define __ballot_sync(...) emu::ballot(EMU_SITE, __VA_ARGS__)

template <class T>
T __ldg(const T* address) {
  return *address;
}

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(unsigned x) { return __builtin_ffs(int(x)); }

// Fibers are never interrupted between barriers, so plain updates are atomic.
template <class T>
T atomicAdd(T* address, std::common_type_t<T> value) {
  return std::exchange(*address, *address + value);
}

template <class T>
T atomicMax(T* address, std::common_type_t<T> value) {
  return std::exchange(*address, std::max(*address, value));
}

template <class T>
T atomicExch(T* address, std::common_type_t<T> value) {
  return std::exchange(*address, value);
}

template <class T>
T atomicCAS(T* address, std::common_type_t<T> expected, std::common_type_t<T> value) {
  return std::exchange(*address, *address == expected ? value : *address);
}
