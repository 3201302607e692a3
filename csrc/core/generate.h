// Synapses of connection rules, each by its number alone.
#pragma once
#include "core/philox.h"

namespace inferno {

enum class Rule : int32_t {
  one_to_one,
  all_to_all,
  fixed_indegree,
  fixed_outdegree,
  fixed_total_number,
  pairwise_bernoulli
};

// Rows are targets, or sources of fixed_outdegree; columns are those of the other side. Without autapses a row has one
// column less, and numbers of columns from that of the row on are one too small.
struct ConnectArgs {
  Rule rule;
  bool autapses, multapses;
  uint64_t seed;
  uint32_t stream;
  int64_t rows, columns;
  int64_t per_row;    // synapses of a row, of the rules with a fixed degree
  int64_t first;      // number of the first synapse
  int32_t* row;       // [count]
  int32_t* column;    // [count]
  int64_t* index;     // [count]
  int64_t threshold;  // of pairwise_bernoulli: a pair is connected if its word is below
  bool* kept;         // [count], of pairwise_bernoulli
};

void connect_cpu(const ConnectArgs& args, int64_t begin, int64_t end);
void connect_cuda(const ConnectArgs& args, int64_t count, void* stream);
void bernoulli_cpu(const ConnectArgs& args, int64_t begin, int64_t end);
void bernoulli_cuda(const ConnectArgs& args, int64_t count, void* stream);

// A permutation of [0, count): a Feistel network on pairs of numbers below a and b, whose product is just above count
// (Black & Rogaway 2002), walked until it comes back into range. Short permutations mix slowly and have more rounds.
struct Shuffle {
  uint64_t count;
  uint32_t a, b;
  int32_t rounds;
};

constexpr int max_rounds = 24;

inline Shuffle shuffle_of(int64_t count) {
  if (count == 0) return {0, 1, 1, 0};
  uint64_t root = 0;
  for (int bit = 31; bit >= 0; --bit) {
    const uint64_t tried = root | uint64_t(1) << bit;
    if (tried * tried <= uint64_t(count - 1)) root = tried;
  }
  const uint64_t a = root + 1;
  return {uint64_t(count), uint32_t(a), uint32_t((uint64_t(count) + a - 1) / a), count < 16 ? 24 : 12};
}

// 32 bits that depend on all bits of x and key.
INFERNO_HD uint32_t mixed(uint32_t x, uint32_t key) {
  x = (x ^ key) * philox_factor_0;
  x = (x ^ x >> 15) * philox_factor_1;
  return x ^ x >> 16;
}

// The smaller of a sum and what is left of it, which wraps around where the size does not fit.
INFERNO_HD uint32_t turned(uint32_t half, uint32_t other, uint32_t key, uint32_t size) {
  const uint32_t sum = half + uint32_t(uint64_t(mixed(other, key)) * size >> 32), rest = sum - size;
  return rest < sum ? rest : sum;
}

// Once through the network; `keys` are those of a row.
INFERNO_HD void shuffle_once(const Shuffle& s, const uint32_t* keys, uint32_t& left, uint32_t& right) {
  for (int round = 0; round < s.rounds; round += 2) {
    left = turned(left, right, keys[round], s.a);
    right = turned(right, left, keys[round + 1], s.b);
  }
}

INFERNO_HD void shuffle_keys(const Shuffle& s, uint64_t seed, uint32_t stream, uint64_t row, uint32_t* keys) {
  for (int i = 0; 4 * i < s.rounds; ++i) {
    const Words w = philox(seed, row, stream, uint32_t(i + 1));
    keys[4 * i] = w.a;
    keys[4 * i + 1] = w.b;
    keys[4 * i + 2] = w.c;
    keys[4 * i + 3] = w.d;
  }
}

INFERNO_HD uint64_t shuffled(const Shuffle& s, const uint32_t* keys, uint64_t position) {
  do {
    uint32_t left = uint32_t(position / s.b), right = uint32_t(position % s.b);
    shuffle_once(s, keys, left, right);
    position = uint64_t(left) * s.b + right;
  } while (position >= s.count);
  return position;
}

struct Place {
  uint32_t row, column;
};

INFERNO_HD uint32_t past_autapse(const ConnectArgs& args, Place p) {
  return p.column + (!args.autapses && p.column >= p.row);
}

// Where synapse k is; `s` is the permutation of a row, or of all pairs, and unused with multapses.
INFERNO_HD Place place_of(const ConnectArgs& args, const Shuffle& s, uint64_t k) {
  const uint64_t columns = uint64_t(args.columns);
  if (args.rule == Rule::one_to_one) return {uint32_t(k), uint32_t(k)};
  if (args.rule == Rule::all_to_all || args.rule == Rule::pairwise_bernoulli)
    return {uint32_t(k / columns), uint32_t(k % columns)};
  const bool total = args.rule == Rule::fixed_total_number;
  if (args.multapses) {
    const Words w = philox(args.seed, k, args.stream, 0);
    const uint32_t row = total ? below(pair_of(w.c, w.d), uint32_t(args.rows)) : uint32_t(k / uint64_t(args.per_row));
    return {row, below(pair_of(w.a, w.b), uint32_t(columns))};
  }
  uint32_t keys[max_rounds];
  const uint64_t row = total ? 0 : k / uint64_t(args.per_row), position = total ? k : k % uint64_t(args.per_row);
  shuffle_keys(s, args.seed, args.stream, row, keys);
  const uint64_t place = shuffled(s, keys, position);
  return total ? Place{uint32_t(place / columns), uint32_t(place % columns)} : Place{uint32_t(row), uint32_t(place)};
}

// The permutation that a rule without multapses needs.
inline Shuffle shuffle_for(const ConnectArgs& args) {
  const bool total = args.rule == Rule::fixed_total_number;
  return args.multapses ? Shuffle{0, 1, 1, 0} : shuffle_of(total ? args.rows * args.columns : args.columns);
}

// Four neighbouring pairs share the words of one counter.
INFERNO_HD bool is_kept(const ConnectArgs& args, uint64_t pair) {
  const Words w = philox(args.seed, pair >> 2, args.stream, 0);
  const uint32_t half = pair & 2 ? (pair & 1 ? w.d : w.c) : (pair & 1 ? w.b : w.a);
  return int64_t(half) < args.threshold;
}

}  // namespace inferno
