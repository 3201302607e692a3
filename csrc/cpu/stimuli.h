// Random input of a block of neurons. Four neighbouring neurons share the words of one counter.
#pragma once
#include <cstdint>

namespace inferno {

// The words of neurons first..last-1, at most spiking_block, in one trial and one step or interval.
struct RandomWords {
  uint64_t seed;
  uint32_t stream, trial;
  int64_t moment;   // number of the step, or of the interval
  int64_t neurons;  // of the whole network
  int64_t first, last;
};

// Inversion: how many of the table's cumulative probabilities, times 2^32, a word is not below.
void draw_counts(const RandomWords& words, const int64_t* table, int64_t entries, int32_t* counts);
void draw_normals(const RandomWords& words, double mean, double std, double* values);

}  // namespace inferno
