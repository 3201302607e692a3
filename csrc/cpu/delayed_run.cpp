// Delayed sums of all steps of a sequence. With time and batch innermost a term adds one stretch of memory to another,
// so weights and delays are read once for all times of a unit, and a vector runs over times where the batch is small. A
// tile of sources stays in the cache while the targets sum over it, in registers. Terms are added in ascending order,
// one rounded product at a time, as csrc/cpu/delayed_dense.cpp does for a step.
#include "cpu/run_tile.h"

namespace inferno {
namespace {

template <class C>
struct Term {
  C weight, second;  // see RunTap
  int64_t from;      // the first sample, in the tile
};

enum class Taps { one, blended, two };  // samples of a term: blended forward, two of their own in the gradient

// Adds terms of one sample, from the term j on; the first term of another kind.
template <class C, int Vectors>
INFERNO_HD int64_t add_single(const Term<C>* terms, int64_t j, int64_t count, const C* tile, Vector<C>* sum) {
  do {
    const C* x = tile + terms[j].from;
    for (int v = 0; v < Vectors; ++v) sum[v] = sum[v] + terms[j].weight * vector_at(x + v * width<C>);
  } while (++j < count && !(terms[j].second != C(0)));
  return j;
}

// Adds terms of two samples, which lie `apart`: a vector if that is known, each then is loaded once.
template <class C, int Vectors, Taps taps, bool VectorApart>
INFERNO_HD int64_t add_double(const Term<C>* terms, int64_t j, int64_t count, const C* tile, int64_t apart,
                              Vector<C>* sum) {
  constexpr int64_t w = width<C>;
  do {
    const Term<C> t = terms[j];
    const C* x = tile + t.from;
    Vector<C> first = vector_at(x);
    for (int v = 0; v < Vectors; ++v) {
      if (!VectorApart) first = vector_at(x + v * w);
      const Vector<C> next = vector_at(x + v * w + (VectorApart ? w : apart));
      if (taps == Taps::blended)
        sum[v] = sum[v] + t.weight * (first + (next - first) * t.second);
      else
        sum[v] = sum[v] + (t.second * first + t.weight * next);
      first = next;
    }
  } while (++j < count && terms[j].second != C(0));
  return j;
}

// sums += the terms, for a few vectors.
template <class C, int Vectors, Taps taps, bool VectorApart>
INFERNO_HD void add_terms(const Term<C>* terms, int64_t count, const C* tile, int64_t apart, C* sums) {
  Vector<C> sum[Vectors];
  for (int v = 0; v < Vectors; ++v) sum[v] = vector_at(sums + v * width<C>);
  for (int64_t j = 0; j < count;)
    if (taps == Taps::one || !(terms[j].second != C(0)))
      j = add_single<C, Vectors>(terms, j, count, tile, sum);
    else
      j = add_double<C, Vectors, taps, VectorApart>(terms, j, count, tile, apart, sum);
  for (int v = 0; v < Vectors; ++v) *reinterpret_cast<Vector<C>*>(sums + v * width<C>) = sum[v];
}

template <class C, Taps taps, bool VectorApart>
INFERNO_HD void add_to_all(const Term<C>* terms, int64_t count, const C* tile, int64_t apart, int64_t elements,
                           C* sums) {
  constexpr int64_t block = vectors_at_once * width<C>;
  int64_t k = 0;
  for (; k + block <= elements; k += block)
    add_terms<C, vectors_at_once, taps, VectorApart>(terms, count, tile + k, apart, sums + k);
  for (; k < elements; k += width<C>) add_terms<C, 1, taps, VectorApart>(terms, count, tile + k, apart, sums + k);
}

template <class C, Taps taps>
INFERNO_HD void add_apart(const Term<C>* terms, int64_t count, const C* tile, int64_t apart, int64_t elements,
                          C* sums) {
  apart == width<C> ? add_to_all<C, taps, true>(terms, count, tile, apart, elements, sums)
                    : add_to_all<C, taps, false>(terms, count, tile, apart, elements, sums);
}

#define INFERNO_ADD_ALL(C)                                                                                   \
  INFERNO_CLONES void add_all(Taps taps, const Term<C>* terms, int64_t count, const C* tile, int64_t apart,  \
                              int64_t elements, C* sums) {                                                   \
    if (taps == Taps::one) return add_to_all<C, Taps::one, true>(terms, count, tile, apart, elements, sums); \
    taps == Taps::blended ? add_apart<C, Taps::blended>(terms, count, tile, apart, elements, sums)           \
                          : add_apart<C, Taps::two>(terms, count, tile, apart, elements, sums);              \
  }
INFERNO_ADD_ALL(float)
INFERNO_ADD_ALL(double)
#undef INFERNO_ADD_ALL

// The sums of one unit: of some target channels, over all sources. H is what the sources are stored as.
template <class H, class T, class Slot, bool Transposed, class C = Compute<T>>
class UnitSums {
 public:
  UnitSums(const DelayedRunArgs& a, const Unit& unit)
      : a_(a),
        unit_(unit),
        source_(Transposed ? a.grad : a.series),
        source_times_(Transposed ? a.steps : a.slots - 1 + a.steps),
        first_(unit.times.begin - (Transposed ? a.slots - 1 : 0)),
        times_(unit.times.size() + a.slots - 1),
        length_(round_up<C>(times_ * unit.lanes) + width<C> + round_up<C>(unit.lanes)),
        elements_(round_up<C>(unit.elements())) {}

