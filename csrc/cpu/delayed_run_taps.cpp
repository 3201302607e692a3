// Gradients of delayed sums with respect to weights and delays come from correlations: for each synapse the sum, over
// times, batch and places, of the gradient of its output times the samples that its delay finds. Sums are kept lane by
// lane of a vector and added in a fixed order: the same result for any number of threads.
#include "cpu/run_tile.h"

namespace inferno {
namespace {

struct Pair {
  int64_t grad, sample;  // where the two stretches of memory begin that are multiplied
};

constexpr int at_once = 4;  // vectors, whose sums do not wait for each other

template <class C>
struct Sums {
  Vector<C> older[at_once] = {}, newer[at_once] = {};
  C older_rest = 0, newer_rest = 0;
};

template <class C>
INFERNO_HD C total(const Vector<C>* sums, C rest) {
  const Vector<C> all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  C sum = rest;
  for (int64_t lane = 0; lane < width<C>; ++lane) sum = sum + all[lane];
  return sum;
}

template <class C, bool Newer>
INFERNO_HD void multiply(const C* g, const C* x, int64_t apart, int64_t vectors, Sums<C>& sums) {
  for (int64_t v = 0; v < vectors; ++v) {
    const Vector<C> grad = vector_at(g + v * width<C>);
    sums.older[v] = sums.older[v] + grad * vector_at(x + v * width<C>);
    if (Newer) sums.newer[v] = sums.newer[v] + grad * vector_at(x + v * width<C> + apart);
  }
}

template <class C, bool Newer>
INFERNO_HD void add_pair(const C* g, const C* x, int64_t apart, int64_t elements, Sums<C>& sums) {
  constexpr int64_t block = at_once * width<C>;
  int64_t k = 0;
  for (; k + block <= elements; k += block) multiply<C, Newer>(g + k, x + k, apart, at_once, sums);
  for (; k + width<C> <= elements; k += width<C>) multiply<C, Newer>(g + k, x + k, apart, 1, sums);
  for (; k < elements; ++k) {
    sums.older_rest = sums.older_rest + g[k] * x[k];
    if (Newer) sums.newer_rest = sums.newer_rest + g[k] * x[k + apart];
  }
}

// older[s] += the products of the pairs before ends[s] and behind ends[s - 1].
template <class C, bool Newer>
INFERNO_HD void correlate_all(const C* grads, const C* samples, const Pair* pairs, const int64_t* ends,
                              int64_t synapses, int64_t apart, int64_t elements, C* older, C* newer) {
  int64_t p = 0;
  for (int64_t s = 0; s < synapses; ++s) {
    Sums<C> sums;
    for (; p < ends[s]; ++p)
      add_pair<C, Newer>(grads + pairs[p].grad, samples + pairs[p].sample, apart, elements, sums);
    older[s] = older[s] + total(sums.older, sums.older_rest);
    if (Newer) newer[s] = newer[s] + total(sums.newer, sums.newer_rest);
  }
}

#define INFERNO_CORRELATE(C)                                                                               \
  INFERNO_CLONES void correlate(const C* grads, const C* samples, const Pair* pairs, const int64_t* ends,  \
                                int64_t synapses, int64_t apart, int64_t elements, C* older, C* newer) {   \
    newer ? correlate_all<C, true>(grads, samples, pairs, ends, synapses, apart, elements, older, newer)   \
          : correlate_all<C, false>(grads, samples, pairs, ends, synapses, apart, elements, older, newer); \
  }
INFERNO_CORRELATE(float)
INFERNO_CORRELATE(double)
#undef INFERNO_CORRELATE

// Adds the correlations of some filters in one unit.
template <class H, class T, class Slot, class C = Compute<T>>
class UnitTaps {
 public:
  UnitTaps(const DelayedRunArgs& a, const Unit& unit)
      : a_(a),
        unit_(unit),
        times_(unit.times.size() + a.slots - 1),
        length_(round_up<C>((times_ + 1) * unit.lanes) + width<C>),
        grad_length_(round_up<C>(unit.elements())) {}

  void run(const Span& filters) {
    // From all filters, not from those of this thread: a stretch's terms are added before they join the others.
    const int64_t row_bytes = std::min(a_.filters, max_channels) * grad_length_ * int64_t(sizeof(C));
    const int64_t stretch = std::max(sums_bytes / std::max(row_bytes, int64_t(1)), int64_t(1));
    for (int64_t row = 0; row < a_.rows.output; ++row)
      for (int64_t column = 0; column < a_.columns.output; column += stretch)
        run_stretch({filters, {row, row + 1}, {column, std::min(column + stretch, a_.columns.output)}});
  }

 private:
  using Map = Side<false>;

