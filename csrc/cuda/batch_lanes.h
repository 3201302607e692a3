// Blocks of (neurons, rows of threads), in which the threads of a column share a neuron and its samples.
#pragma once
#include <stdexcept>
#include <string>

#include "core/neuron.h"
#include "cuda/launch.h"

namespace inferno {

constexpr int lane_threads = 256;  // of a block

// Calls f(sample, lane) with the samples of the lanes of a thread, in ascending order within a lane.
template <class F>
__device__ void each_sample(int64_t batch, int lanes, F&& f) {
  for (int lane = threadIdx.y; lane < lanes; lane += blockDim.y)
    for (int64_t sample = lane; sample < batch; sample += lanes) f(sample, lane);
}

// Calls add(lower, upper) with lanes whose partial sums are to be added, in the order of batch_lanes(). All threads of
// a block call it; sums are complete for all of them behind the next barrier.
template <class F>
__device__ void add_lanes(int64_t batch, int lanes, bool mine, F&& add) {
  int64_t filled = batch < lanes ? batch : lanes;
  for (int half = lanes / 2; half > 0; filled = half, half /= 2) {
    __syncthreads();
    for (int lane = half + threadIdx.y; mine && lane < filled; lane += blockDim.y) add(lane - half, lane);
  }
}

// The block for neurons of which each takes `bytes` of shared memory; `what` is at fault where there is no room.
inline dim3 lane_block(int lanes, size_t bytes, const char* what) {
  constexpr size_t limit = 48 << 10;  // of a block, without asking for more
  const int rows = lanes < 8 ? lanes : 8;
  int columns = lane_threads / rows;
  while (columns > 1 && columns * bytes > limit) columns /= 2;
  if (columns * bytes > limit) throw std::runtime_error(std::string(what) + ": too many adaptations of one neuron");
  return dim3(unsigned(columns), unsigned(rows));
}

}  // namespace inferno
