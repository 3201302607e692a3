// Random words of many indices at a time.
#pragma once
#include "core/philox.h"

namespace inferno {

// Indices that loops over random numbers take at a time: their words stay in the first cache.
constexpr int64_t philox_block = 512;

// The words of each index in two pairs, see pair_of: (a, b), and unless `second` is null (c, d).
void philox_pairs(uint64_t seed, uint32_t stream, uint32_t attempt, const int64_t* index, int64_t count,
                  uint64_t* first, uint64_t* second);

// All four words, one after the other, of the indices from `first` on.
void philox_words(uint64_t seed, uint32_t stream, uint32_t attempt, int64_t first, int64_t count, uint32_t* words);

// An integer in [0, limit) from each pair.
void all_below(const uint64_t* pairs, int64_t count, uint32_t limit, int32_t* out);

}  // namespace inferno
