// Delayed sums of all steps of a sequence, as csrc/cpu has them: each sum is one thread's, over its terms in ascending
// order. A lane is a time of an item of the batch at a place; a block takes a few channels and a stretch of the lanes,
// and lays a tile of their synapses out in shared memory. A correlation is a block's, added up in a fixed tree.
#include "core/delayed_run.h"

#include "cuda/launch.h"

namespace inferno {
namespace {

constexpr int threads = 128;
constexpr int max_channels = 32;  // of a block
constexpr int tile = 32;          // terms

struct Lane {
  int64_t time, batch, row, column;
};

// The batch is innermost, then time: as sequences are laid out for the GPU.
INFERNO_HD Lane lane_at(int64_t l, int64_t batch, int64_t times, int64_t columns) {
  const int64_t place = l / (batch * times);
  return {l / batch % times, l % batch, place / columns, place % columns};
}

template <class T, class C = Compute<T>>
INFERNO_HD C sequence_at(const DelayedRunArgs& a, const Sequence& q, bool is_bool, int64_t time, int64_t batch,
                         int64_t rest) {
  const int64_t at = time * q.time_stride + batch * q.batch_stride + rest * q.rest_stride;
  if (is_bool) return sample_value<Bool, C>(static_cast<const Bool*>(q.data)[at], a.scale);
  return load(static_cast<const T*>(q.data)[at]);
}

template <bool Transposed>
struct Sums {
  using Map = Side<Transposed>;

  INFERNO_HD static int64_t channels(const DelayedRunArgs& a) { return Transposed ? a.channels : a.filters; }
  INFERNO_HD static int64_t sources(const DelayedRunArgs& a) {
    return a.direct ? 1 : Transposed ? a.filters : a.channels;
  }
  INFERNO_HD static int64_t terms(const DelayedRunArgs& a) { return sources(a) * a.rows.kernel * a.columns.kernel; }
  INFERNO_HD static int64_t times(const DelayedRunArgs& a) { return a.steps + (Transposed ? a.slots - 1 : 0); }
  INFERNO_HD static int64_t places(const DelayedRunArgs& a) { return Map::targets(a.rows) * Map::targets(a.columns); }
  INFERNO_HD static int64_t lanes(const DelayedRunArgs& a) { return a.batch * times(a) * places(a); }

  // The source of an age for a lane; 0 where the sequence has none.
  template <class T, class C = Compute<T>>
  INFERNO_HD static C sample(const DelayedRunArgs& a, const Lane& lane, int32_t age, int64_t rest) {
    const int64_t time = lane.time + Map::steps(a, age) - (Transposed ? a.slots - 1 : 0);
    if (Transposed && (time < 0 || time >= a.steps)) return C(0);
    return sequence_at<T>(a, Transposed ? a.grad : a.series, !Transposed && a.bool_series, time, lane.batch, rest);
  }

