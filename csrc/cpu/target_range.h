// The neurons of one range of targets: what arrives at them, their steps, and the spikes they emit.
#pragma once
#include <vector>

#include "cpu/calendar.h"
#include "cpu/spiking_block.h"
#include "cpu/stimuli.h"

namespace inferno {

// Owned by one thread. C: type of the state; W: of the weights.
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
    for (int64_t p = 0; p < a.populations_count; ++p) {
      const PopulationArgs& population = a.populations[p];
      if (population.first < part.last && population.last > part.first) populations_.push_back(p);
    }
  }

  // What spikes of earlier steps send is entered before step `now`.
  void receive(const std::vector<Spike>& spikes, int64_t now) { calendar_.enter(spikes.data(), spikes.size(), now); }

  void deliver(int64_t step) {
    std::vector<Arrival>& today = calendar_.day(step);
    inferno::deliver(part_, today, sums_.data());
    today.clear();
  }

  // Steps all neurons; spikes are added to `spikes`.
  void update(int64_t step, std::vector<Spike>& spikes) {
    for (int64_t trial = 0; trial < a_.trials; ++trial)
      for (const int64_t p : populations_) update(a_.populations[p], step, trial, spikes);
    for (; next_given_ < given_.size() && given_[next_given_].step == step; ++next_given_)
      spikes.push_back(given_[next_given_]);
    probe(step);
  }

 private:
  void update(const PopulationArgs& population, int64_t step, int64_t trial, std::vector<Spike>& spikes) {
    const int64_t last = std::min(population.last, part_.last);
    const C* drive = static_cast<const C*>(population.drive);
    if (!population.drive_each) std::fill_n(drive_, spiking_block, drive[0]);
    for (int64_t n = std::max(population.first, part_.first); n < last; n += spiking_block) {
      const Stretch stretch{n, std::min(n + spiking_block, last), step, trial};
      if (population.kind == SpikingKind::generator)
        generate(population, stretch, spikes);
      else
        step_neurons(population, stretch, spikes);
    }
  }

  struct Stretch {
    int64_t first, last, step, trial;
    int64_t count() const { return last - first; }
  };

  RandomWords words(const Stretch& s, const StimulusArgs& stimulus, int64_t moment) const {
    return {a_.seed, stimulus.stream, uint32_t(s.trial), moment, a_.neurons, s.first, s.last};
  }

  void generate(const PopulationArgs& population, const Stretch& s, std::vector<Spike>& spikes) {
    std::fill_n(&sum(0, s), s.count(), W(0));
    for (int64_t k = 0; k < population.stimuli_count; ++k) {
      const StimulusArgs& stimulus = population.stimuli[k];
      draw_counts(words(s, stimulus, a_.start + s.step), stimulus.table, stimulus.entries, counts_);
      for (int64_t i = 0; i < s.count(); ++i)
        for (int32_t c = 0; c < counts_[i]; ++c) emit(s, i, spikes);
    }
  }

  void step_neurons(const PopulationArgs& population, const Stretch& s, std::vector<Spike>& spikes) {
    const int64_t in_population = s.first - population.first;
    const bool shared = population.stride == 1;
    SpikingBlock<C> block{};
    block.count = s.count();
    block.numbers = static_cast<const C*>(population.numbers) + (shared ? 0 : in_population);
    block.stride = population.stride;
    for (int64_t k = 0; k < std::min<int64_t>(a_.variables, max_spiking_variables); ++k)
      block.x[k] = static_cast<C*>(a_.values) + (k * a_.trials + s.trial) * a_.neurons + s.first;
    block.refrac = a_.refrac + s.trial * a_.neurons + s.first;
    for (int64_t p = 0; p < a_.ports; ++p) {
      take_sums(&sum(p, s), C(a_.quantum), arrivals_[p], s.count());
      block.arrivals[p] = arrivals_[p];
    }
    block.drive = population.drive_each ? static_cast<const C*>(population.drive) + in_population : drive_;
    for (int64_t k = 0; k < population.stimuli_count; ++k) stimulate(population.stimuli[k], s, block);
    block.fired = fired_;
    step_spiking_block(population.kind, block);
    emit_fired(s, spikes);
  }

  void stimulate(const StimulusArgs& stimulus, const Stretch& s, SpikingBlock<C>& block) {
    const int64_t moment = (a_.start + s.step) / (stimulus.kind == StimulusKind::noise ? stimulus.interval : 1);
    if (stimulus.kind == StimulusKind::poisson) {
      draw_counts(words(s, stimulus, moment), stimulus.table, stimulus.entries, counts_);
      const C weight = C(stimulus.weight);
      C* arrivals = arrivals_[stimulus.port];
      for (int64_t i = 0; i < s.count(); ++i) arrivals[i] = arrivals[i] + C(counts_[i]) * weight;
    } else {
      draw_normals(words(s, stimulus, moment), stimulus.mean, stimulus.std, noise_);
      for (int64_t i = 0; i < s.count(); ++i) {
        const C gain = block.numbers[block.stride == 1 ? 0 : i];
        noisy_[i] = block.drive[i] + C(noise_[i]) * gain;
      }
      block.drive = noisy_;
    }
  }

  W& sum(int64_t port, const Stretch& s) {
    const int64_t width = part_.last - part_.first;
    return sums_[size_t(s.trial * part_.slots + port * width + s.first - part_.first)];
  }

  void emit_fired(const Stretch& s, std::vector<Spike>& spikes) {
    std::fill(fired_ + s.count(), fired_ + spiking_block, uint8_t(0));
    for (int64_t i = 0; i < s.count(); i += 8) {
      uint64_t eight;
      memcpy(&eight, fired_ + i, 8);
      if (eight == 0) continue;
      for (int64_t k = i; k < i + 8; ++k)
        if (fired_[k]) emit(s, k, spikes);
    }
  }

  void emit(const Stretch& s, int64_t i, std::vector<Spike>& spikes) {
    spikes.push_back({int32_t(s.step), int32_t(s.first + i), int32_t(s.trial)});
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
  std::vector<Spike> given_;
  size_t next_given_ = 0;
  std::vector<int64_t> probe_, populations_;
  alignas(64) C arrivals_[max_ports][spiking_block], drive_[spiking_block], noisy_[spiking_block];
  alignas(64) double noise_[spiking_block];
  alignas(64) int32_t counts_[spiking_block];
  alignas(64) uint8_t fired_[spiking_block];
};

}  // namespace inferno