  void run(const Span& targets) {
    const Span rows{0, Map::targets(a_.rows)}, columns{0, Map::targets(a_.columns)};
    const int64_t row_bytes = targets.size() * elements_ * int64_t(sizeof(C));
    const int64_t stretch = std::max(sums_bytes / row_bytes, int64_t(1));
    for (int64_t row = rows.begin; row < rows.end; ++row)
      for (int64_t column = 0; column < columns.end; column += stretch)
        run_stretch({targets, {row, row + 1}, {column, std::min(column + stretch, columns.end)}});
  }

 private:
  using Map = Side<Transposed>;

  void run_stretch(const Box& targets) {
    sums_.assign(targets.size() * elements_, C(0));
    const Span all = a_.direct ? targets.channels : Span{0, Transposed ? a_.filters : a_.channels};
    Box sources{all, Map::reach(a_.rows, targets.rows), Map::reach(a_.columns, targets.columns)};
    const int64_t channel_bytes = sources.rows.size() * sources.columns.size() * length_ * int64_t(sizeof(C));
    const int64_t channels = std::max(cached_bytes / std::max(channel_bytes, int64_t(1)), int64_t(1));
    for (int64_t c = all.begin; c < all.end && channel_bytes > 0; c += channels) {
      sources.channels = {c, std::min(c + channels, all.end)};
      lay_out(sources);
      add(sources, targets);
    }
    write(targets);
  }

  void lay_out(const Box& sources) {
    tile_.resize((sources.size() + 1) * length_);
    pack_box<H>(source_, source_times_, unit_, first_, times_, sources, Map::sources(a_.rows), Map::sources(a_.columns),
                a_.scale, tile_.data(), length_);
    outside_ = sources.size() * length_;
    if (!Transposed) std::fill(tile_.begin() + outside_, tile_.end(), C(a_.overbound));
  }

  void add(const Box& sources, const Box& targets) {
    const Taps taps = !a_.linear || !a_.factor ? Taps::one : Transposed ? Taps::two : Taps::blended;
    const Span channels = a_.direct ? sources.channels : targets.channels;
    for (int64_t channel = channels.begin; channel < channels.end; ++channel)
      for (int64_t column = targets.columns.begin; column < targets.columns.end; ++column) {
        terms_.clear();
        collect(sources, channel, targets.rows.begin, column);
        C* sums = sums_.data() + targets.at(channel, targets.rows.begin, column) * elements_;
        add_all(taps, terms_.data(), int64_t(terms_.size()), tile_.data(), unit_.lanes, elements_, sums);
      }
  }

