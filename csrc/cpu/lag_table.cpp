#include "cpu/lag_table.h"

#include "cpu/clones.h"

namespace inferno {
namespace {

constexpr double units_per_ms = 16;
constexpr double longest = 1 << 28;  // units

template <class C>
INFERNO_HD int32_t units(C time) {
  const C scaled = time * C(units_per_ms);
  return int32_t(scaled < C(longest) && scaled > C(-longest) ? scaled : C(0));
}

template <class C>
INFERNO_HD void look_at(const C* time, int64_t count, WholeTimes& all) {
  constexpr int32_t none_least = std::numeric_limits<int32_t>::max(), none_most = -none_least;
  int32_t wrong = 0, bits = 0, least = none_least, most = none_most;
  for (int64_t i = 0; i < count; ++i) {
    const C t = time[i];
    const int32_t number = units(t), is_time = -int32_t(t == t);
    wrong |= is_time & -int32_t(C(number) != t * C(units_per_ms));
    bits |= number;
    const int32_t low = (number & is_time) | (none_least & ~is_time);
    const int32_t high = (number & is_time) | (none_most & ~is_time);
    least = low < least ? low : least;
    most = high > most ? high : most;
  }
  all.whole = all.whole && !wrong;
  all.bits |= bits;
  all.least = least < all.least ? least : all.least;
  all.most = most > all.most ? most : all.most;
}

template <class C>
INFERNO_HD void to_whole(const C* time, int64_t count, int shift, int32_t* whole) {
  for (int64_t i = 0; i < count; ++i) whole[i] = time[i] == time[i] ? units(time[i]) >> shift : no_time;
}

template <class C>
INFERNO_HD void values_of(C first, C unit, C after_constant, C before_constant, int64_t count, LagValue<C>* values) {
  for (int64_t i = 0; i < count; ++i) {
    const C t = (first + C(int32_t(i))) * unit;
    const C value = pair_value<false>(t, after_constant, before_constant);
    values[i].after = t >= C(0) ? value : C(0);
    values[i].before = t < C(0) ? value : C(0);
  }
}

typedef int32_t Lags __attribute__((vector_size(lag_group * sizeof(int32_t))));

INFERNO_HD void add_lags(Lags& lags, const int32_t* from) {
  Lags others;
  memcpy(&others, from, sizeof others);
  lags += others;
}

// Lags in registers, looked up one by one: both values of a lag are one load.
template <bool scaled, class C>
INFERNO_HD void sum_row(const LagRow<C>& r, int64_t inputs) {
  typedef C Both __attribute__((vector_size(2 * sizeof(C))));
  const Lags last = r.last - Lags{}, nothing = {};
  for (int64_t i = 0; i < inputs; ++i) {
    const int32_t* pre = r.pre + (i * r.ages + r.age[i]) * r.samples;
    Both sums = {};
    for (int64_t b = 0; b < r.samples; b += lag_group) {
      Lags lags = Lags{} - r.delay[i];
      add_lags(lags, pre + b);
      add_lags(lags, r.post + b);
      lags = lags < last ? lags : last;
      lags = lags > nothing ? lags : nothing;
      int32_t at[lag_group];
      memcpy(at, &lags, sizeof at);
      for (int64_t k = 0; k < lag_group; ++k) {
        Both values;
        memcpy(&values, r.values + at[k], sizeof values);
        sums = sums + (scaled ? values * r.scale[b + k] : values);
      }
    }
    r.after[i] = sums[0];
    r.before[i] = sums[1];
  }
}

}  // namespace

#define INFERNO_LAGS(C)                                                                                           \
  INFERNO_CLONES void look_at_times(const C* time, int64_t count, WholeTimes& all) { look_at(time, count, all); } \
  INFERNO_CLONES void whole_times(const C* time, int64_t count, int shift, int32_t* whole) {                      \
    to_whole(time, count, shift, whole);                                                                          \
  }                                                                                                               \
  INFERNO_CLONES void compute_values(C first, C unit, C after_constant, C before_constant, int64_t count,         \
                                     LagValue<C>* values) {                                                       \
    values_of(first, unit, after_constant, before_constant, count, values);                                       \
  }                                                                                                               \
  INFERNO_CLONES void sum_lags(const LagRow<C>& row, int64_t inputs) {                                            \
    row.scale ? sum_row<true>(row, inputs) : sum_row<false>(row, inputs);                                         \
  }                                                                                                               \
  void lag_values(const SpikePairArgs& a, int64_t first, double unit, std::vector<LagValue<C>>& values) {         \
    compute_values(C(first), C(unit), C(a.after_constant), C(a.before_constant), int64_t(values.size()) - 1,      \
                   values.data());                                                                                \
    values.back() = {0, 0};                                                                                       \
  }
INFERNO_LAGS(float)
INFERNO_LAGS(double)
#undef INFERNO_LAGS

}  // namespace inferno
