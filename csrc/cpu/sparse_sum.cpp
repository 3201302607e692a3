// Sums over listed synapses, in the order of the list, one rounded product at a time: the same result for any number of
// lanes and threads. The synapses of a row are laid out for the vectors that run over its lanes.
#include <algorithm>
#include <vector>

#include "core/sparse.h"
#include "cpu/clones.h"
#include "cpu/sparse_vectors.h"
#include "cpu/transpose.h"

namespace inferno {
namespace {

constexpr int64_t block = 16;  // rows whose results are written together

// A synapse where its samples lie.
template <class C>
struct Term {
  C weight, blend;
  int64_t older, newer;  // elements; older: -1 where the delay is out of range, newer: that of the blend
};

// Synapses of a row without delays, as they lie in the list: there is nothing to lay out.
template <class T, class C = Compute<T>>
struct Undelayed {
  const T* weight;
  const int32_t* partner;
  int64_t stride;

  INFERNO_HD Term<C> operator[](int64_t k) const { return {load(weight[k]), C(0), partner[k] * stride, 0}; }
};

// sums[0 .. Vectors * width) of some lanes over all terms of a row.
template <int Vectors, class Terms, class H, class C>
INFERNO_HD void sum_vectors(const Terms& terms, int64_t count, const H* data, double scale, C outside, C* sums) {
  Vector<C> sum[Vectors] = {};
  for (int64_t k = 0; k < count; ++k) {
    const Term<C> term = terms[k];
    if (term.older < 0) {
      for (int j = 0; j < Vectors; ++j) sum[j] = sum[j] + term.weight * outside;
      continue;
    }
    const H* older = data + term.older;
    if (term.blend > C(0)) {
      const H* newer = data + term.newer;
      for (int j = 0; j < Vectors; ++j) {
        const Vector<C> z = samples_at<C>(older + j * width<C>, scale);
        const Vector<C> next = samples_at<C>(newer + j * width<C>, scale);
        sum[j] = sum[j] + term.weight * (z + (next - z) * term.blend);
      }
    } else {
      for (int j = 0; j < Vectors; ++j) sum[j] = sum[j] + term.weight * samples_at<C>(older + j * width<C>, scale);
    }
  }
  for (int j = 0; j < Vectors; ++j) store_vector(sums + j * width<C>, sum[j]);
}

// As above for fewer lanes than a vector has.
template <int Lanes, class Terms, class H, class C>
INFERNO_HD void sum_few(const Terms& terms, int64_t count, const H* data, double scale, C outside, C* sums) {
  C sum[Lanes] = {};
  for (int64_t k = 0; k < count; ++k) {
    const Term<C> term = terms[k];
    for (int l = 0; l < Lanes; ++l) {
      C z = outside;
      if (term.older >= 0) z = sample_value<H, C>(data[term.older + l], scale);
      if (term.blend > C(0)) z = blend_linear(z, sample_value<H, C>(data[term.newer + l], scale), term.blend);
      sum[l] = sum[l] + term.weight * z;
    }
  }
  for (int l = 0; l < Lanes; ++l) sums[l] = sum[l];
}

constexpr int most_vectors = 8;

template <class Terms, class H, class C>
INFERNO_HD void sum_lanes(const Terms& terms, int64_t count, const H* data, double scale, C outside, int64_t lanes,
                          C* sums) {
  int64_t l = 0;
  for (; l + most_vectors * width<C> <= lanes; l += most_vectors * width<C>)
    sum_vectors<most_vectors>(terms, count, data + l, scale, outside, sums + l);
  if (l + 4 * width<C> <= lanes) {
    sum_vectors<4>(terms, count, data + l, scale, outside, sums + l);
    l += 4 * width<C>;
  }
  if (l + 2 * width<C> <= lanes) {
    sum_vectors<2>(terms, count, data + l, scale, outside, sums + l);
    l += 2 * width<C>;
  }
  if (l + width<C> <= lanes) {
    sum_vectors<1>(terms, count, data + l, scale, outside, sums + l);
    l += width<C>;
  }
  if (l + 4 <= lanes) {
    sum_few<4>(terms, count, data + l, scale, outside, sums + l);
    l += 4;
  }
  if (l + 2 <= lanes) {
    sum_few<2>(terms, count, data + l, scale, outside, sums + l);
    l += 2;
  }
  if (l < lanes) sum_few<1>(terms, count, data + l, scale, outside, sums + l);
}

#define INFERNO_SUM_TERMS(Terms, H, C)                                                                             \
  INFERNO_CLONES void sum_terms(Terms terms, int64_t count, const H* data, double scale, C outside, int64_t lanes, \
                                C* sums) {                                                                         \
    sum_lanes(terms, count, data, scale, outside, lanes, sums);                                                    \
  }
INFERNO_SUM_TERMS(const Term<float>*, float, float)
INFERNO_SUM_TERMS(const Term<double>*, double, double)
INFERNO_SUM_TERMS(const Term<float>*, Half, float)
INFERNO_SUM_TERMS(const Term<float>*, BFloat16, float)
INFERNO_SUM_TERMS(const Term<float>*, Bool, float)
INFERNO_SUM_TERMS(const Term<double>*, Bool, double)
INFERNO_SUM_TERMS(Undelayed<float>, float, float)
INFERNO_SUM_TERMS(Undelayed<double>, double, double)
INFERNO_SUM_TERMS(Undelayed<Half>, Half, float)
INFERNO_SUM_TERMS(Undelayed<BFloat16>, BFloat16, float)
INFERNO_SUM_TERMS(Undelayed<float>, Bool, float)
INFERNO_SUM_TERMS(Undelayed<double>, Bool, double)
INFERNO_SUM_TERMS(Undelayed<Half>, Bool, float)
INFERNO_SUM_TERMS(Undelayed<BFloat16>, Bool, float)
#undef INFERNO_SUM_TERMS

// How far the sample of an age is from the first of its input, looked up where that is a short table.
template <class Slot>
class Offsets {
 public:
  explicit Offsets(const SparseSumArgs& a) : a_(a), newest_(newest_slot(a)) {
    if constexpr (short_table)
      for (int32_t age = 0; age < a.slots; ++age) table_[age] = sparse_offset(a, newest_, age);
  }