  void run_stretch(const Box& places) {
    grads_.resize(places.size() * grad_length_);
    pack_box<T>(a_.grad, a_.steps, unit_, unit_.times.begin, unit_.times.size(), places, a_.rows.output,
                a_.columns.output, 1, grads_.data(), grad_length_);
    const Span all = a_.direct ? places.channels : Span{0, a_.channels};
    Box pixels{all, Map::reach(a_.rows, places.rows), Map::reach(a_.columns, places.columns)};
    const int64_t channel_bytes = pixels.rows.size() * pixels.columns.size() * length_ * int64_t(sizeof(C));
    const int64_t channels = std::max(cached_bytes / std::max(channel_bytes, int64_t(1)), int64_t(1));
    for (int64_t c = all.begin; c < all.end && channel_bytes > 0; c += channels) {
      pixels.channels = {c, std::min(c + channels, all.end)};
      lay_out(pixels);
      const Span filters = a_.direct ? pixels.channels : places.channels;
      for (int64_t filter = filters.begin; filter < filters.end; ++filter) add(pixels, places, filter);
    }
  }

  void lay_out(const Box& pixels) {
    tile_.resize((pixels.size() + 1) * length_);
    pack_box<H>(a_.series, a_.slots - 1 + a_.steps, unit_, unit_.times.begin, times_, pixels, a_.rows.input,
                a_.columns.input, a_.scale, tile_.data(), length_);
    outside_ = pixels.size() * length_;
    std::fill(tile_.begin() + outside_, tile_.end(), C(a_.overbound));
  }

  void add(const Box& pixels, const Box& places, int64_t filter) {
    const Span channels = a_.direct ? Span{filter, filter + 1} : pixels.channels;
    const int64_t first = Map::synapse(a_, filter, a_.direct ? 0 : channels.begin, 0);
    pairs_.clear();
    ends_.clear();
    int64_t synapse = first;
    for (int64_t channel = channels.begin; channel < channels.end; ++channel)
      for (int64_t ky = 0; ky < a_.rows.kernel; ++ky)
        for (int64_t kx = 0; kx < a_.columns.kernel; ++kx, ++synapse) {
          collect(pixels, places, filter, channel, ky, kx, synapse);
          ends_.push_back(int64_t(pairs_.size()));
        }
    C* newer = static_cast<C*>(a_.newer);
    correlate(grads_.data(), tile_.data(), pairs_.data(), ends_.data(), synapse - first, unit_.lanes, unit_.elements(),
              static_cast<C*>(a_.older) + first, newer ? newer + first : nullptr);
  }

  void collect(const Box& pixels, const Box& places, int64_t filter, int64_t channel, int64_t ky, int64_t kx,
               int64_t synapse) {
    const int64_t row = places.rows.begin, y = Map::source(a_.rows, row, ky);
    if (y < 0) return;
    const int64_t age = int64_t(static_cast<const Slot*>(a_.slot)[synapse]);
    const int64_t time = (a_.slots - 1 - age) * unit_.lanes;
    for (int64_t column = places.columns.begin; column < places.columns.end; ++column) {
      const int64_t x = Map::source(a_.columns, column, kx);
      if (x < 0) continue;
      pairs_.push_back({places.at(filter, row, column) * grad_length_,
                        age == a_.slots ? outside_ : pixels.at(channel, y, x) * length_ + time});
    }
  }

  const DelayedRunArgs& a_;
  const Unit unit_;
  const int64_t times_;
  const int64_t length_, grad_length_;  // of rows of the tile and of the gradients
  int64_t outside_ = 0;                 // where the tile has the value of delays out of range
  std::vector<C> tile_, grads_;
  std::vector<Pair> pairs_;
  std::vector<int64_t> ends_;
};

template <class C>
void clear(const DelayedRunArgs& a, void* sums, const Span& filters) {
  const int64_t terms = (a.direct ? 1 : a.channels) * a.rows.kernel * a.columns.kernel;
  if (sums) std::fill(static_cast<C*>(sums) + filters.begin * terms, static_cast<C*>(sums) + filters.end * terms, C(0));
}

}  // namespace

void delayed_run_taps_cpu(const DelayedRunArgs& a, int64_t begin, int64_t end) {
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    using C = Compute<T>;
    const Units units = Units::of<C>(a.batch, a.steps);
    const auto run = [&](auto stored, auto slot) {
      for (int64_t f = begin; f < end; f += max_channels) {
        const Span filters{f, std::min(f + max_channels, end)};
        clear<C>(a, a.older, filters);
        clear<C>(a, a.newer, filters);
        for (int64_t unit = 0; unit < units.count(); ++unit)
          UnitTaps<decltype(stored), T, decltype(slot)>(a, units.at(unit)).run(filters);
      }
    };
    const auto stored = [&](auto slot) { a.bool_series ? run(Bool{}, slot) : run(scalar, slot); };
    a.byte_slots ? stored(uint8_t{}) : stored(int32_t{});
  });
}

}  // namespace inferno
