// One range of targets: what arrives at them, and their steps, which other threads may share.
#pragma once
#include <atomic>
#include <vector>

#include "cpu/calendar.h"
#include "cpu/tile_stepper.h"

namespace inferno {

// Tiles of the step that is open, handed out in groups to any thread that asks.
class SharedTiles {
 public:
  void add(const Tile& tile) { tiles_.push_back(tile); }

  // What was written before is there for those who claim.
  void open(int64_t step) {
    done_.store(0, std::memory_order_relaxed);
    state_.store(step << place_bits, std::memory_order_release);
  }

  // Calls f(tile, step) for a group of tiles that nobody has taken, if the open step is before `end`; returns whether
  // there was one.
  template <class F>
  bool claim(int64_t end, F&& f) {
    const int64_t count = int64_t(tiles_.size());
    int64_t state = state_.load(std::memory_order_relaxed);
    do {
      if (place(state) >= count || state >> place_bits >= end) return false;
    } while (!state_.compare_exchange_weak(state, state + group, std::memory_order_acquire, std::memory_order_relaxed));
    const int64_t first = place(state), last = std::min(first + group, count);
    for (int64_t t = first; t < last; ++t) f(tiles_[size_t(t)], state >> place_bits);
    done_.fetch_add(last - first, std::memory_order_release);
    return true;
  }

  bool done() const { return done_.load(std::memory_order_acquire) == int64_t(tiles_.size()); }

 private:
  static constexpr int64_t group = 4;
  static constexpr int place_bits = 32;
  static int64_t place(int64_t state) { return state & ((int64_t(1) << place_bits) - 1); }

  std::vector<Tile> tiles_;
  alignas(64) std::atomic<int64_t> state_{INT32_MAX};  // the step, and below it the first tile that is free
  alignas(64) std::atomic<int64_t> done_{0};
};

// Owned by one thread. C: type of the state; W: of the sums.
template <class C, class W>
class TargetRange {
 public:
  TargetRange(const SimulateArgs& a, const RowsPart& part)
      : a_(a), part_(part), calendar_(part, a.max_delay), sums_(size_t(a.trials * part.slots)) {
    calendar_.enter(a.flight, size_t(a.flight_count), 0);
    for (int64_t k = 0; k < a.given_count; ++k)
      if (a.given[k].neuron >= part.first && a.given[k].neuron < part.last) given_.push_back(a.given[k]);
    for (int64_t k = 0; k < a.probe_count; ++k)
      if (a.probe[k] % a.neurons >= part.first && a.probe[k] % a.neurons < part.last) probe_.push_back(k);
    for (int64_t trial = 0; trial < a.trials; ++trial)
      for (int64_t p = 0; p < a.populations_count; ++p) add_tiles(a.populations[p], trial);
  }

  // What spikes of earlier steps send is entered before step `now`.
  void receive(const std::vector<Spike>& spikes, int64_t now) { calendar_.enter(spikes.data(), spikes.size(), now); }

  void deliver(int64_t step) {
    std::vector<Arrival>& today = calendar_.day(step);
    inferno::deliver(part_, today, sums_.data());
    today.clear();
  }

  // From now on its neurons can be stepped.
  void open(int64_t step) { tiles_.open(step); }

  // Steps some neurons, and returns whether there were any left in a step before `end`.
  bool step_some(int64_t end, TileStepper<C, W>& stepper) {
    const int64_t width = part_.last - part_.first;
    return tiles_.claim(end, [&](const Tile& tile, int64_t step) {
      stepper.step(tile, step, sums_.data() + tile.trial * part_.slots + tile.first - part_.first, width);
    });
  }

  // Whether all neurons have been stepped.
  bool stepped() const { return tiles_.done(); }

  // Ends a step in which all neurons have been stepped.
  void close(int64_t step, TileStepper<C, W>& stepper) {
    for (; next_given_ < given_.size() && given_[next_given_].step == step; ++next_given_)
      stepper.emit(given_[next_given_]);
    probe(step);
  }

 private:
  void add_tiles(const PopulationArgs& population, int64_t trial) {
    const int64_t last = std::min(population.last, part_.last);
    for (int64_t n = std::max(population.first, part_.first); n < last; n += spiking_block)
      tiles_.add({&population, n, std::min(n + spiking_block, last), trial});
  }

  void probe(int64_t step) {
    if (probe_.empty() || (a_.start + step + 1) % a_.probe_every != 0) return;
    const int64_t sample = (a_.start + step + 1) / a_.probe_every - a_.start / a_.probe_every - 1;
    const C* values = static_cast<const C*>(a_.values);
    C* probed = static_cast<C*>(a_.probed) + sample * a_.trials * a_.probe_count;
    for (int64_t trial = 0; trial < a_.trials; ++trial)
      for (const int64_t k : probe_) probed[trial * a_.probe_count + k] = values[probed_value(a_, a_.probe[k], trial)];
  }

  const SimulateArgs& a_;
  const RowsPart& part_;
  Calendar calendar_;
  std::vector<W> sums_;  // [trials, slots]
  SharedTiles tiles_;
  std::vector<Spike> given_;
  size_t next_given_ = 0;
  std::vector<int64_t> probe_;
};

}  // namespace inferno