  INFERNO_HD int64_t operator[](int32_t age) const {
    if constexpr (short_table) return table_[age];
    return sparse_offset(a_, newest_, age);
  }

 private:
  static constexpr bool short_table = sizeof(Slot) == 1;
  const SparseSumArgs& a_;
  int64_t newest_, table_[short_table ? 256 : 1];
};

template <class T, class Slot, class C>
void lay_out(const SparseSumArgs& a, const Offsets<Slot>& offsets, int64_t begin, int64_t end, Term<C>* terms) {
  for (int64_t k = begin; k < end; ++k, ++terms) {
    const SparseTap<C> tap = sparse_tap<T, Slot, false>(a, k);
    const int64_t from = tap.from * a.partner_stride;
    *terms = {tap.weight, tap.second, tap.age == a.slots ? -1 : from + offsets[tap.age],
              tap.second > C(0) ? from + offsets[tap.age - 1] : 0};
  }
}

template <class H, class T, class Slot, class C = Compute<T>>
void sum_rows(const SparseSumArgs& a, int64_t begin, int64_t end) {
  constexpr int64_t chunk = most_vectors * width<C>;
  const int64_t lanes = a.steps * a.batch, rows = a.list.rows;
  const Offsets<Slot> offsets(a);
  const T* bias = static_cast<const T*>(a.bias);
  std::vector<Term<C>> terms;
  C sums[chunk];
  T rounded[block * chunk];
  for (int64_t first = begin; first < end; first += block) {
    const int64_t last = std::min(first + block, end);
    for (int64_t l = 0; l < lanes; l += chunk) {
      const int64_t count = std::min(chunk, lanes - l);
      for (int64_t r = first; r < last; ++r) {
        // again for each stretch of lanes: that costs less than to keep it for all rows of a block
        const int64_t start = a.list.start[r], synapses = a.list.start[r + 1] - start;
        const H* data = static_cast<const H*>(a.data) + l;
        if (a.slot) {
          if (int64_t(terms.size()) < synapses) terms.resize(synapses);
          lay_out<T, Slot>(a, offsets, start, start + synapses, terms.data());
          sum_terms(static_cast<const Term<C>*>(terms.data()), synapses, data, a.scale, C(a.overbound), count, sums);
        } else {
          const Undelayed<T> listed{static_cast<const T*>(a.weight) + start, a.list.partner + start, a.partner_stride};
          sum_terms(listed, synapses, data, a.scale, C(0), count, sums);
        }
        T* to = rounded + (r - first) * chunk;
        for (int64_t k = 0; k < count; ++k) to[k] = store<T>(bias ? sums[k] + load(bias[r]) : sums[k]);
      }
      transpose(rounded, chunk, static_cast<T*>(a.out) + l * rows + first, rows, last - first, count);
    }
  }
}

// A single lane.
template <class H, class T, class Slot, bool Slots, bool Factors, class C = Compute<T>>
class Lane {
 public:
  explicit Lane(const SparseSumArgs& a)
      : a_(a),
        offsets_(a),
        data_(static_cast<const H*>(a.data)),
        weight_(static_cast<const T*>(a.weight)),
        slot_(static_cast<const Slot*>(a.slot)),
        partner_(a.list.partner),
        stride_(a.partner_stride),
        slots_(a.slots),
        spikes_{C(0), C(a.scale)} {}

