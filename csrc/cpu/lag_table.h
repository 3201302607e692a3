// Pairs of spikes whose times are whole numbers of a unit, such as of steps of 1 or 0.5 ms: the exponential of every
// lag that occurs is computed once. The same function of the same times: the same bits.
#pragma once
#include <algorithm>
#include <limits>
#include <vector>

#include "core/learning.h"

namespace inferno {

// Of times in a unit of 2^-4 ms: whether all of them are whole numbers of it, or NaN; all of their bits, and their
// range.
struct WholeTimes {
  bool whole = true;
  int32_t bits = 0, least = std::numeric_limits<int32_t>::max(), most = -least;

  // Units of 2^-4 ms, as a power of two, in a unit of which all of them are whole numbers.
  int shift() const { return bits ? __builtin_ctz(uint32_t(bits)) : 0; }
};

constexpr int32_t no_time = 1 << 29;  // in place of NaN: later than any other time

void look_at_times(const float* time, int64_t count, WholeTimes& all);
void look_at_times(const double* time, int64_t count, WholeTimes& all);
void whole_times(const float* time, int64_t count, int shift, int32_t* whole);
void whole_times(const double* time, int64_t count, int shift, int32_t* whole);

// Of a lag, what it adds to either sum.
template <class C>
struct LagValue {
  C after, before;
};

// For the lags first, first + 1, ... times the unit; and behind the last one a value of nothing.
void lag_values(const SpikePairArgs& a, int64_t first, double unit, std::vector<LagValue<float>>& values);
void lag_values(const SpikePairArgs& a, int64_t first, double unit, std::vector<LagValue<double>>& values);

constexpr int64_t lag_group = 8;  // samples at a time

// The synapses of an output with some inputs. Samples come in groups, filled up with times of nothing.
template <class C>
struct LagRow {
  const LagValue<C>* values;
  int32_t last;        // behind the last lag
  const int32_t* pre;  // [inputs, ages, samples]
  int64_t ages, samples;
  const int32_t* age;    // [inputs]
  const int32_t* delay;  // [inputs]
  const int32_t* post;   // [samples], what is to be added to `pre` for an index of `values`
  const C* scale;        // [samples], or null
  C *after, *before;     // [inputs]
};

void sum_lags(const LagRow<float>& row, int64_t inputs);
void sum_lags(const LagRow<double>& row, int64_t inputs);

}  // namespace inferno
