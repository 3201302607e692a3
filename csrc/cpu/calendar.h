// When what arrives at one range of targets: pieces of rows, by the step of their arrival.
#pragma once
#include <algorithm>
#include <vector>

#include "core/simulate.h"

namespace inferno {

struct Arrival {
  uint32_t begin, end;  // synapses
  int32_t trial;
};

class Calendar {
 public:
  Calendar(const RowsPart& part, int64_t max_delay) : part_(part) {
    size_t days = 1;
    while (int64_t(days) <= max_delay) days *= 2;
    days_.resize(days);
  }

  std::vector<Arrival>& day(int64_t step) { return days_[size_t(step) & (days_.size() - 1)]; }

  // Enters what spikes send on, from step `now` on.
  void enter(const Spike* spikes, size_t count, int64_t now) {
    // where segments are has to be there before they can be asked for
    for (size_t k = 0; k < count + 2 * ahead; ++k) {
      if (k < count) fetch_heads(spikes[k]);
      if (k >= ahead && k - ahead < count) fetch_segments(spikes[k - ahead]);
      if (k >= 2 * ahead) enter(spikes[k - 2 * ahead], now);
    }
  }

 private:
  static constexpr size_t ahead = 4;

  void fetch_heads(const Spike& spike) const { __builtin_prefetch(part_.segments + spike.neuron); }

  void fetch_segments(const Spike& spike) const {
    const int32_t first = part_.segments[spike.neuron], last = part_.segments[spike.neuron + 1];
    for (int32_t s = first; s < last; s += 16) __builtin_prefetch(part_.begin + s);
    for (int32_t s = first; s < last; s += 32) __builtin_prefetch(part_.delay + s);
  }

  void enter(const Spike& spike, int64_t now) {
    const int32_t last = part_.segments[spike.neuron + 1];
    for (int32_t s = part_.segments[spike.neuron]; s < last; ++s) {
      const int64_t step = int64_t(spike.step) + part_.delay[s];
      if (step < now) continue;
      std::vector<Arrival>& list = day(step);
      list.push_back({uint32_t(part_.begin[s]), uint32_t(part_.begin[s + 1]), spike.trial});
      // lists are too many to stay in the first cache, and stores wait for each other
      __builtin_prefetch(list.data() + list.size() + 4, 1);
    }
  }

  const RowsPart& part_;
  std::vector<std::vector<Arrival>> days_;
};

template <class T>
void fetch(const T* values, const Arrival& a) {
  constexpr uint32_t a_line = 64 / sizeof(T);
  for (uint32_t q = a.begin & ~(a_line - 1); q < a.end; q += a_line) __builtin_prefetch(values + q);
}

template <class W>
void fetch(const ApartSynapses<W>& synapses, const Arrival& a) {
  fetch(synapses.weights, a);
  fetch(synapses.slots, a);
}

inline void fetch(const PackedSynapses& synapses, const Arrival& a) { fetch(synapses.both, a); }

// Adds the weights of all arrivals to the sums [trials, slots]. Rows are read once and from all over memory, so each is
// asked for some arrivals ahead.
template <class W>
void deliver(const RowsPart& part, const std::vector<Arrival>& arrivals, W* sums) {
  constexpr size_t ahead = 12;
  const size_t count = arrivals.size();
  with_synapses<W>(part, [&](const auto synapses) {
    for (size_t k = 0; k < std::min(count, ahead); ++k) fetch(synapses, arrivals[k]);
    for (size_t k = 0; k < count; ++k) {
      if (k + ahead < count) fetch(synapses, arrivals[k + ahead]);
      const uint32_t end = arrivals[k].end;
      W* of_trial = sums + arrivals[k].trial * part.slots;
      for (uint32_t q = arrivals[k].begin; q < end; ++q) of_trial[synapses.slot(q)] += synapses.weight(q);
    }
  });
}

}  // namespace inferno
