// The emulator against what CUDA's programming guide says of each feature.
#include <numeric>
#include <string>
#include <vector>

#include "check.h"
#include "cuda_emu.h"

namespace {

constexpr unsigned all_lanes = ~0u;

template <class F>
std::string error_of(F&& run) {
  try {
    run();
  } catch (const emu::error& e) {
    return e.what();
  }
  return "";
}

__global__ void write_index(int* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = i;
}

void plain_kernel() {
  const int n = 1000003;
  std::vector<int> out(n, -1), expected(n);
  std::iota(expected.begin(), expected.end(), 0);
  emu::launch(write_index, (n + 255) / 256, 256, 0, out.data(), n);
  CHECK(out == expected);
}

__global__ void write_coordinates(int* out) {
  const int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  out[block * 30 + thread] += block * 30 + thread;
}

void three_dimensions() {
  std::vector<int> out(24 * 30, 0), expected(24 * 30);
  std::iota(expected.begin(), expected.end(), 0);
  emu::launch(write_coordinates, dim3(2, 3, 4), dim3(5, 3, 2), 0, out.data());
  CHECK(out == expected);
}

// Sums its input with every means of communication there is.
__global__ void sum(const float* in, int n, double* total, unsigned* positive) {
  __shared__ float of_warp[32];
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  float x = i < n ? __ldg(in + i) : 0.0f;
  const unsigned votes = __ballot_sync(all_lanes, x > 0);
  for (int delta = 16; delta > 0; delta /= 2) x += __shfl_down_sync(all_lanes, x, delta);
  if (threadIdx.x % warpSize == 0) {
    of_warp[threadIdx.x / warpSize] = x;
    atomicAdd(positive, unsigned(__popc(votes)));
  }
  __syncthreads();
  if (threadIdx.x < 32) {
    float y = threadIdx.x < blockDim.x / 32 ? of_warp[threadIdx.x] : 0.0f;
    __syncwarp();
    for (int bits = 16; bits > 0; bits /= 2) y += __shfl_xor_sync(all_lanes, y, bits);
    if (threadIdx.x == 0) atomicAdd(total, double(y));
  }
}

void reduction() {
  for (const bool reversed : {false, true}) {
    emu::reversed = reversed;
    for (const int n : {1, 31, 32, 33, 1000, 4096}) {
      std::vector<float> in(n);
      for (int i = 0; i < n; ++i) in[i] = float(i % 7 - 2);
      double total = 0;
      unsigned positive = 0;
      emu::launch(sum, (n + 255) / 256, 256, 0, in.data(), n, &total, &positive);
      CHECK(total == std::accumulate(in.begin(), in.end(), 0.0));
      CHECK(positive == std::count_if(in.begin(), in.end(), [](float x) { return x > 0; }));
    }
  }
  emu::reversed = false;
}

__global__ void shuffles(int* out) {
  const int t = threadIdx.x;
  int* row = out + t * 7;
  row[0] = __shfl_sync(all_lanes, t, 5);
  row[1] = __shfl_sync(all_lanes, t, 5, 8);
  row[2] = __shfl_up_sync(all_lanes, t, 3);
  row[3] = __shfl_down_sync(all_lanes, t, 3, 16);
  row[4] = __shfl_xor_sync(all_lanes, t, 1);
  row[5] = int(__ballot_sync(all_lanes, t < 40));
  // Half of a warp talks among itself, as its mask says.
  row[6] = t % 32 < 16 ? int(__ballot_sync(0x0000ffffu, t % 2)) : -1;
}

void warp_functions() {
  std::vector<int> out(64 * 7, -9);
  emu::launch(shuffles, 1, 64, 0, out.data());
  for (int t = 0; t < 64; ++t) {
    const int* row = out.data() + t * 7;
    const int lane = t % 32, first = t - lane;
    CHECK(row[0] == first + 5);
    CHECK(row[1] == t / 8 * 8 + 5);
    CHECK(row[2] == (lane < 3 ? t : t - 3));
    CHECK(row[3] == (lane % 16 + 3 >= 16 ? t : t + 3));
    CHECK(row[4] == (t ^ 1));
    CHECK(row[5] == (t < 32 ? -1 : 0xff));
    CHECK(row[6] == (lane < 16 ? 0xaaaa : -1));
  }
}

__global__ void reverse(const int* in, int* out) {
  int* held = emu::dynamic_shared<int>();
  const int t = threadIdx.x, n = blockDim.x;
  CHECK(held[t] == -1);
  held[t] = in[blockIdx.x * n + t];
  __syncthreads();
  out[blockIdx.x * n + t] = held[n - 1 - t];
}

void dynamic_shared_memory() {
  std::vector<int> in(300), out(300);
  std::iota(in.begin(), in.end(), 0);
  emu::launch(reverse, 3, 100, 100 * sizeof(int), in.data(), out.data());
  for (int i = 0; i < 300; ++i) CHECK(out[i] == i / 100 * 100 + 99 - i % 100);
}

__global__ void rotate(int* data) {
  const int t = threadIdx.x, n = blockDim.x;
  for (int round = 0; round < 10; ++round) {
    const int next = data[(t + 1) % n];
    __syncthreads();
    data[t] = next;
    __syncthreads();
  }
}

void barriers() {
  for (const bool reversed : {false, true}) {
    emu::reversed = reversed;
    std::vector<int> data(1024);
    std::iota(data.begin(), data.end(), 0);
    emu::launch(rotate, 1, 1024, 0, data.data());
    for (int i = 0; i < 1024; ++i) CHECK(data[i] == (i + 10) % 1024);
  }
  emu::reversed = false;
}

__global__ void atomics(int* cells) {
  atomicMax(&cells[0], int(threadIdx.x) * 3);
  atomicCAS(&cells[1], int(threadIdx.x), int(threadIdx.x) + 1);
  if (atomicExch(&cells[2], 1) == 0) atomicAdd(&cells[3], 1);
  cells[4] = __ffs(0x50);
}

void atomic_functions() {
  std::vector<int> cells(5, 0);
  emu::launch(atomics, 1, 96, 0, cells.data());
  CHECK(cells == std::vector<int>{285, 96, 1, 1, 5});
}

__global__ void leaves_early() {
  if (threadIdx.x < 10) return;
  __syncthreads();
}

__global__ void takes_two_ways() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

__global__ void splits_a_warp(int* out) {
  if (threadIdx.x < 16) {
    out[threadIdx.x] = __shfl_sync(all_lanes, 1, 0);
  } else {
    out[threadIdx.x] = __shfl_sync(all_lanes, 2, 0);
  }
}

__global__ void reads_a_missing_lane(int* out) { out[threadIdx.x] = __shfl_sync(all_lanes, 1, 20); }

__global__ void is_not_in_its_mask() { __syncwarp(1u); }

__global__ void nothing() {}

void mistakes_are_reported() {
  std::vector<int> out(64);
  const auto says = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  CHECK(says(error_of([] { emu::launch(leaves_early, 1, 64, 0); }), "from thread 0: at the end"));
  CHECK(says(error_of([] { emu::launch(takes_two_ways, 1, 64, 0); }), "from thread 32: at"));
  CHECK(says(error_of([&] { emu::launch(splits_a_warp, 1, 32, 0, out.data()); }), "different places"));
  CHECK(says(error_of([&] { emu::launch(reads_a_missing_lane, 1, 16, 0, out.data()); }), "a lane that is not there"));
  CHECK(says(error_of([] { emu::launch(is_not_in_its_mask, 1, 2, 0); }), "outside the mask"));
  CHECK(says(error_of([] { emu::launch(nothing, 0, 32, 0); }), "empty grid"));
  CHECK(says(error_of([] { emu::launch(nothing, dim3(1, 1 << 16), 32, 0); }), "grid too large"));
  CHECK(says(error_of([] { emu::launch(nothing, 1, 1025, 0); }), "block too large"));
  CHECK(says(error_of([] { emu::launch(nothing, 1, 32, 1 << 20); }), "shared memory"));
  barriers();  // and the emulator works on after them
}

}  // namespace

int main() {
  plain_kernel();
  three_dimensions();
  reduction();
  warp_functions();
  dynamic_shared_memory();
  barriers();
  atomic_functions();
  mistakes_are_reported();
  return failed_checks;
}
