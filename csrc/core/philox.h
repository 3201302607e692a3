// Random words that depend on a seed, a stream and an index alone: Philox4x32-10 (Salmon et al. 2011).
#pragma once
#include "core/scalar.h"

namespace inferno {

struct Words {
  uint32_t a, b, c, d;
};

constexpr uint32_t philox_factor_0 = 0xD2511F53u, philox_factor_1 = 0xCD9E8D57u;
constexpr uint32_t philox_step_0 = 0x9E3779B9u, philox_step_1 = 0xBB67AE85u;

// The key is the seed; the counter is (low word of the index, its high word, stream, attempt).
INFERNO_HD Words philox(uint64_t seed, uint64_t index, uint32_t stream, uint32_t attempt) {
  Words w{uint32_t(index), uint32_t(index >> 32), stream, attempt};
  uint32_t key_0 = uint32_t(seed), key_1 = uint32_t(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t first = uint64_t(w.a) * philox_factor_0, second = uint64_t(w.c) * philox_factor_1;
    w = {uint32_t(second >> 32) ^ w.b ^ key_0, uint32_t(second), uint32_t(first >> 32) ^ w.d ^ key_1, uint32_t(first)};
    key_0 += philox_step_0;
    key_1 += philox_step_1;
  }
  return w;
}

// Words come in pairs, the first of two above the second.
INFERNO_HD uint64_t pair_of(uint32_t high, uint32_t low) { return uint64_t(high) << 32 | low; }

// In (0, 1): the middle of one of 2^52 equal parts. The bits are those of 2^52 plus an integer, which vectorises where
// a conversion does not.
INFERNO_HD double uniform_of(uint64_t pair) {
  const uint64_t bits = pair >> 12 | 0x4330000000000000u;
  double x;
  memcpy(&x, &bits, sizeof x);
  return ((x - 4503599627370496.0) + 0.5) * 0x1p-52;
}

// In [0, count), for count < 2^31.
INFERNO_HD uint32_t below(uint64_t pair, uint32_t count) {
  return uint32_t(((pair >> 32) * count + ((pair & 0xffffffffu) * count >> 32)) >> 32);
}

// How many events a word stands for: the elements of a sorted table that are at most the word.
INFERNO_HD int32_t poisson_count(const int64_t* table, int32_t size, uint32_t word) {
  int32_t low = 0, high = size;
  while (low < high) {
    const int32_t middle = (low + high) / 2;
    if (table[middle] <= int64_t(word))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

// The same for a table of a few elements, without branches: loops over neurons then vectorise.
INFERNO_HD int32_t poisson_count_small(const uint32_t* table, int32_t size, uint32_t word) {
  int32_t count = 0;
  for (int32_t i = 0; i < size; ++i) count += table[i] <= word;
  return count;
}

}  // namespace inferno