  void collect(const Box& sources, int64_t target, int64_t row, int64_t column) {
    const Span all = a_.direct ? Span{target, target + 1} : sources.channels;
    for (int64_t channel = all.begin; channel < all.end; ++channel)
      for (int64_t ky = 0, tap = 0; ky < a_.rows.kernel; ++ky) {
        const int64_t y = Map::source(a_.rows, row, ky);
        for (int64_t kx = 0; kx < a_.columns.kernel; ++kx, ++tap) {
          const int64_t x = y < 0 ? -1 : Map::source(a_.columns, column, kx);
          if (x >= 0) push(Map::synapse(a_, target, channel, tap), sources.at(channel, y, x) * length_);
        }
      }
  }

  // With two samples a term begins at the earlier one in memory: forward the older, in the gradient the newer.
  void push(int64_t synapse, int64_t row) {
    const RunTap<C> tap = run_tap<T, Slot, Transposed>(a_, synapse);
    if (tap.age == a_.slots) {
      if (!Transposed) terms_.push_back({tap.weight, C(0), outside_});
      return;
    }
    const int64_t before = Transposed && tap.second != C(0) ? 1 : 0;
    terms_.push_back({tap.weight, tap.second, row + (Map::steps(a_, tap.age) - before) * unit_.lanes});
  }

  void write(const Box& targets) {
    const int64_t breadth = Map::targets(a_.columns), plane = Map::targets(a_.rows) * breadth;
    const int64_t rests = (Transposed ? a_.channels : a_.filters) * plane;
    if (!Transposed && a_.bias) add_bias(targets);
    T* out = static_cast<T*>(a_.out);
    if (plane == 1)
      return unpack(sums_.data(), elements_, unit_, out, a_.batch, rests, targets.channels.begin, targets.size());
    for (int64_t channel = targets.channels.begin; channel < targets.channels.end; ++channel)
      unpack(sums_.data() + targets.at(channel, targets.rows.begin, targets.columns.begin) * elements_, elements_,
             unit_, out, a_.batch, rests, channel * plane + targets.rows.begin * breadth + targets.columns.begin,
             targets.columns.size());
  }

  void add_bias(const Box& targets) {
    C* sums = sums_.data();
    const int64_t each = targets.columns.size() * elements_;
    for (int64_t channel = targets.channels.begin; channel < targets.channels.end; ++channel, sums += each) {
      const C bias = load(static_cast<const T*>(a_.bias)[channel]);
      for (int64_t k = 0; k < each; ++k) sums[k] = sums[k] + bias;
    }
  }

  const DelayedRunArgs& a_;
  const Unit unit_;
  const Sequence source_;
  const int64_t source_times_, first_, times_;
  const int64_t length_, elements_;  // of a row of the tile, of the sums of a target
  int64_t outside_ = 0;              // where the tile has the value of delays out of range
  std::vector<C> tile_, sums_;
  std::vector<Term<C>> terms_;
};

// Items are units times target channels.
template <bool Transposed>
void run_sums(const DelayedRunArgs& a, int64_t begin, int64_t end) {
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    const auto run = [&](auto stored, auto slot) {
      using H = decltype(stored);
      using Slot = decltype(slot);
      const Units units = Units::of<Compute<T>>(a.batch, a.steps + (Transposed ? a.slots - 1 : 0));
      for_units(units, Transposed ? a.channels : a.filters, begin, end, [&](const Unit& unit, const Span& channels) {
        UnitSums<H, T, Slot, Transposed> sums(a, unit);
        for (int64_t c = channels.begin; c < channels.end; c += max_channels)
          sums.run({c, std::min(c + max_channels, channels.end)});
      });
    };
    const auto stored = [&](auto slot) {
      if constexpr (!Transposed)
        if (a.bool_series) return run(Bool{}, slot);
      run(scalar, slot);
    };
    a.byte_slots ? stored(uint8_t{}) : stored(int32_t{});
  });
}

}  // namespace

int64_t delayed_run_units(const DelayedRunArgs& a, int64_t times) {
  return a.type == Scalar::f64 ? Units::of<double>(a.batch, times).count() : Units::of<float>(a.batch, times).count();
}

void delayed_run_cpu(const DelayedRunArgs& a, int64_t begin, int64_t end) { run_sums<false>(a, begin, end); }

void delayed_run_series_cpu(const DelayedRunArgs& a, int64_t begin, int64_t end) { run_sums<true>(a, begin, end); }

}  // namespace inferno
