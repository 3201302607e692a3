#include "cpu/stimuli.h"

#include "core/stimuli.h"
#include "cpu/clones.h"
#include "cpu/spiking_block.h"

namespace inferno {
namespace {

constexpr int64_t counters = spiking_block / 4 + 1;  // a block may begin within the words of a counter
constexpr int64_t short_table = 64;

struct Drawn {
  uint32_t words[4 * counters];
};

INFERNO_CLONES void draw_planes(uint64_t seed, uint64_t index, uint32_t stream, uint32_t attempt, int64_t count,
                                uint32_t (*planes)[counters]) {
  for (int64_t i = 0; i < count; ++i) {
    const Words w = philox(seed, index + uint64_t(i), stream, attempt);
    planes[0][i] = w.a;
    planes[1][i] = w.b;
    planes[2][i] = w.c;
    planes[3][i] = w.d;
  }
}

// Returns the word of the first neuron, which those of the others follow.
const uint32_t* draw(const RandomWords& w, Drawn& drawn) {
  uint32_t planes[4][counters];
  const int64_t begin = w.first / 4, end = (w.last + 3) / 4;
  const uint64_t index = uint64_t(w.moment * ((w.neurons + 3) / 4) + begin);
  draw_planes(w.seed, index, w.stream, w.trial, end - begin, planes);
  for (int64_t i = 0; i < end - begin; ++i)
    for (int64_t k = 0; k < 4; ++k) drawn.words[4 * i + k] = planes[k][i];
  return drawn.words + w.first % 4;
}

INFERNO_CLONES void count_short(const uint32_t* words, int64_t count, const uint32_t* table, int32_t entries,
                                int32_t* counts) {
  for (int64_t i = 0; i < count; ++i) counts[i] = 0;
  for (int32_t k = 0; k < entries; ++k) {
    const uint32_t entry = table[k];
    for (int64_t i = 0; i < count; ++i) counts[i] += words[i] >= entry;
  }
}

}  // namespace

void draw_counts(const RandomWords& w, const int64_t* table, int64_t entries, int32_t* counts) {
  Drawn drawn;
  const uint32_t* words = draw(w, drawn);
  while (entries > 0 && table[entries - 1] >= int64_t(1) << 32) --entries;  // no word reaches those
  if (entries <= short_table) {
    uint32_t entry[short_table];
    for (int64_t k = 0; k < entries; ++k) entry[k] = uint32_t(table[k]);
    return count_short(words, w.last - w.first, entry, int32_t(entries), counts);
  }
  for (int64_t i = 0; i < w.last - w.first; ++i) counts[i] = poisson_count(table, int32_t(entries), words[i]);
}

void draw_normals(const RandomWords& w, double mean, double std, double* values) {
  Drawn drawn;
  const uint32_t* words = draw(w, drawn);
  for (int64_t i = 0; i < w.last - w.first; ++i) values[i] = noise_of(words[i], mean, std);
}

}  // namespace inferno
