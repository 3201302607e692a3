#include "core/generate.h"

#include <algorithm>

#include "cpu/clones.h"
#include "cpu/philox_pairs.h"

namespace inferno {
namespace {

// Quotients and remainders of first, first + 1, ... by a divisor, run by run of one quotient.
void divide_all(uint64_t first, int64_t count, uint64_t divisor, uint32_t* quotient, uint32_t* remainder) {
  uint64_t whole = first / divisor, rest = first % divisor;
  for (int64_t i = 0; i < count;) {
    const int64_t run = int64_t(std::min(divisor - rest, uint64_t(count - i)));
    for (int64_t j = 0; j < run; ++j) {
      quotient[i + j] = uint32_t(whole);
      remainder[i + j] = uint32_t(rest + uint64_t(j));
    }
    i += run;
    ++whole;
    rest = 0;
  }
}

// Once through the network for positions whose halves are given.
INFERNO_CLONES void shuffle_all(const Shuffle& s, const uint32_t* keys, int64_t count, uint32_t* __restrict left,
                                uint32_t* __restrict right) {
  const Shuffle shape = s;
  for (int round = 0; round < shape.rounds; round += 2) {
    const uint32_t key_left = keys[round], key_right = keys[round + 1];
    for (int64_t i = 0; i < count; ++i) left[i] = turned(left[i], right[i], key_left, shape.a);
    for (int64_t i = 0; i < count; ++i) right[i] = turned(right[i], left[i], key_right, shape.b);
  }
}

// Elements position, position + 1, ... of a permutation.
void permuted(const Shuffle& s, const uint32_t* keys, uint64_t position, int64_t count, uint64_t* out) {
  uint32_t left[philox_block], right[philox_block];
  divide_all(position, count, s.b, left, right);
  shuffle_all(s, keys, count, left, right);
  for (int64_t i = 0; i < count; ++i) out[i] = uint64_t(left[i]) * s.b + right[i];
  for (int64_t i = 0; i < count; ++i)
    if (out[i] >= s.count) out[i] = shuffled(s, keys, out[i]);
}

// The four words of each counter side by side.
INFERNO_CLONES void spread(const uint64_t* __restrict first, const uint64_t* __restrict second, int64_t count,
                           uint32_t* __restrict words) {
  for (int64_t i = 0; i < count; ++i) {
    words[4 * i] = uint32_t(first[i] >> 32);
    words[4 * i + 1] = uint32_t(first[i]);
    words[4 * i + 2] = uint32_t(second[i] >> 32);
    words[4 * i + 3] = uint32_t(second[i]);
  }
}

INFERNO_CLONES void compare(const uint32_t* __restrict words, int64_t count, int64_t threshold, bool* __restrict kept) {
  if (threshold <= 0xffffffff) {
    const uint32_t limit = uint32_t(threshold);
    for (int64_t i = 0; i < count; ++i) kept[i] = words[i] < limit;
  } else {
    for (int64_t i = 0; i < count; ++i) kept[i] = true;
  }
}

class Block {
 public:
  Block(const ConnectArgs& args, const Shuffle& shuffle, int64_t begin, int64_t count)
      : args_(args),
        shuffle_(shuffle),
        begin_(begin),
        count_(count),
        first_(uint64_t(args.first + begin)),
        row_(args.row + begin),
        column_(args.column + begin) {}

  void run() const {
    for (int64_t i = 0; i < count_; ++i) args_.index[begin_ + i] = int64_t(first_) + i;
    switch (args_.rule) {
      case Rule::one_to_one:
        for (int64_t i = 0; i < count_; ++i) row_[i] = column_[i] = int32_t(first_ + uint64_t(i));
        break;
      case Rule::all_to_all:
      case Rule::pairwise_bernoulli:
        split(uint64_t(args_.columns), row_, column_);
        break;
      default:
        args_.multapses ? with_multapses() : without_multapses();
    }
    if (!args_.autapses)
      for (int64_t i = 0; i < count_; ++i) column_[i] += column_[i] >= row_[i];
  }

 private:
  bool total() const { return args_.rule == Rule::fixed_total_number; }

  // Both are below 2^31 wherever they are used.
  void split(uint64_t divisor, int32_t* quotient, int32_t* remainder) const {
    divide_all(first_, count_, divisor, reinterpret_cast<uint32_t*>(quotient), reinterpret_cast<uint32_t*>(remainder));
  }

  void with_multapses() const {
    uint64_t first[philox_block], second[philox_block];
    philox_pairs(args_.seed, args_.stream, 0, args_.index + begin_, count_, first, total() ? second : nullptr);
    all_below(first, count_, uint32_t(args_.columns), column_);
    if (total()) return all_below(second, count_, uint32_t(args_.rows), row_);
    int32_t unused[philox_block];
    split(uint64_t(args_.per_row), row_, unused);
  }

  void without_multapses() const {
    uint64_t place[philox_block];
    uint32_t keys[max_rounds];
    if (total()) {
      shuffle_keys(shuffle_, args_.seed, args_.stream, 0, keys);
      permuted(shuffle_, keys, first_, count_, place);
      const uint64_t columns = uint64_t(args_.columns);
      for (int64_t i = 0; i < count_; ++i) {
        row_[i] = int32_t(place[i] / columns);
        column_[i] = int32_t(place[i] % columns);
      }
      return;
    }
    const uint64_t per_row = uint64_t(args_.per_row);
    uint64_t row = first_ / per_row, position = first_ % per_row;
    for (int64_t i = 0; i < count_; ++row, position = 0) {
      const int64_t run = int64_t(std::min(per_row - position, uint64_t(count_ - i)));
      shuffle_keys(shuffle_, args_.seed, args_.stream, row, keys);
      permuted(shuffle_, keys, position, run, place);
      for (int64_t j = 0; j < run; ++j) {
        row_[i + j] = int32_t(row);
        column_[i + j] = int32_t(place[j]);
      }
      i += run;
    }
  }

  const ConnectArgs& args_;
  const Shuffle& shuffle_;
  int64_t begin_, count_;
  uint64_t first_;
  int32_t *row_, *column_;
};

}  // namespace

void connect_cpu(const ConnectArgs& args, int64_t begin, int64_t end) {
  const Shuffle shuffle = shuffle_for(args);
  for (int64_t first = begin; first < end; first += philox_block)
    Block(args, shuffle, first, std::min(philox_block, end - first)).run();
}

void bernoulli_cpu(const ConnectArgs& args, int64_t begin, int64_t end) {
  uint64_t first[philox_block], second[philox_block];
  uint32_t words[4 * philox_block];
  int64_t index[philox_block];
  while (begin < end) {
    const uint64_t pair = uint64_t(args.first + begin), skipped = pair & 3;
    const int64_t count = std::min(4 * philox_block - int64_t(skipped), end - begin);
    const int64_t counters = (count + int64_t(skipped) + 3) / 4;
    for (int64_t i = 0; i < counters; ++i) index[i] = int64_t(pair >> 2) + i;
    philox_pairs(args.seed, args.stream, 0, index, counters, first, second);
    spread(first, second, counters, words);
    compare(words + skipped, count, args.threshold, args.kept + begin);
    begin += count;
  }
}

}  // namespace inferno
