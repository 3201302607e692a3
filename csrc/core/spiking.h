// The list of neurons of large sparse networks, and access to them by number.
#pragma once
#include "core/spiking_iaf.h"
#include "core/spiking_own.h"

namespace inferno {

constexpr int max_spiking_variables = 5;
constexpr int max_spiking_numbers = 20;
constexpr int max_ports = 2;

// A neuron is the row of its numbers, of which the first is the gain of currents. In the order of SPIKING_FORMS of
// reference/spiking.py; generators, which have no dynamics, come before them.
#define INFERNO_SPIKING_NEURONS(X) INFERNO_IAF_NEURONS(X) INFERNO_OWN_NEURONS(X)

enum class SpikingKind : int32_t {
  generator,
#define INFERNO_ENTRY(N) N,
  INFERNO_SPIKING_NEURONS(INFERNO_ENTRY)
#undef INFERNO_ENTRY
      count
};

// Calls f with a neuron in C, its numbers unset; generators have none.
template <class C, class F>
void dispatch_spiking(SpikingKind kind, F&& f) {
  switch (kind) {
#define INFERNO_ENTRY(N) \
  case SpikingKind::N:   \
    return f(N<C>{});
    INFERNO_SPIKING_NEURONS(INFERNO_ENTRY)
#undef INFERNO_ENTRY
    default:
      break;
  }
}

template <class Neuron, class C>
constexpr int spiking_numbers_of = int(sizeof(Neuron) / sizeof(C));

// How many numbers a kind has; 0 for generators.
inline int64_t spiking_number_count(SpikingKind kind) {
  int64_t count = 0;
  dispatch_spiking<double>(kind, [&](auto neuron) { count = spiking_numbers_of<decltype(neuron), double>; });
  return count;
}

// Element i of every number: they are `stride` apart, and shared by all neurons if that is 1.
template <class Neuron, class C>
INFERNO_HD Neuron spiking_neuron(const C* numbers, int64_t stride, int64_t i) {
  constexpr int count = spiking_numbers_of<Neuron, C>;
  static_assert(count <= max_spiking_numbers && Neuron::variables <= max_spiking_variables);
  C row[count];
  for (int k = 0; k < count; ++k) row[k] = numbers[k * stride + i];
  Neuron neuron;
  memcpy(&neuron, row, sizeof neuron);
  return neuron;
}

}  // namespace inferno
