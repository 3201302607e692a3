// As cpu/delayed_dense.cpp: each (output, batch item) is one thread's sum over the inputs in ascending order. A block
// takes a few outputs and a stretch of the batch, and lays the coefficients of a tile of inputs out in shared memory.
#include "core/args.h"
#include "core/history.h"
#include "cuda/launch.h"

namespace inferno {
namespace {

constexpr int threads = 128;
constexpr int tile = 32;         // inputs
constexpr int max_outputs = 32;  // of a block

template <class T>
struct Source {
  using C = Compute<T>;
  const DelayedDenseArgs& a;
  int64_t newest;

  __device__ C at(int64_t b, int64_t i, int32_t age) const {
    if (age == a.ring.slots) return C(a.overbound);
    const int64_t from =
        slot_of_age(newest, age, a.ring.slots) * a.ring.slot_stride + b * a.ring.batch_stride + i * a.ring.rest_stride;
    if (a.bool_history) return static_cast<const uint8_t*>(a.data)[from] ? C(a.scale) : C(0);
    return load(static_cast<const T*>(a.data)[from]);
  }
};

// blockDim = (batch lanes, outputs); the blocks of a stretch of outputs follow each other along the batch.
template <class T, class Slot, bool Linear>
__global__ void __launch_bounds__(threads) delayed_dense_kernel(DelayedDenseArgs a) {
  using C = Compute<T>;
  __shared__ C weights[max_outputs][tile + 1];
  __shared__ C blends[Linear ? max_outputs : 1][tile + 1];
  __shared__ int32_t ages[max_outputs][tile + 1];
  const Source<T> source{a, ring_slot(*a.ring.pointer, 1, a.ring.slots)};
  const int outputs = blockDim.y;
  const int64_t batch_blocks = (a.ring.batch + blockDim.x - 1) / blockDim.x;
  const int64_t first_output = int64_t(blockIdx.x) / batch_blocks * outputs;
  const int64_t o = first_output + threadIdx.y;
  const int64_t b = int64_t(blockIdx.x) % batch_blocks * blockDim.x + threadIdx.x;
  const bool mine = o < a.outputs && b < a.ring.batch;
  const int64_t inputs = a.ring.rest;
  const int lane = threadIdx.y * blockDim.x + threadIdx.x;
  const int lanes = blockDim.x * blockDim.y;
  C sum = 0;
  for (int64_t begin = 0; begin < inputs; begin += tile) {
    const int count = int(inputs - begin < tile ? inputs - begin : tile);
    __syncthreads();
    for (int j = lane; j < outputs * tile; j += lanes) {
      const int row = j / tile, column = j % tile;
      if (first_output + row >= a.outputs || column >= count) continue;
      const int64_t at = (first_output + row) * inputs + begin + column;
      const C weight = load(static_cast<const T*>(a.weight)[at]);
      const C factor = a.factor ? static_cast<const C*>(a.factor)[at] : C(Linear ? 0 : 1);
      weights[row][column] = Linear ? weight : weight * factor;
      if (Linear) blends[row][column] = factor > C(0) ? factor : C(0);
      ages[row][column] = int32_t(static_cast<const Slot*>(a.slot)[at]);
    }
    __syncthreads();
    if (!mine) continue;
#pragma unroll 8
    for (int i = 0; i < count; ++i) {
      const int32_t age = ages[threadIdx.y][i];
      C z = source.at(b, begin + i, age);
      if (Linear) {
        const C blend = blends[threadIdx.y][i];
        if (blend > C(0)) z = z + (source.at(b, begin + i, age - 1) - z) * blend;
      }
      sum = sum + weights[threadIdx.y][i] * z;
    }
  }
  if (!mine) return;
  if (a.bias) sum = sum + load(static_cast<const T*>(a.bias)[o]);
  static_cast<T*>(a.out)[b * a.outputs + o] = store<T>(sum);
}

template <class T, class Slot>
void dense(const DelayedDenseArgs& a, void* stream) {
  unsigned lanes = 1;
  while (lanes < 32 && int64_t(lanes) < a.ring.batch) lanes *= 2;
  const unsigned outputs = threads / lanes < unsigned(max_outputs) ? threads / lanes : unsigned(max_outputs);
  const dim3 grid(unsigned((a.outputs + outputs - 1) / outputs * ((a.ring.batch + lanes - 1) / lanes)));
  const auto kernel = a.linear ? delayed_dense_kernel<T, Slot, true> : delayed_dense_kernel<T, Slot, false>;
  launch(kernel, grid, dim3(lanes, outputs), 0, stream, a);
}

}  // namespace

void delayed_dense_cuda(const DelayedDenseArgs& a, void* stream) {
  if (a.outputs == 0 || a.ring.batch == 0) return;
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    a.byte_slots ? dense<T, uint8_t>(a, stream) : dense<T, int32_t>(a, stream);
  });
}

}  // namespace inferno
