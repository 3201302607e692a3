#include "core/synapse.h"

#include <algorithm>

#include "core/args.h"
#include "cpu/clones.h"
#include "cpu/transpose.h"

namespace inferno {
namespace {

constexpr int64_t block = 256;      // elements of a lane that are worked on at a time
constexpr int64_t tile_lanes = 32;  // lanes whose inputs and outputs are transposed together

// A stretch of synapses, each array of which lies in one piece.
struct Lane {
  const void* inputs;
  const void* injected[synapse_max_injected];
  uint8_t* spikes;
  const void* newest[synapse_max_currents];
  void* next[synapse_max_currents];  // may be newest
  void* out;
};

// The drive of `n` elements from `begin` on, without the current that is injected last.
template <class M, class T, class X, class C>
INFERNO_HD void drive_before_last(const SynapseStepArgs& a, const Lane& lane, C gain, int64_t begin, int64_t n,
                                  C* drive) {
  const X* inputs = static_cast<const X*>(lane.inputs) + begin;
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) drive[i] = gain * spike_count<M, C>(inputs[i]);
  for (int k = 0; k < a.injected_count - 1; ++k) {
    const T* injected = static_cast<const T*>(lane.injected[k]) + begin;
    for (int64_t i = 0; i < n; ++i) drive[i] = drive[i] + load(injected[i]);
  }
}

// The drive is computed where it is used: a loop that only copied it would become a slow copy of bytes.
template <class M, class T, class X, bool Injected>
INFERNO_HD void run_lane(const SynapseStepArgs& a, const Lane& lane, int64_t count) {
  using C = Compute<T>;
  const SynapseParams<C> p = synapse_params<C>(a);
  for (int64_t begin = 0; begin < count; begin += block) {
    const int64_t n = std::min(block, count - begin);
    const X* inputs = static_cast<const X*>(lane.inputs) + begin;
    uint8_t* spikes = lane.spikes + begin;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) spikes[i] = uint8_t(is_spike(inputs[i]));
    C drive[block];
    const T* last = nullptr;
    if constexpr (Injected) {
      drive_before_last<M, T, X>(a, lane, p.gain, begin, n, drive);
      last = static_cast<const T*>(lane.injected[a.injected_count - 1]) + begin;
    }
    const T* newest[synapse_max_currents];
    T* next[synapse_max_currents];
    for (int k = 0; k < M::currents; ++k) {
      newest[k] = static_cast<const T*>(lane.newest[k]) + begin;
      next[k] = static_cast<T*>(lane.next[k]) + begin;
    }
    T* out = static_cast<T*>(lane.out) + begin;
    // A ring of one slot is read and written at the same place: no iteration reads what another writes.
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) {
      T old[synapse_max_currents], now[synapse_max_currents];
      for (int k = 0; k < M::currents; ++k) old[k] = newest[k][i];
      C driven;
      if constexpr (Injected)
        driven = drive[i] + load(last[i]);
      else
        driven = p.gain * spike_count<M, C>(inputs[i]);
      out[i] = M::advance(old, now, driven, p);
      for (int k = 0; k < M::currents; ++k) next[k][i] = now[k];
    }
  }
}

template <class M, class T, class X>
INFERNO_HD void run_lane(const SynapseStepArgs& a, const Lane& lane, int64_t count) {
  if constexpr (M::injects) {
    if (a.injected_count > 0) return run_lane<M, T, X, true>(a, lane, count);
  }
  run_lane<M, T, X, false>(a, lane, count);
}

// Clones cannot be templates.
#define INFERNO_LANE(NAME, T)                                                                   \
  INFERNO_CLONES void NAME(const SynapseStepArgs& a, const Lane& lane, int64_t count) {         \
    dispatch_synapse(a.model, [&](auto m) INFERNO_INLINE_LAMBDA {                               \
      using M = decltype(m);                                                                    \
      a.bool_inputs ? run_lane<M, T, Bool>(a, lane, count) : run_lane<M, T, T>(a, lane, count); \
    });                                                                                         \
  }
#define INFERNO_INLINE_LAMBDA __attribute__((always_inline))
INFERNO_LANE(lane_f32, float)
INFERNO_LANE(lane_f64, double)
INFERNO_LANE(lane_f16, Half)
INFERNO_LANE(lane_bf16, BFloat16)
#undef INFERNO_LANE
#undef INFERNO_INLINE_LAMBDA

