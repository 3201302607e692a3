// The spikes of a ring as words: for every input and age the samples that spiked, a bit each.
#pragma once
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/history.h"
#include "cpu/clones.h"

namespace inferno {
namespace {

// Eight bytes, of which any value but 0 is a spike, as bits, the first the lowest.
INFERNO_HD uint32_t eight_bits(uint64_t bytes) {
  constexpr uint64_t low = 0x7f7f7f7f7f7f7f7f;
  const uint64_t ones = (((bytes & low) + low) | bytes) >> 7 & 0x0101010101010101;
  return uint32_t(ones * 0x0102040810204080 >> 56);
}

INFERNO_HD uint32_t sixteen_bits(const uint8_t* from) {
#ifdef __SSE2__
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return uint32_t(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_setzero_si128()))) ^ 0xffff;
#else
  uint64_t eight[2];
  memcpy(eight, from, sizeof eight);
  return eight_bits(eight[0]) | eight_bits(eight[1]) << 8;
#endif
}

void words_of_lines(const uint8_t* from, int64_t inputs, int64_t stride, int64_t samples, uint32_t* words) {
  if (samples == 16) {
    for (int64_t i = 0; i < inputs; ++i, from += stride) words[i] = sixteen_bits(from);
    return;
  }
  for (int64_t i = 0; i < inputs; ++i, from += stride) {
    uint32_t word = 0;
    int64_t b = 0;
    for (; b + 8 <= samples; b += 8) {
      uint64_t eight;
      memcpy(&eight, from + b, 8);
      word |= eight_bits(eight) << b;
    }
    for (; b < samples; ++b) word |= uint32_t(from[b] != 0) << b;
    words[i] = word;
  }
}

INFERNO_CLONES void add_sample(const uint8_t* from, int64_t inputs, int64_t stride, int64_t sample, uint32_t* words) {
  for (int64_t i = 0; i < inputs; ++i) words[i] |= uint32_t(from[i * stride] != 0) << sample;
}

INFERNO_CLONES int64_t count_bits(const uint32_t* words, int64_t count) {
  int64_t bits = 0;
  for (int64_t k = 0; k < count; ++k) bits += __builtin_popcount(words[k]);
  return bits;
}

// In tiles of inputs, so that the words of a tile stay in the first cache: [tile][age][input].
class SpikeWords {
 public:
  static constexpr int64_t most = 32;  // samples
  static constexpr int64_t tile = 128;

  // `data`: of the first of some samples and inputs. False if more than one in `rarest` is a spike.
  bool find(const uint8_t* data, const Ring& ring, int64_t samples, int64_t inputs, int64_t rarest) {
    ages_ = ring.slots + 1;
    words_.resize(tile_begin(inputs + tile - 1));
    const int64_t newest = ring_slot(*ring.pointer, 1, ring.slots);
    int64_t spikes = 0;
    for (int64_t first = 0; first < inputs; first += tile) {
      const int64_t count = std::min(tile, inputs - first);
      uint32_t* words = words_.data() + tile_begin(first);
      for (int64_t age = 0; age < ring.slots; ++age, words += tile) {
        const uint8_t* from =
            data + slot_of_age(newest, int32_t(age), ring.slots) * ring.slot_stride + first * ring.rest_stride;
        fill(from, ring, samples, count, words);
        spikes += count_bits(words, count);
      }
      std::fill_n(words, tile, 0u);  // of delays out of range
      if (spikes * rarest > inputs * ring.slots * samples) return false;
    }
    return true;
  }

  // The words of the tile that begins with an input.
  const uint32_t* of_tile(int64_t input) const { return words_.data() + tile_begin(input); }

 private:
  int64_t tile_begin(int64_t input) const { return input / tile * ages_ * tile; }

  static void fill(const uint8_t* from, const Ring& ring, int64_t samples, int64_t count, uint32_t* words) {
    if (ring.batch_stride == 1) return words_of_lines(from, count, ring.rest_stride, samples, words);
    std::fill_n(words, count, 0u);
    for (int64_t b = 0; b < samples; ++b) add_sample(from + b * ring.batch_stride, count, ring.rest_stride, b, words);
  }

  int64_t ages_ = 0;
  std::vector<uint32_t> words_;
};

// Asks for what a row needs next, `stride` further on, while this one is computed.
template <class T>
INFERNO_HD void ask_for_next(const T* row, int64_t stride, int64_t count) {
  const char* next = reinterpret_cast<const char*>(row + stride);
  for (int64_t at = 0; at < count * int64_t(sizeof(T)); at += 64) __builtin_prefetch(next + at);
}

// The inputs of a tile at whose delay there are spikes.
struct Hits {
  int32_t count = 0;
  int32_t input[SpikeWords::tile];
  uint32_t word[SpikeWords::tile];

  // Every input is written to the next place, which is kept if it has spikes: a branch would be guessed wrong.
  template <class Slot>
  INFERNO_HD void find(const uint32_t* words, const Slot* slot, int64_t inputs) {
    int32_t found = 0;
    for (int64_t i = 0; i < inputs; ++i) {
      const uint32_t samples = words[int64_t(slot[i]) * SpikeWords::tile + i];
      input[found] = int32_t(i);
      word[found] = samples;
      found += int32_t(samples != 0);
    }
    count = found;
  }
};

// Calls f with the number of every bit that is set, ascending.
template <class F>
INFERNO_HD void each_bit(uint32_t word, F&& f) {
  do {
    f(__builtin_ctz(word));
    word &= word - 1;
  } while (word);
}

}  // namespace
}  // namespace inferno
