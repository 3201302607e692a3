#include "cpu/stimuli.h"

#include "core/stimuli.h"
#include "cpu/clones.h"
#include "cpu/philox_pairs.h"
#include "cpu/spiking_block.h"

namespace inferno {
namespace {

constexpr int64_t counters = spiking_block / 4 + 1;  // a block may begin within the words of a counter
constexpr int64_t short_table = 64;

struct Drawn {
  uint32_t words[4 * counters];
};

// Returns the word of the first neuron, which those of the others follow.
const uint32_t* draw(const RandomWords& w, Drawn& drawn) {
  const int64_t begin = w.first / 4, count = (w.last + 3) / 4 - begin;
  philox_words(w.seed, w.stream, w.trial, w.moment * ((w.neurons + 3) / 4) + begin, count, drawn.words);
  return drawn.words + w.first % 4;
}

typedef int32_t Eight __attribute__((vector_size(32)));
typedef int32_t EightAnywhere __attribute__((vector_size(32), aligned(4), may_alias));
typedef int64_t Four __attribute__((vector_size(32)));

bool any(const Eight& hits) {
  const Four four = Four(hits);
  return (four[0] | four[1] | four[2] | four[3]) != 0;
}

// How many entries of an ascending table each word is above. Signed numbers, which vectors compare at once.
INFERNO_CLONES void count_short(const uint32_t* words, int64_t count, const int32_t* table, int32_t entries,
                                int32_t base, int32_t* counts) {
  constexpr int64_t lanes = 8, vectors = 4;
  constexpr int32_t at_once = 4;  // entries, between which nearly all words are done
  int64_t i = 0;
  for (; i + lanes * vectors <= count; i += lanes * vectors) {
    Eight word[vectors], above[vectors] = {}, hits = {};
    for (int64_t v = 0; v < vectors; ++v) {
      word[v] = *reinterpret_cast<const EightAnywhere*>(words + i + lanes * v) ^ INT32_MIN;
      above[v] += base;
    }
    for (int32_t k = 0; k < entries; k += at_once) {
      for (int32_t e = k; e < k + at_once; ++e) {
        hits = Eight{};
        for (int64_t v = 0; v < vectors; ++v) {
          const Eight hit = word[v] > table[e];
          above[v] -= hit;
          hits |= hit;
        }
      }
      if (!any(hits)) break;
    }
    for (int64_t v = 0; v < vectors; ++v) *reinterpret_cast<EightAnywhere*>(counts + i + lanes * v) = above[v];
  }
  for (; i < count; ++i) {
    counts[i] = base;
    for (int32_t k = 0; k < entries; ++k) counts[i] += int32_t(words[i] ^ 0x80000000u) > table[k];
  }
}

}  // namespace

void draw_counts(const RandomWords& w, const int64_t* table, int64_t entries, int32_t* counts) {
  Drawn drawn;
  const uint32_t* words = draw(w, drawn);
  while (entries > 0 && table[entries - 1] >= int64_t(1) << 32) --entries;  // no word reaches those
  if (entries <= short_table) {
    int64_t base = 0;  // entries of 0, which every word reaches
    while (base < entries && table[base] == 0) ++base;
    int32_t entry[short_table + 4];
    int64_t left = 0;
    for (int64_t k = base; k < entries; ++k) entry[left++] = int32_t(uint32_t(table[k] - 1) ^ 0x80000000u);
    while (left % 4 != 0) entry[left++] = INT32_MAX;  // no word is above it
    return count_short(words, w.last - w.first, entry, int32_t(left), int32_t(base), counts);
  }
  for (int64_t i = 0; i < w.last - w.first; ++i) counts[i] = poisson_count(table, int32_t(entries), words[i]);
}

void draw_normals(const RandomWords& w, double mean, double std, double* values) {
  Drawn drawn;
  const uint32_t* words = draw(w, drawn);
  for (int64_t i = 0; i < w.last - w.first; ++i) values[i] = noise_of(words[i], mean, std);
}

}  // namespace inferno
