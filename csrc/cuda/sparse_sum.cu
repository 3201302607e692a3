// Sums over listed synapses, as csrc/cpu has them: each result of each lane is one thread's sum in the order of the
// list. A block takes a few rows and a stretch of the lanes, and lays a tile of the synapses of every row out in shared
// memory. A product of two stretches of lanes is a warp's, added up in a fixed tree.
#include "core/sparse.h"
#include "cuda/launch.h"

namespace inferno {
namespace {

constexpr int threads = 128;
constexpr int max_rows = 32;  // of a block
constexpr int tile = 32;      // synapses of a row
constexpr int warp = 32;

INFERNO_HD int64_t lanes_of(const SparseSumArgs& a, bool transposed) {
  return (transposed ? a.slots - 1 + a.steps : a.steps) * a.batch;
}

template <class T, class C = Compute<T>>
INFERNO_HD C lane_value(const SparseSumArgs& a, int64_t at) {
  if (a.bool_data) return sample_value<Bool, C>(static_cast<const Bool*>(a.data)[at], a.scale);
  return load(static_cast<const T*>(a.data)[at]);
}

// The sum with a synapse added, for one lane.
template <class T, class C = Compute<T>>
INFERNO_HD C add_sample(const SparseSumArgs& a, int64_t newest, const SparseTap<C>& tap, int64_t lane, C sum) {
  if (tap.age == a.slots) return sum + tap.weight * C(a.overbound);
  const int64_t from = tap.from * a.partner_stride + lane;
  C z = lane_value<T>(a, from + sparse_offset(a, newest, tap.age));
  if (tap.second > C(0))
    z = blend_linear(z, lane_value<T>(a, from + sparse_offset(a, newest, tap.age - 1)), tap.second);
  return sum + tap.weight * z;
}

// A lane of the transposed sum is that of a sample; it gets from the steps that see it.
template <class T, class C = Compute<T>>
INFERNO_HD C add_gradient(const SparseSumArgs& a, const SparseTap<C>& tap, int64_t lane, C sum) {
  if (tap.age == a.slots) return sum;
  const int64_t from = tap.from * a.partner_stride, lanes = a.steps * a.batch;
  const int64_t older = lane - (a.slots - 1 - tap.age) * a.batch, newer = older - a.batch;
  if (older >= 0 && older < lanes) sum = sum + tap.weight * lane_value<T>(a, from + older);
  if (tap.second != C(0) && newer >= 0 && newer < lanes) sum = sum + tap.second * lane_value<T>(a, from + newer);
  return sum;
}

// blockDim = (lanes, rows); the blocks of a stretch of rows follow each other along the lanes.
template <class T, class Slot, bool Transposed>
__global__ void __launch_bounds__(threads) sparse_sum_kernel(SparseSumArgs a) {
  using C = Compute<T>;
  __shared__ SparseTap<C> taps[max_rows][tile + 1];
  const int64_t newest = newest_slot(a), lanes = lanes_of(a, Transposed), rows = a.list.rows;
  const int64_t lane_blocks = (lanes + blockDim.x - 1) / blockDim.x;
  const int64_t first = int64_t(blockIdx.x) / lane_blocks * blockDim.y, row = first + threadIdx.y;
  const int64_t lane = int64_t(blockIdx.x) % lane_blocks * blockDim.x + threadIdx.x;
  const bool mine = row < rows && lane < lanes;
  const int64_t length = row < rows ? a.list.start[row + 1] - a.list.start[row] : 0;
  int64_t longest = 0;
  for (int64_t r = first; r < first + blockDim.y && r < rows; ++r) {
    const int64_t other = a.list.start[r + 1] - a.list.start[r];
    longest = other > longest ? other : longest;
  }
  const int thread = threadIdx.y * blockDim.x + threadIdx.x, block_threads = blockDim.x * blockDim.y;
  C sum = 0;
  for (int64_t begin = 0; begin < longest; begin += tile) {
    __syncthreads();
    for (int j = thread; j < int(blockDim.y) * tile; j += block_threads) {
      const int64_t r = first + j / tile, k = begin + j % tile;
      if (r < rows && k < a.list.start[r + 1] - a.list.start[r])
        taps[j / tile][j % tile] = sparse_tap<T, Slot, Transposed>(a, a.list.start[r] + k);
    }
    __syncthreads();
    if (!mine) continue;
    const int count = int(length - begin < tile ? length - begin : tile);
    for (int k = 0; k < count; ++k) {
      const SparseTap<C>& tap = taps[threadIdx.y][k];
      sum = Transposed ? add_gradient<T>(a, tap, lane, sum) : add_sample<T>(a, newest, tap, lane, sum);
    }
  }
  if (!mine) return;
  if (a.bias) sum = sum + load(static_cast<const T*>(a.bias)[row]);
  static_cast<T*>(a.out)[Transposed ? row * lanes + lane : lane * rows + row] = store<T>(sum);
}

template <class C>
__device__ C warp_sum(C mine) {
  for (int half = warp / 2; half > 0; half /= 2) mine = mine + __shfl_down_sync(0xffffffffu, mine, half);
  return mine;
}

// A warp for each synapse.
template <class T, class Slot>
__global__ void __launch_bounds__(threads) sparse_taps_kernel(SparseTapsArgs a) {
  using C = Compute<T>;
  const int64_t lanes = a.steps * a.batch, warps = int64_t(gridDim.x) * (threads / warp);
  const int lane = threadIdx.x % warp;
  for (int64_t s = (int64_t(blockIdx.x) * threads + threadIdx.x) / warp; s < a.synapses; s += warps) {
    const int32_t age = a.slot ? int32_t(static_cast<const Slot*>(a.slot)[s]) : 0;
    const bool outside = age == a.slots;
    const int64_t from = a.source[s] * a.source_stride + (a.slots - 1 - age) * a.batch;
    const auto sample = [&](int64_t at) {
      if (outside) return C(a.overbound);
      if (a.bool_data) return sample_value<Bool, C>(static_cast<const Bool*>(a.data)[from + at], a.scale);
      return C(load(static_cast<const T*>(a.data)[from + at]));
    };
    C older = 0, newer = 0;
    for (int64_t l = lane; l < lanes; l += warp) {
      const C grad = load(static_cast<const T*>(a.grad)[a.target[s] * a.target_stride + l]);
      older = older + grad * sample(l);
      if (a.newer) newer = newer + grad * sample(l + a.batch);
    }
    older = warp_sum(older);
    if (a.newer) newer = warp_sum(newer);
    if (lane != 0) continue;
    static_cast<C*>(a.older)[s] = older;
    if (a.newer) static_cast<C*>(a.newer)[s] = newer;
  }
}

template <bool Transposed>
void start(const SparseSumArgs& a, void* stream) {
  const int64_t lanes = lanes_of(a, Transposed), rows = a.list.rows;
  if (lanes == 0 || rows == 0) return;
  unsigned width = 1;
  while (width < warp && int64_t(width) < lanes) width *= 2;
  const unsigned together = threads / width < unsigned(max_rows) ? threads / width : unsigned(max_rows);
  const dim3 grid(unsigned((rows + together - 1) / together * ((lanes + width - 1) / width)));
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    const auto kernel =
        a.byte_slots ? sparse_sum_kernel<T, uint8_t, Transposed> : sparse_sum_kernel<T, int32_t, Transposed>;
    launch(kernel, grid, dim3(width, together), 0, stream, a);
  });
}

}  // namespace

void sparse_sum_cuda(const SparseSumArgs& a, void* stream) { start<false>(a, stream); }

void sparse_sum_transposed_cuda(const SparseSumArgs& a, void* stream) { start<true>(a, stream); }

void sparse_taps_cuda(const SparseTapsArgs& a, void* stream) {
  if (a.synapses == 0) return;
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    const auto kernel = a.byte_slots ? sparse_taps_kernel<T, uint8_t> : sparse_taps_kernel<T, int32_t>;
    launch(kernel, grid_for(a.synapses, threads / warp), dim3(threads), 0, stream, a);
  });
}

}  // namespace inferno