  // The sum with the k-th synapse.
  INFERNO_HD C add(int64_t k, C sum) const {
    const H* from = data_ + partner_[k] * stride_;
    if constexpr (!Slots) {
      return sum + load(weight_[k]) * value(*from);
    } else if constexpr (Factors) {
      const SparseTap<C> tap = sparse_tap<T, Slot, false>(a_, k);
      if (tap.age == slots_) return sum + tap.weight * C(a_.overbound);
      C z = value(from[offsets_[tap.age]]);
      if (tap.second > C(0)) z = blend_linear(z, value(from[offsets_[tap.age - 1]]), tap.second);
      return sum + tap.weight * z;
    } else {
      const int32_t age = int32_t(slot_[k]);
      return sum + load(weight_[k]) * (age == slots_ ? C(a_.overbound) : value(from[offsets_[age]]));
    }
  }

 private:
  INFERNO_HD C value(H sample) const {
    if constexpr (std::is_same_v<H, Bool>)
      return spikes_[sample.value != 0];  // no branch, which nothing could predict
    else
      return load(sample);
  }

  const SparseSumArgs& a_;
  const Offsets<Slot> offsets_;
  const H* data_;
  const T* weight_;
  const Slot* slot_;
  const int32_t* partner_;
  int64_t stride_, slots_;
  C spikes_[2];
};

// Some rows side by side, whose sums do not wait for each other.
template <class H, class T, class Slot, bool Slots, bool Factors, class C = Compute<T>>
void sum_single(const SparseSumArgs& a, int64_t begin, int64_t end) {
  constexpr int together = 4;
  const Lane<H, T, Slot, Slots, Factors> lane(a);
  const T* bias = static_cast<const T*>(a.bias);
  for (int64_t first = begin; first < end; first += together) {
    const int rows = int(std::min(int64_t(together), end - first));
    int64_t at[together] = {}, ends[together] = {}, shortest = rows < together ? 0 : a.list.start[a.list.rows];
    for (int r = 0; r < rows; ++r) {
      at[r] = a.list.start[first + r];
      ends[r] = a.list.start[first + r + 1];
      shortest = std::min(shortest, ends[r] - at[r]);
    }
    C sum[together] = {};
    for (int64_t k = 0; k < shortest; ++k)
      for (int r = 0; r < together; ++r) sum[r] = lane.add(at[r] + k, sum[r]);
    for (int r = 0; r < rows; ++r) {
      for (int64_t k = at[r] + shortest; k < ends[r]; ++k) sum[r] = lane.add(k, sum[r]);
      static_cast<T*>(a.out)[first + r] = store<T>(bias ? sum[r] + load(bias[first + r]) : sum[r]);
    }
  }
}

template <class H, class T, class Slot>
void sum(const SparseSumArgs& a, int64_t begin, int64_t end) {
  if (a.steps * a.batch > 1) return sum_rows<H, T, Slot>(a, begin, end);
  if (!a.slot) return sum_single<H, T, Slot, false, false>(a, begin, end);
  a.factor ? sum_single<H, T, Slot, true, true>(a, begin, end) : sum_single<H, T, Slot, true, false>(a, begin, end);
}

}  // namespace

void sparse_sum_cpu(const SparseSumArgs& a, int64_t begin, int64_t end) {
  begin = row_of_item(a.list, begin);
  end = row_of_item(a.list, end);
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    if (a.bool_data)
      a.byte_slots ? sum<Bool, T, uint8_t>(a, begin, end) : sum<Bool, T, int32_t>(a, begin, end);
    else
      a.byte_slots ? sum<T, T, uint8_t>(a, begin, end) : sum<T, T, int32_t>(a, begin, end);
  });
}

}  // namespace inferno