  template <class T, class C = Compute<T>>
  INFERNO_HD static C add(const DelayedRunArgs& a, C sum, const RunTap<C>& tap, const Lane& lane, int64_t rest) {
    if (tap.age == a.slots) return Transposed ? sum : sum + tap.weight * C(a.overbound);
    const C older = sample<T>(a, lane, tap.age, rest);
    if (!(tap.second != C(0))) return sum + tap.weight * older;
    const C newer = sample<T>(a, lane, tap.age - 1, rest);
    if (Transposed) return sum + (tap.second * newer + tap.weight * older);
    return sum + tap.weight * blend_linear(older, newer, tap.second);
  }
};

// blockDim = (lanes, channels); the blocks of a stretch of channels follow each other along the lanes.
template <class T, class Slot, bool Transposed>
__global__ void __launch_bounds__(threads) delayed_run_kernel(DelayedRunArgs a) {
  using C = Compute<T>;
  using S = Sums<Transposed>;
  using Map = Side<Transposed>;
  __shared__ RunTap<C> taps[max_channels][tile + 1];
  const int64_t lanes = S::lanes(a), terms = S::terms(a), kernel = a.rows.kernel * a.columns.kernel;
  const int64_t lane_blocks = (lanes + blockDim.x - 1) / blockDim.x;
  const int64_t first = int64_t(blockIdx.x) / lane_blocks * blockDim.y;
  const int64_t channel = first + threadIdx.y;
  const int64_t l = int64_t(blockIdx.x) % lane_blocks * blockDim.x + threadIdx.x;
  const bool mine = channel < S::channels(a) && l < lanes;
  const Lane lane = lane_at(mine ? l : 0, a.batch, S::times(a), Map::targets(a.columns));
  const int64_t plane = Map::sources(a.rows) * Map::sources(a.columns);
  const int thread = threadIdx.y * blockDim.x + threadIdx.x, block_threads = blockDim.x * blockDim.y;
  C sum = 0;
  for (int64_t begin = 0; begin < terms; begin += tile) {
    const int count = int(terms - begin < tile ? terms - begin : tile);
    __syncthreads();
    for (int j = thread; j < int(blockDim.y) * tile; j += block_threads) {
      const int64_t target = first + j / tile, term = begin + j % tile;
      if (target >= S::channels(a) || term >= terms) continue;
      const int64_t source = a.direct ? target : term / kernel;
      taps[j / tile][j % tile] = run_tap<T, Slot, Transposed>(a, Map::synapse(a, target, source, term % kernel));
    }
    __syncthreads();
    if (!mine) continue;
    for (int i = 0; i < count; ++i) {
      const int64_t term = begin + i, tap = term % kernel, source = a.direct ? channel : term / kernel;
      const int64_t y = Map::source(a.rows, lane.row, tap / a.columns.kernel);
      const int64_t x = Map::source(a.columns, lane.column, tap % a.columns.kernel);
      if (y < 0 || x < 0) continue;
      sum = S::template add<T>(a, sum, taps[threadIdx.y][i], lane, source * plane + y * Map::sources(a.columns) + x);
    }
  }
  if (!mine) return;
  if (!Transposed && a.bias) sum = sum + load(static_cast<const T*>(a.bias)[channel]);
  const int64_t rest = channel * S::places(a) + lane.row * Map::targets(a.columns) + lane.column;
  const int64_t rests = S::channels(a) * S::places(a);
  static_cast<T*>(a.out)[(lane.time * a.batch + lane.batch) * rests + rest] = store<T>(sum);
}

template <class C>
__device__ C block_sum(C* shared, C mine) {
  __syncthreads();
  shared[threadIdx.x] = mine;
  __syncthreads();
  for (int half = threads / 2; half > 0; half /= 2) {
    if (int(threadIdx.x) < half) shared[threadIdx.x] = shared[threadIdx.x] + shared[threadIdx.x + half];
    __syncthreads();
  }
  return shared[0];
}

// A block for each synapse.
template <class T, class Slot>
__global__ void __launch_bounds__(threads) delayed_taps_kernel(DelayedRunArgs a, int64_t synapses) {
  using C = Compute<T>;
  using Map = Side<false>;
  __shared__ C sums[threads];
  const int64_t kernel = a.rows.kernel * a.columns.kernel, terms = (a.direct ? 1 : a.channels) * kernel;
  const int64_t lanes = a.batch * a.steps * a.rows.output * a.columns.output;
  for (int64_t s = blockIdx.x; s < synapses; s += gridDim.x) {
    const int64_t filter = s / terms, tap = s % kernel, channel = a.direct ? filter : s % terms / kernel;
    const int32_t age = int32_t(static_cast<const Slot*>(a.slot)[s]);
    C older = 0, newer = 0;
    for (int64_t l = threadIdx.x; l < lanes; l += threads) {
      const Lane lane = lane_at(l, a.batch, a.steps, a.columns.output);
      const int64_t y = Map::source(a.rows, lane.row, tap / a.columns.kernel);
      const int64_t x = Map::source(a.columns, lane.column, tap % a.columns.kernel);
      if (y < 0 || x < 0) continue;
      const int64_t place = (filter * a.rows.output + lane.row) * a.columns.output + lane.column;
      const int64_t pixel = (channel * a.rows.input + y) * a.columns.input + x;
      const C grad = sequence_at<T>(a, a.grad, false, lane.time, lane.batch, place);
      const bool outside = age == a.slots;
      older = older + grad * (outside ? C(a.overbound) : Sums<false>::template sample<T>(a, lane, age, pixel));
      if (a.newer)
        newer = newer + grad * (outside ? C(a.overbound) : Sums<false>::template sample<T>(a, lane, age - 1, pixel));
    }
    older = block_sum(sums, older);
    if (a.newer) newer = block_sum(sums, newer);
    if (threadIdx.x == 0) {
      static_cast<C*>(a.older)[s] = older;
      if (a.newer) static_cast<C*>(a.newer)[s] = newer;
    }
  }
}

// Calls f with values of the types of weight and slot.
template <class F>
void dispatch(const DelayedRunArgs& a, F&& f) {
  dispatch_floating(a.type, [&](auto scalar) { a.byte_slots ? f(scalar, uint8_t{}) : f(scalar, int32_t{}); });
}

template <bool Transposed>
void start(const DelayedRunArgs& a, void* stream) {
  using S = Sums<Transposed>;
  const int64_t lanes = S::lanes(a), channels = S::channels(a);
  if (lanes == 0 || channels == 0) return;
  unsigned width = 1;
  while (width < 32 && int64_t(width) < lanes) width *= 2;
  const unsigned together = threads / width < unsigned(max_channels) ? threads / width : unsigned(max_channels);
  const dim3 grid(unsigned((channels + together - 1) / together * ((lanes + width - 1) / width)));
  dispatch(a, [&](auto scalar, auto slot) {
    launch(delayed_run_kernel<decltype(scalar), decltype(slot), Transposed>, grid, dim3(width, together), 0, stream, a);
  });
}

}  // namespace

void delayed_run_cuda(const DelayedRunArgs& a, void* stream) { start<false>(a, stream); }

void delayed_run_series_cuda(const DelayedRunArgs& a, void* stream) { start<true>(a, stream); }

void delayed_run_taps_cuda(const DelayedRunArgs& a, void* stream) {
  const int64_t terms = (a.direct ? 1 : a.channels) * a.rows.kernel * a.columns.kernel, synapses = a.filters * terms;
  if (synapses == 0) return;
  dispatch(a, [&](auto scalar, auto slot) {
    launch(delayed_taps_kernel<decltype(scalar), decltype(slot)>, grid_for(synapses, 1), dim3(threads), 0, stream, a,
           synapses);
  });
}

}  // namespace inferno
