// Delayed sums, as csrc/cpu has them: each output of each lane is one thread's sum over its terms in ascending order. A
// lane is an item of the batch, with the convolution an item at a place. A block takes a few outputs and a stretch of
// the lanes, and lays the coefficients of a tile of terms out in shared memory.
#include "core/delayed.h"
#include "cuda/launch.h"

namespace inferno {
namespace {

constexpr int threads = 128;
constexpr int max_outputs = 32;  // of a block

struct Dense {
  using Args = DelayedSumArgs;
  using Lane = int64_t;  // the item's first sample
  using Term = int64_t;  // from there to the input's
  static constexpr int tile = 32;

  INFERNO_HD static int64_t lanes(const Args& a) { return a.ring.batch; }
  INFERNO_HD static int64_t terms(const Args& a) { return a.ring.rest; }
  INFERNO_HD static Lane lane(const Args& a, int64_t b, int64_t) { return b * a.ring.batch_stride; }
  INFERNO_HD static Term term(const Args& a, int64_t i) { return i * a.ring.rest_stride; }
  INFERNO_HD static bool sees(const Args&, const Lane&, const Term&) { return true; }
  INFERNO_HD static int64_t element(const Lane& lane, const Term& term) { return lane + term; }
  INFERNO_HD static int64_t out(const Args& a, int64_t b, int64_t o) { return b * a.outputs + o; }
};

struct Direct : Dense {
  static constexpr int tile = 1;

  INFERNO_HD static int64_t terms(const Args&) { return 1; }
  INFERNO_HD static Lane lane(const Args& a, int64_t b, int64_t o) {
    return b * a.ring.batch_stride + o * a.ring.rest_stride;
  }
};

struct Conv2d {
  using Args = DelayedConv2dArgs;
  struct Place {
    int64_t element;  // in a slot; taps add to them
    int64_t row, column;
  };
  using Lane = Place;
  using Term = Place;
  static constexpr int tile = 32;

