// Weights times delayed history, summed over the inputs in ascending order, one rounded product at a time: the same
// result for any batch size, number of threads or vector width. The batch goes in chunks and the inputs in tiles whose
// history, copied in the order of age, fits in a core's cache; every output then runs over the tile. Few spikes are
// summed alone (cpu/delayed_spikes.h).
#include <algorithm>
#include <type_traits>
#include <vector>

#include "core/delayed.h"
#include "cpu/clones.h"
#include "cpu/delayed_spikes.h"

namespace inferno {
namespace {

constexpr int64_t max_tile = 128;            // inputs
constexpr int64_t cached_bytes = 160 << 10;  // of a tile's history
constexpr int64_t block = 8;                 // outputs prepared together
constexpr int64_t single_tile = 256;         // inputs, for a batch of one: its history fits in the first cache

// One output's synapses with the inputs of a tile.
template <class C>
struct Row {
  C weight[max_tile];
  C blend[max_tile];
  int32_t sample[max_tile];  // row of the tile's history
};

template <class C, int Width>
struct Vector {
  typedef C type __attribute__((vector_size(Width * sizeof(C)), aligned(sizeof(C)), may_alias));
};
template <class C>
struct Vector<C, 1> {
  typedef C type;
};

// sums[o][b] += weight[o][i] * z[o][i][b] for `Outputs` outputs and a chunk of Vectors * Width items of the batch.
template <class C, int Width, int Vectors, int Outputs, bool Linear>
INFERNO_HD void accumulate(const Row<C>* rows, int64_t inputs, const C* history, C* sums) {
  using V = typename Vector<C, Width>::type;
  constexpr int chunk = Vectors * Width;
  V sum[Outputs][Vectors];
  for (int o = 0; o < Outputs; ++o)
    for (int j = 0; j < Vectors; ++j) sum[o][j] = *reinterpret_cast<const V*>(sums + o * chunk + j * Width);
  for (int64_t i = 0; i < inputs; ++i)
    for (int o = 0; o < Outputs; ++o) {
      const C weight = rows[o].weight[i];
      const C* older = history + int64_t(rows[o].sample[i]) * chunk;
      const bool between = Linear && rows[o].blend[i] > C(0);
      for (int j = 0; j < Vectors; ++j) {
        V z = *reinterpret_cast<const V*>(older + j * Width);
        if (between) z = z + (*reinterpret_cast<const V*>(older + (j - Vectors) * Width) - z) * rows[o].blend[i];
        sum[o][j] = sum[o][j] + weight * z;
      }
    }
  for (int o = 0; o < Outputs; ++o)
    for (int j = 0; j < Vectors; ++j) *reinterpret_cast<V*>(sums + o * chunk + j * Width) = sum[o][j];
}

// Several outputs at once where one alone would wait for its own additions.
template <class C, int Width, int Vectors, bool Linear>
INFERNO_HD void accumulate_block(const Row<C>* rows, int64_t outputs, int64_t inputs, const C* history, C* sums) {
  constexpr int at_once = Width == 1 ? 8 : (Vectors >= 4 ? 1 : 4 / Vectors);
  constexpr int chunk = Vectors * Width;
  int64_t o = 0;
  for (; o + at_once <= outputs; o += at_once)
    accumulate<C, Width, Vectors, at_once, Linear>(rows + o, inputs, history, sums + o * chunk);
  for (; o < outputs; ++o) accumulate<C, Width, Vectors, 1, Linear>(rows + o, inputs, history, sums + o * chunk);
}

constexpr int64_t vector_bytes = 32;

template <class C>
constexpr int64_t width = vector_bytes / sizeof(C);

template <class C, bool Linear>
INFERNO_HD void accumulate_chunk(const Row<C>* rows, int64_t outputs, int64_t inputs, const C* history, int64_t chunk,
                                 C* sums) {
  if (chunk == 8 * width<C>) return accumulate_block<C, width<C>, 8, Linear>(rows, outputs, inputs, history, sums);
  if (chunk == 4 * width<C>) return accumulate_block<C, width<C>, 4, Linear>(rows, outputs, inputs, history, sums);
  if (chunk == 2 * width<C>) return accumulate_block<C, width<C>, 2, Linear>(rows, outputs, inputs, history, sums);
  if (chunk == width<C>) return accumulate_block<C, width<C>, 1, Linear>(rows, outputs, inputs, history, sums);
  accumulate_block<C, 1, 1, Linear>(rows, outputs, inputs, history, sums);
}

#define INFERNO_ACCUMULATE(NAME, C, LINEAR)                                                                      \
  INFERNO_CLONES void NAME(const Row<C>* rows, int64_t outputs, int64_t inputs, const C* history, int64_t chunk, \
                           C* sums) {                                                                            \
    accumulate_chunk<C, LINEAR>(rows, outputs, inputs, history, chunk, sums);                                    \
  }
INFERNO_ACCUMULATE(accumulate_taps, float, false)
INFERNO_ACCUMULATE(accumulate_linear, float, true)
INFERNO_ACCUMULATE(accumulate_taps, double, false)
INFERNO_ACCUMULATE(accumulate_linear, double, true)
#undef INFERNO_ACCUMULATE

// The largest chunk that the batch fills to three quarters, which costs less than several small ones would; a rest
// below a vector is padded, unless it is a single item.
template <class C>
int64_t chunk_for(int64_t batch) {
  for (int64_t chunk = 8 * width<C>; chunk > width<C>; chunk /= 2)
    if (4 * batch >= 3 * chunk) return chunk;
  return batch == 1 ? 1 : width<C>;
}

// A tile's history as rows of `chunk` items: input by input, newest first, each input's last row the value of delays
// out of range.
template <class T, class C>
void copy_history(const DelayedSumArgs& a, int64_t batch_begin, int64_t chunk, int64_t begin, int64_t end, C* to) {
  const Ring& ring = a.ring;
  const int64_t count = std::min(chunk, ring.batch - batch_begin);
  for (int64_t i = begin; i < end; ++i) {
    for (int64_t age = 0; age < ring.slots; ++age, to += chunk) {
      const int64_t slot = ring_slot(*ring.pointer - 1, age, ring.slots);
      const T* from = static_cast<const T*>(a.data) + slot * ring.slot_stride + i * ring.rest_stride +
                      batch_begin * ring.batch_stride;
      if (ring.batch_stride == 1)
        for (int64_t b = 0; b < count; ++b) to[b] = sample_value<T, C>(from[b], a.scale);
      else
        for (int64_t b = 0; b < count; ++b) to[b] = sample_value<T, C>(from[b * ring.batch_stride], a.scale);
    }
    std::fill(to, to + chunk, C(a.overbound));
    to += chunk;
  }
}

template <class T, class Slot, class C>
void lay_out(const DelayedSumArgs& a, int64_t o, int64_t begin, int64_t end, Row<C>& row) {
  const int64_t at = o * a.ring.rest + begin;
  const int64_t count = end - begin;
  const int32_t rows = int32_t(a.ring.slots + 1);
  const T* weight = static_cast<const T*>(a.weight) + at;
  const Slot* slot = static_cast<const Slot*>(a.slot) + at;
  const C* factor = a.factor ? static_cast<const C*>(a.factor) + at : nullptr;
  int32_t first = 0;
  for (int64_t i = 0; i < count; ++i, first += rows) row.sample[i] = first + int32_t(slot[i]);
  if (factor && !a.linear)
    for (int64_t i = 0; i < count; ++i) row.weight[i] = load(weight[i]) * factor[i];
  else
    for (int64_t i = 0; i < count; ++i) row.weight[i] = load(weight[i]);
  if (a.linear)
    for (int64_t i = 0; i < count; ++i) row.blend[i] = factor ? factor[i] : C(0);
}

// A single item and weights in the compute type need no preparation: scalars, straight from the operands.
template <class T, class Slot, bool Factor, int Outputs>
INFERNO_HD void accumulate_single(const DelayedSumArgs& a, int64_t o, int64_t begin, int64_t end, const T* history,
                                  T* sums) {
  const T* weight[Outputs];
  const T* factor[Outputs];
  const Slot* slot[Outputs];
  T sum[Outputs];
  for (int j = 0; j < Outputs; ++j) {
    const int64_t row = (o + j) * a.ring.rest;
    weight[j] = static_cast<const T*>(a.weight) + row;
    factor[j] = Factor ? static_cast<const T*>(a.factor) + row : nullptr;
    slot[j] = static_cast<const Slot*>(a.slot) + row;
    sum[j] = sums[j];
  }
  for (int64_t i = begin; i < end; ++i, history += a.ring.slots + 1)
    for (int j = 0; j < Outputs; ++j)
      sum[j] = sum[j] + (Factor ? weight[j][i] * factor[j][i] : weight[j][i]) * history[slot[j][i]];
  for (int j = 0; j < Outputs; ++j) sums[j] = sum[j];
}

template <class T, class Slot, bool Factor>
void dense_single(const DelayedSumArgs& a, int64_t b, int64_t begin, int64_t end) {
  std::vector<T> history(std::min(single_tile, a.ring.rest) * (a.ring.slots + 1));
  std::vector<T> sums(end - begin, T(0));
  for (int64_t i = 0; i < a.ring.rest; i += single_tile) {
    const int64_t i_end = std::min(i + single_tile, a.ring.rest);
    if (a.bool_history)
      copy_history<Bool, T>(a, b, 1, i, i_end, history.data());
    else
      copy_history<T, T>(a, b, 1, i, i_end, history.data());
    int64_t o = begin;
    for (; o + 4 <= end; o += 4)
      accumulate_single<T, Slot, Factor, 4>(a, o, i, i_end, history.data(), sums.data() + (o - begin));
    for (; o < end; ++o)
      accumulate_single<T, Slot, Factor, 1>(a, o, i, i_end, history.data(), sums.data() + (o - begin));
  }
  const T* bias = static_cast<const T*>(a.bias);
  T* out = static_cast<T*>(a.out) + b * a.outputs;
  for (int64_t o = begin; o < end; ++o) out[o] = bias ? sums[o - begin] + bias[o] : sums[o - begin];
}

template <class T, class Slot, class C = Compute<T>>
void dense_chunk(const DelayedSumArgs& a, int64_t batch_begin, int64_t chunk, int64_t begin, int64_t end) {
  const int64_t rows_per_input = a.ring.slots + 1;
  const int64_t bytes_per_input = rows_per_input * chunk * int64_t(sizeof(C));
  const int64_t tile = std::clamp(cached_bytes / bytes_per_input, int64_t(4), max_tile);
  std::vector<C> history(tile * rows_per_input * chunk);
  std::vector<C> sums((end - begin) * chunk, C(0));
  std::vector<Row<C>> rows(block);
  for (int64_t i = 0; i < a.ring.rest; i += tile) {
    const int64_t i_end = std::min(i + tile, a.ring.rest);
    if (a.bool_history)
      copy_history<Bool, C>(a, batch_begin, chunk, i, i_end, history.data());
    else
      copy_history<T, C>(a, batch_begin, chunk, i, i_end, history.data());
    for (int64_t o = begin; o < end; o += block) {
      const int64_t count = std::min(block, end - o);
      for (int64_t j = 0; j < count; ++j) lay_out<T, Slot>(a, o + j, i, i_end, rows[j]);
      C* sum = sums.data() + (o - begin) * chunk;
      a.linear ? accumulate_linear(rows.data(), count, i_end - i, history.data(), chunk, sum)
               : accumulate_taps(rows.data(), count, i_end - i, history.data(), chunk, sum);
    }
  }
  T* out = static_cast<T*>(a.out);
  const T* bias = static_cast<const T*>(a.bias);
  for (int64_t b = 0; b < std::min(chunk, a.ring.batch - batch_begin); ++b)
    for (int64_t o = begin; o < end; ++o) {
      const C sum = sums[(o - begin) * chunk + b];
      out[(batch_begin + b) * a.outputs + o] = store<T>(bias ? sum + load(bias[o]) : sum);
    }
}

// Sample by sample from the ring itself: for rings with more slots than there are outputs to share a copy.
template <class H, class T, class Slot, class C = Compute<T>>
void dense_direct(const DelayedSumArgs& a, int64_t begin, int64_t end) {
  const Ring& ring = a.ring;
  const int64_t newest = ring_slot(*ring.pointer, 1, ring.slots);
  const T* bias = static_cast<const T*>(a.bias);
  std::vector<C> sums(ring.batch);
  for (int64_t o = begin; o < end; ++o) {
    std::fill(sums.begin(), sums.end(), C(0));
    for (int64_t i = 0; i < ring.rest; ++i) {
      const Tap<C> tap = tap_of<T, Slot>(a, o * ring.rest + i);
      const bool outside = tap.age == ring.slots;
      const bool between = tap.blend > C(0);
      const H* samples = static_cast<const H*>(a.data) + i * ring.rest_stride;
      const H* older = samples + (outside ? 0 : slot_of_age(newest, tap.age, ring.slots)) * ring.slot_stride;
      const H* newer = samples + (between ? slot_of_age(newest, tap.age - 1, ring.slots) : 0) * ring.slot_stride;
      for (int64_t b = 0; b < ring.batch; ++b) {
        C z = outside ? C(a.overbound) : sample_value<H, C>(older[b * ring.batch_stride], a.scale);
        if (between) z = blend_linear(z, sample_value<H, C>(newer[b * ring.batch_stride], a.scale), tap.blend);
        sums[b] = sums[b] + tap.weight * z;
      }
    }
    for (int64_t b = 0; b < ring.batch; ++b)
      static_cast<T*>(a.out)[b * a.outputs + o] = store<T>(bias ? sums[b] + load(bias[o]) : sums[b]);
  }
}

// Whether the spikes of all samples were few, and their sums are done.
template <class T, class Slot>
bool dense_spikes(const DelayedSumArgs& a, int64_t& b, int64_t begin, int64_t end) {
  if (!DelayedSpikes<T, Slot>::takes(a)) return false;
  while (b < a.ring.batch) {
    const int64_t samples = std::min(SpikeWords::most, a.ring.batch - b);
    if (!DelayedSpikes<T, Slot>(a, b, samples).run(begin, end)) return false;
    b += samples;
  }
  return true;
}

template <class T, class Slot>
void dense(const DelayedSumArgs& a, int64_t begin, int64_t end) {
  if (a.ring.slots > end - begin) {
    a.bool_history ? dense_direct<Bool, T, Slot>(a, begin, end) : dense_direct<T, T, Slot>(a, begin, end);
    return;
  }
  int64_t first = 0;
  if (dense_spikes<T, Slot>(a, first, begin, end)) return;
  for (int64_t b = first; b < a.ring.batch;) {
    const int64_t chunk = chunk_for<Compute<T>>(a.ring.batch - b);
    bool done = false;
    if constexpr (std::is_same_v<T, Compute<T>>) {
      done = chunk == 1 && !a.linear;
      if (done)
        a.factor ? dense_single<T, Slot, true>(a, b, begin, end) : dense_single<T, Slot, false>(a, b, begin, end);
    }
    if (!done) dense_chunk<T, Slot>(a, b, chunk, begin, end);
    b += chunk;
  }
}

}  // namespace

void delayed_dense_cpu(const DelayedSumArgs& a, int64_t begin, int64_t end) {
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    a.byte_slots ? dense<T, uint8_t>(a, begin, end) : dense<T, int32_t>(a, begin, end);
  });
}

}  // namespace inferno