void lane_of(float, const SynapseStepArgs& a, const Lane& lane, int64_t count) { lane_f32(a, lane, count); }
void lane_of(double, const SynapseStepArgs& a, const Lane& lane, int64_t count) { lane_f64(a, lane, count); }
void lane_of(Half, const SynapseStepArgs& a, const Lane& lane, int64_t count) { lane_f16(a, lane, count); }
void lane_of(BFloat16, const SynapseStepArgs& a, const Lane& lane, int64_t count) { lane_bf16(a, lane, count); }

// The slots of a step, without the rest of the rings.
template <class T>
struct Slots {
  uint8_t* spikes;
  const T* newest[synapse_max_currents] = {};
  T* next[synapse_max_currents] = {};
};

template <class T>
Slots<T> slots_of(const SynapseStepArgs& a) {
  Slots<T> s;
  s.spikes = static_cast<uint8_t*>(a.spikes.data) + next_slot(a.spikes) * a.spikes.ring.slot_stride;
  for (int k = 0; k < synapse_max_currents; ++k) {
    const SynapseRing& r = a.currents[k];
    if (!r.pointer) continue;
    s.newest[k] = static_cast<const T*>(r.data) + newest_slot(r) * r.ring.slot_stride;
    s.next[k] = static_cast<T*>(r.data) + next_slot(r) * r.ring.slot_stride;
  }
  return s;
}

bool rows_in_one_piece(const SynapseStepArgs& a) {
  bool all = a.inputs.rest_stride == 1 && a.spikes.ring.rest_stride == 1;
  for (int k = 0; k < a.injected_count; ++k) all = all && a.injected[k].rest_stride == 1;
  for (const SynapseRing& r : a.currents) all = all && (!r.pointer || r.ring.rest_stride == 1);
  return all;
}

// Lanes along rest.
template <class T, class X>
void step_rows(const SynapseStepArgs& a, int64_t begin, int64_t end) {
  const Slots<T> slots = slots_of<T>(a);
  for (int64_t b = 0; b < a.batch; ++b) {
    Lane lane;  // what the model does not have stays unset
    lane.inputs = static_cast<const X*>(a.inputs.data) + b * a.inputs.batch_stride + begin;
    for (int k = 0; k < a.injected_count; ++k)
      lane.injected[k] = static_cast<const T*>(a.injected[k].data) + b * a.injected[k].batch_stride + begin;
    lane.spikes = slots.spikes + b * a.spikes.ring.batch_stride + begin;
    for (int k = 0; k < synapse_max_currents; ++k) {
      if (!a.currents[k].pointer) continue;
      const int64_t at = b * a.currents[k].ring.batch_stride + begin;
      lane.newest[k] = slots.newest[k] + at;
      lane.next[k] = slots.next[k] + at;
    }
    lane.out = static_cast<T*>(a.out) + b * a.rest + begin;
    lane_of(T{}, a, lane, end - begin);
  }
}

template <class T>
void copy_strided(const T* from, int64_t from_stride, T* to, int64_t to_stride, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i * to_stride] = from[i * from_stride];
}

// `count` elements `stride` apart as one piece: where they lie, or copied to `buffer`.
template <class T>
const T* in_one_piece(const T* data, int64_t stride, int64_t count, T* buffer) {
  if (stride == 1) return data;
  copy_strided(data, stride, buffer, 1, count);
  return buffer;
}

// Whether lanes along the batch follow each other in every ring, so that several are one. Their ends would cost more
// than the arithmetic where the batch is small.
bool lanes_follow(const SynapseStepArgs& a) {
  const auto follow = [&](const Ring& ring) { return ring.batch_stride == 1 && ring.rest_stride == a.batch; };
  bool all = a.injected_count == 0 && follow(a.spikes.ring);
  for (const SynapseRing& r : a.currents) all = all && (!r.pointer || follow(r.ring));
  return all;
}

