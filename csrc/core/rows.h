// Building the rows of a large sparse network: a chunk of synapses at a time, first counted and then put in its place.
#pragma once
#include <cstdint>

namespace inferno {

// Of how many bits weights are kept in: multiples of the quantum as int16 or int32, or values as double.
enum class WeightBits : int32_t { sixteen = 16, thirty_two = 32, sixty_four = 64 };

// Ranges of targets, and how many sums of arriving weights a neuron has.
struct TargetRanges {
  int64_t neurons, parts;
  const int64_t* bounds;  // [parts + 1]
  const uint8_t* ports;   // [neurons]: 1, or 2 where negative weights are summed apart
};

// Synapses; delay and weight only where they are put in their places. Weights are f32, f64 or the same for all.
struct SynapseChunk {
  int64_t count;
  const int32_t *source, *target;  // [count]
  const int32_t* delay;            // [count], steps
  const float* narrow_weight;      // [count] or null
  const double* wide_weight;       // [count] or null
  double weight;                   // where both are null
  double weight_of(int64_t i) const {
    return narrow_weight ? double(narrow_weight[i]) : wide_weight ? wide_weight[i] : weight;
  }
};

struct RowsCountArgs {
  TargetRanges ranges;
  SynapseChunk chunk;
  bool bounded;     // the weight is a bound of magnitudes, of either sign
  int64_t* counts;  // [parts, neurons], synapses of a source
  double* load;     // [2, neurons], sums of magnitudes of a target's weights by port
  int32_t* degree;  // [neurons], synapses of a target
};

// One range of targets, before its delays are sorted.
struct RowsTarget {
  int64_t count;  // synapses
  uint16_t* slot;
  void* delay;   // uint8_t or uint16_t
  void* weight;  // int32_t or double; int16_t lie between the slots, behind the one that each belongs to
};

struct RowsFillArgs {
  TargetRanges ranges;
  SynapseChunk chunk;
  WeightBits bits;
  bool byte_delays;
  double quantum;
  int64_t* cursor;            // [parts, neurons], where the next synapse of a source goes
  void* total;                // [2, neurons], magnitudes in quanta by port: int64_t; wide: double, of values
  const RowsTarget* targets;  // [parts]
};

struct RowsSortArgs {
  int64_t neurons;
  WeightBits bits;
  bool byte_delays;
  const int64_t* first;  // [neurons + 1], synapses of a source
  RowsTarget target;
  int32_t max_delay;
};

struct RowsSegments {
  int32_t* segments;  // [neurons + 1]
  uint16_t* delay;    // [segments]
  int32_t* begin;     // [segments + 1]
};

// Items are parts; what they write is apart.
void rows_count_cpu(const RowsCountArgs& a, int64_t begin, int64_t end);
void rows_fill_cpu(const RowsFillArgs& a, int64_t begin, int64_t end);

// Items are sources. First segments are counted, then, with the sums of these, sources are sorted.
void rows_count_segments_cpu(const RowsSortArgs& a, int32_t* counts, int64_t begin, int64_t end);
void rows_sort_cpu(const RowsSortArgs& a, const RowsSegments& out, int64_t begin, int64_t end);

}  // namespace inferno
