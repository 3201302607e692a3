// The neurons of a tile: what arrives at them, their step, and the spikes they emit.
#pragma once
#include <algorithm>
#include <cstring>
#include <vector>

#include "cpu/spiking_block.h"
#include "cpu/stimuli.h"

namespace inferno {

// Neurons first..last-1 of one population in one trial; at most spiking_block of them.
struct Tile {
  const PopulationArgs* population;
  int64_t first, last, trial;
  int64_t count() const { return last - first; }
};

// Owned by one thread, which may step tiles of any range of targets. C: type of the state; W: of the sums.
template <class C, class W>
class TileStepper {
 public:
  TileStepper(const SimulateArgs& a, std::vector<Spike>& spikes) : a_(a), spikes_(spikes) {}

  // `sums` are those of the tile's first neuron at its first port, where `port_stride` is between ports.
  void step(const Tile& tile, int64_t step, W* sums, int64_t port_stride) {
    step_ = step;
    if (tile.population->kind == SpikingKind::generator)
      generate(tile, sums);
    else
      step_neurons(tile, sums, port_stride);
  }

  // Spikes are counted here, since those of one neuron can be in the lists of several threads.
  void emit(const Spike& spike) {
    spikes_.push_back(spike);
    if (a_.counts) a_.counts[spike.trial * a_.neurons + spike.neuron] += 1;
  }

 private:
  RandomWords words(const Tile& t, const StimulusArgs& stimulus, int64_t moment) const {
    return {a_.seed, stimulus.stream, uint32_t(t.trial), moment, a_.neurons, t.first, t.last};
  }

  void generate(const Tile& t, W* sums) {
    std::fill_n(sums, t.count(), W(0));
    for (int64_t k = 0; k < t.population->stimuli_count; ++k) {
      const StimulusArgs& stimulus = t.population->stimuli[k];
      draw_counts(words(t, stimulus, a_.start + step_), stimulus.table, stimulus.entries, counts_);
      for (int64_t i = 0; i < t.count(); ++i)
        for (int32_t c = 0; c < counts_[i]; ++c) emit(t, i);
    }
  }

  void step_neurons(const Tile& t, W* sums, int64_t port_stride) {
    const PopulationArgs& population = *t.population;
    const int64_t in_population = t.first - population.first;
    SpikingBlock<C> block{};
    block.count = t.count();
    block.numbers = static_cast<const C*>(population.numbers) + (population.stride == 1 ? 0 : in_population);
    block.stride = population.stride;
    for (int64_t k = 0; k < std::min<int64_t>(a_.variables, max_spiking_variables); ++k)
      block.x[k] = static_cast<C*>(a_.values) + (k * a_.trials + t.trial) * a_.neurons + t.first;
    block.refrac = a_.refrac + t.trial * a_.neurons + t.first;
    for (int64_t p = 0; p < a_.ports; ++p) {
      take_sums(sums + p * port_stride, C(a_.quantum), arrivals_[p], t.count());
      block.arrivals[p] = arrivals_[p];
    }
    block.drive = drive_of(population, in_population);
    for (int64_t k = 0; k < population.stimuli_count; ++k) stimulate(population.stimuli[k], t, block);
    block.fired = fired_;
    step_spiking_block(population.kind, block);
    emit_fired(t);
  }

  const C* drive_of(const PopulationArgs& population, int64_t in_population) {
    const C* drive = static_cast<const C*>(population.drive);
    if (population.drive_each) return drive + in_population;
    if (&population != filled_for_) std::fill_n(drive_, spiking_block, drive[0]);
    filled_for_ = &population;
    return drive_;
  }

  void stimulate(const StimulusArgs& stimulus, const Tile& t, SpikingBlock<C>& block) {
    const int64_t moment = (a_.start + step_) / (stimulus.kind == StimulusKind::noise ? stimulus.interval : 1);
    if (stimulus.kind == StimulusKind::poisson) {
      draw_counts(words(t, stimulus, moment), stimulus.table, stimulus.entries, counts_);
      add_counts(counts_, C(stimulus.weight), arrivals_[stimulus.port], t.count());
    } else {
      draw_normals(words(t, stimulus, moment), stimulus.mean, stimulus.std, noise_);
      for (int64_t i = 0; i < t.count(); ++i) {
        const C gain = block.numbers[block.stride == 1 ? 0 : i];
        noisy_[i] = block.drive[i] + C(noise_[i]) * gain;
      }
      block.drive = noisy_;
    }
  }

  void emit_fired(const Tile& t) {
    std::fill(fired_ + t.count(), fired_ + spiking_block, uint8_t(0));
    for (int64_t i = 0; i < t.count(); i += 8) {
      uint64_t eight;
      memcpy(&eight, fired_ + i, 8);
      if (eight == 0) continue;
      for (int64_t k = i; k < i + 8; ++k)
        if (fired_[k]) emit(t, k);
    }
  }

  void emit(const Tile& t, int64_t i) { emit({int32_t(step_), int32_t(t.first + i), int32_t(t.trial)}); }

  const SimulateArgs& a_;
  std::vector<Spike>& spikes_;
  int64_t step_ = 0;
  const PopulationArgs* filled_for_ = nullptr;
  alignas(64) C arrivals_[max_ports][spiking_block], drive_[spiking_block], noisy_[spiking_block];
  alignas(64) double noise_[spiking_block];
  alignas(64) int32_t counts_[spiking_block];
  alignas(64) uint8_t fired_[spiking_block];
};

}  // namespace inferno