  INFERNO_HD static int64_t places(const Args& a) { return a.rows.output * a.columns.output; }
  INFERNO_HD static int64_t lanes(const Args& a) { return a.ring.batch * places(a); }
  INFERNO_HD static int64_t terms(const Args& a) { return a.channels * a.rows.kernel * a.columns.kernel; }
  INFERNO_HD static Lane lane(const Args& a, int64_t l, int64_t) {
    // the batch is innermost, as in the history
    const int64_t b = l % a.ring.batch, place = l / a.ring.batch;
    const int64_t row = place / a.columns.output * a.rows.stride - a.rows.padding;
    const int64_t column = place % a.columns.output * a.columns.stride - a.columns.padding;
    return {b * a.ring.batch_stride + row * a.rows.pixel_stride + column * a.columns.pixel_stride, row, column};
  }
  INFERNO_HD static Term term(const Args& a, int64_t i) {
    const int64_t row = i / a.columns.kernel % a.rows.kernel * a.rows.dilation;
    const int64_t column = i % a.columns.kernel * a.columns.dilation;
    const int64_t channel = i / (a.columns.kernel * a.rows.kernel);
    return {channel * a.channel_stride + row * a.rows.pixel_stride + column * a.columns.pixel_stride, row, column};
  }
  INFERNO_HD static bool sees(const Args& a, const Lane& lane, const Term& term) {
    return uint64_t(lane.row + term.row) < uint64_t(a.rows.input) &&
           uint64_t(lane.column + term.column) < uint64_t(a.columns.input);
  }
  INFERNO_HD static int64_t element(const Lane& lane, const Term& term) { return lane.element + term.element; }
  INFERNO_HD static int64_t out(const Args& a, int64_t l, int64_t o) {
    return (l % a.ring.batch * a.outputs + o) * places(a) + l / a.ring.batch;
  }
};

// blockDim = (lanes, outputs); the blocks of a stretch of outputs follow each other along the lanes.
template <class Map, class T, class Slot, bool Linear>
__global__ void __launch_bounds__(threads) delayed_sum_kernel(typename Map::Args a) {
  using C = Compute<T>;
  constexpr int tile = Map::tile;
  __shared__ C weights[max_outputs][tile + 1];
  __shared__ C blends[Linear ? max_outputs : 1][tile + 1];
  __shared__ int32_t ages[max_outputs][tile + 1];
  __shared__ typename Map::Term places[tile];
  const int64_t newest = ring_slot(*a.ring.pointer, 1, a.ring.slots);
  const int outputs = blockDim.y;
  const int64_t lanes = Map::lanes(a), terms = Map::terms(a);
  const int64_t lane_blocks = (lanes + blockDim.x - 1) / blockDim.x;
  const int64_t first_output = int64_t(blockIdx.x) / lane_blocks * outputs;
  const int64_t o = first_output + threadIdx.y;
  const int64_t l = int64_t(blockIdx.x) % lane_blocks * blockDim.x + threadIdx.x;
  const bool mine = o < a.outputs && l < lanes;
  const typename Map::Lane lane = Map::lane(a, mine ? l : 0, mine ? o : 0);
  const int thread = threadIdx.y * blockDim.x + threadIdx.x;
  const int block_threads = blockDim.x * blockDim.y;
  C sum = 0;
  for (int64_t begin = 0; begin < terms; begin += tile) {
    const int count = int(terms - begin < tile ? terms - begin : tile);
    __syncthreads();
    for (int j = thread; j < count; j += block_threads) places[j] = Map::term(a, begin + j);
    for (int j = thread; j < outputs * tile; j += block_threads) {
      const int row = j / tile, column = j % tile;
      if (first_output + row >= a.outputs || column >= count) continue;
      const Tap<C> tap = tap_of<T, Slot>(a, (first_output + row) * terms + begin + column);
      weights[row][column] = tap.weight;
      if (Linear) blends[row][column] = tap.blend;
      ages[row][column] = tap.age;
    }
    __syncthreads();
    if (!mine) continue;
#pragma unroll 8
    for (int i = 0; i < count; ++i) {
      if (!Map::sees(a, lane, places[i])) continue;
      const int64_t element = Map::element(lane, places[i]);
      const int32_t age = ages[threadIdx.y][i];
      C z = sample_at<T>(a, newest, age, element);
      if (Linear) {
        const C blend = blends[threadIdx.y][i];
        if (blend > C(0)) z = blend_linear(z, sample_at<T>(a, newest, age - 1, element), blend);
      }
      sum = sum + weights[threadIdx.y][i] * z;
    }
  }
  if (!mine) return;
  if (a.bias) sum = sum + load(static_cast<const T*>(a.bias)[o]);
  static_cast<T*>(a.out)[Map::out(a, l, o)] = store<T>(sum);
}

template <class Map, class T, class Slot>
void start(const typename Map::Args& a, void* stream) {
  const int64_t lanes = Map::lanes(a);
  unsigned width = 1;
  while (width < 32 && int64_t(width) < lanes) width *= 2;
  const unsigned outputs = threads / width < unsigned(max_outputs) ? threads / width : unsigned(max_outputs);
  const dim3 grid(unsigned((a.outputs + outputs - 1) / outputs * ((lanes + width - 1) / width)));
  const auto kernel = a.linear ? delayed_sum_kernel<Map, T, Slot, true> : delayed_sum_kernel<Map, T, Slot, false>;
  launch(kernel, grid, dim3(width, outputs), 0, stream, a);
}

template <class Map>
void delayed_sum(const typename Map::Args& a, void* stream) {
  if (a.outputs == 0 || Map::lanes(a) == 0) return;
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    a.byte_slots ? start<Map, T, uint8_t>(a, stream) : start<Map, T, int32_t>(a, stream);
  });
}

}  // namespace

void delayed_dense_cuda(const DelayedSumArgs& a, void* stream) { delayed_sum<Dense>(a, stream); }

void delayed_direct_cuda(const DelayedSumArgs& a, void* stream) { delayed_sum<Direct>(a, stream); }

void delayed_conv2d_cuda(const DelayedConv2dArgs& a, void* stream) { delayed_sum<Conv2d>(a, stream); }

}  // namespace inferno