// The synapses [b0, b0 + batch) x [r0, r0 + rest): lanes along the batch, which is how rings with delays lie in memory.
// Inputs and outputs usually lie the other way: they are transposed here, in blocks that stay in the cache.
template <class T, class X>
struct Tile {
  X inputs[tile_lanes][block];
  T out[tile_lanes][block];
  T injected[synapse_max_injected][block], newest[synapse_max_currents][block], next[synapse_max_currents][block];
  uint8_t spikes[block];

  void run(const SynapseStepArgs& a, const Slots<T>& slots, int64_t b0, int64_t batch, int64_t r0, int64_t rest) {
    const bool one_lane = b0 == 0 && batch == a.batch && lanes_follow(a);
    const int64_t pitch = one_lane ? batch : block;  // from lane to lane of inputs and out
    const X* from = static_cast<const X*>(a.inputs.data) + b0 * a.inputs.batch_stride + r0 * a.inputs.rest_stride;
    if (a.inputs.rest_stride == 1)
      transpose(from, a.inputs.batch_stride, inputs[0], pitch, batch, rest);
    else
      for (int64_t r = 0; r < rest; ++r)
        copy_strided(from + r * a.inputs.rest_stride, a.inputs.batch_stride, inputs[0] + r * pitch, 1, batch);
    if (one_lane)
      run_one(a, slots, 0, batch * rest, r0, inputs[0], out[0]);
    else
      for (int64_t r = 0; r < rest; ++r) run_one(a, slots, b0, batch, r0 + r, inputs[r], out[r]);
    transpose(out[0], pitch, static_cast<T*>(a.out) + b0 * a.rest + r0, a.rest, rest, batch);
  }

  void run_one(const SynapseStepArgs& a, const Slots<T>& slots, int64_t b0, int64_t count, int64_t r, const X* in,
               T* result) {
    Lane lane;  // what the model does not have stays unset
    lane.inputs = in;
    lane.out = result;
    for (int k = 0; k < a.injected_count; ++k) {
      const Plane& p = a.injected[k];
      lane.injected[k] = in_one_piece(static_cast<const T*>(p.data) + b0 * p.batch_stride + r * p.rest_stride,
                                      p.batch_stride, count, injected[k]);
    }
    const Ring& s = a.spikes.ring;
    uint8_t* const spiked = slots.spikes + b0 * s.batch_stride + r * s.rest_stride;
    lane.spikes = s.batch_stride == 1 ? spiked : spikes;
    T* written[synapse_max_currents] = {};
    for (int k = 0; k < synapse_max_currents; ++k) {
      if (!a.currents[k].pointer) continue;
      const Ring& c = a.currents[k].ring;
      const int64_t at = b0 * c.batch_stride + r * c.rest_stride;
      written[k] = slots.next[k] + at;
      lane.newest[k] = in_one_piece(slots.newest[k] + at, c.batch_stride, count, newest[k]);
      lane.next[k] = c.batch_stride == 1 ? written[k] : next[k];
    }
    lane_of(T{}, a, lane, count);
    if (s.batch_stride != 1) copy_strided(spikes, 1, spiked, s.batch_stride, count);
    for (int k = 0; k < synapse_max_currents; ++k)
      if (written[k] && a.currents[k].ring.batch_stride != 1)
        copy_strided(next[k], 1, written[k], a.currents[k].ring.batch_stride, count);
  }
};

template <class T, class X>
void step_tiles(const SynapseStepArgs& a, int64_t begin, int64_t end) {
  const Slots<T> slots = slots_of<T>(a);
  Tile<T, X> tile;
  for (int64_t b = 0; b < a.batch; b += block)
    for (int64_t r = begin; r < end; r += tile_lanes)
      tile.run(a, slots, b, std::min(block, a.batch - b), r, std::min(tile_lanes, end - r));
}

template <class T, class X>
void step(const SynapseStepArgs& a, int64_t begin, int64_t end) {
  rows_in_one_piece(a) ? step_rows<T, X>(a, begin, end) : step_tiles<T, X>(a, begin, end);
}

}  // namespace

void synapse_step_cpu(const SynapseStepArgs& a, int64_t begin, int64_t end) {
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    a.bool_inputs ? step<T, Bool>(a, begin, end) : step<T, T>(a, begin, end);
  });
}

void synapse_advance_cpu(const SynapseStepArgs& a) { synapse_advance(a); }

}  // namespace inferno
