// Random input of neurons: numbers depend on seed, stream, step or interval, neuron and trial alone.
#pragma once
#include "core/draw.h"
#include "core/simulate.h"

namespace inferno {

// Four neighbouring neurons share the words of one counter.
INFERNO_HD uint32_t random_word(uint64_t seed, uint32_t stream, int64_t trial, int64_t moment, int64_t neurons,
                                int64_t neuron) {
  const Words w = philox(seed, uint64_t(moment * ((neurons + 3) / 4) + neuron / 4), stream, uint32_t(trial));
  const uint32_t lower = neuron & 1 ? w.b : w.a, upper = neuron & 1 ? w.d : w.c;
  return neuron & 2 ? upper : lower;
}

// Normally distributed.
INFERNO_HD double noise_of(uint32_t word, double mean, double std) {
  return mean + std * normal_quantile((double(word) + 0.5) * 0x1p-32);
}

}  // namespace inferno
