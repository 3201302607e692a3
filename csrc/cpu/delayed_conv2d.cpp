// Convolution over pixels, each tap of each filter with a delay of its own. The history is read where it lies: a row of
// a filter's output stays in the cache while every tap adds a run of memory, neighbouring pixels and the batch, to it.
#include <vector>

#include "cpu/add_taps.h"

namespace inferno {
namespace {

constexpr int64_t cached_sums = 4096;

// Sums of one filter at the places [begin, end) of a row.
template <class H, class C>
class Row {
 public:
  Row(const DelayedConv2dArgs& a, const Samples<H, C>& samples, int64_t begin, int64_t end, C* sums)
      : a_(a), samples_(samples), begin_(begin), end_(end), sums_(sums) {
    std::fill(sums, sums + (end - begin) * a.ring.batch, C(0));
  }

  // `element` is the pixel that the tap would see at place 0 of the row, `inside` where it sees one at all.
  void add(const Tap<C>& tap, const Places& inside, int64_t element) {
    const Places at{std::max(inside.begin, begin_), std::min(inside.end, end_)};
    if (at.begin >= at.end) return;
    if (!samples_.is_plain(tap)) {
      flush();
      return samples_.add(sums(at.begin), tap, element + at.begin * step(), run(at));
    }
    held_[held_count_++] = {tap, at, element};
    if (held_count_ == taps_at_once) flush();
  }

  // Adds the taps that wait to be added together: so where all of them see pixels, in order elsewhere.
  void flush() {
    Places all{begin_, end_};
    for (int t = 0; t < held_count_; ++t)
      all = {std::max(all.begin, held_[t].at.begin), std::min(all.end, held_[t].at.end)};
    all.end = std::max(all.begin, all.end);
    for (int t = 0; t < held_count_; ++t) {
      add_part(t, {held_[t].at.begin, std::min(all.begin, held_[t].at.end)});
      add_part(t, {std::max(all.end, held_[t].at.begin), held_[t].at.end});
    }
    if (all.begin < all.end) add_together(all);
    held_count_ = 0;
  }

 private:
  struct Held {
    Tap<C> tap;
    Places at;
    int64_t element;
  };

  int64_t step() const { return a_.columns.stride * a_.columns.pixel_stride; }
  C* sums(int64_t place) const { return sums_ + (place - begin_) * a_.ring.batch; }

  // The samples of a tap at some places: one stretch of memory where the layout allows.
  Run run(const Places& at) const {
    const int64_t places = at.end - at.begin, batch = a_.ring.batch;
    if (batch == 1) return {1, 0, places, step()};
    if (a_.ring.batch_stride == 1 && step() == batch) return {1, 0, places * batch, 1};
    return {places, step(), batch, a_.ring.batch_stride};
  }

  void add_part(int t, const Places& at) const {
    if (at.begin < at.end) samples_.add(sums(at.begin), held_[t].tap, held_[t].element + at.begin * step(), run(at));
  }

  void add_together(const Places& at) const {
    const H* from[taps_at_once];
    C weight[taps_at_once];
    for (int t = 0; t < held_count_; ++t) {
      from[t] = samples_.at(held_[t].tap.age, held_[t].element + at.begin * step());
      weight[t] = held_[t].tap.weight;
    }
    add_taps(sums(at.begin), from, held_count_, run(at), weight, a_.scale);
  }

  const DelayedConv2dArgs& a_;
  const Samples<H, C>& samples_;
  const int64_t begin_, end_;
  C* const sums_;
  Held held_[taps_at_once];
  int held_count_ = 0;
};

template <class T, class Slot, class H, class C>
void add_filter(const DelayedConv2dArgs& a, int64_t filter, int64_t y, const std::vector<Places>& inside,
                Row<H, C>& row) {
  const ConvAxis &rows = a.rows, &columns = a.columns;
  int64_t synapse = filter * a.channels * rows.kernel * columns.kernel;
  for (int64_t channel = 0; channel < a.channels; ++channel)
    for (int64_t ky = 0; ky < rows.kernel; ++ky) {
      const int64_t pixel = y * rows.stride - rows.padding + ky * rows.dilation;
      if (pixel < 0 || pixel >= rows.input) {
        synapse += columns.kernel;
        continue;
      }
      const int64_t line = channel * a.channel_stride + pixel * rows.pixel_stride;
      for (int64_t kx = 0; kx < columns.kernel; ++kx, ++synapse)
        row.add(tap_of<T, Slot>(a, synapse), inside[kx],
                line + (kx * columns.dilation - columns.padding) * columns.pixel_stride);
    }
  row.flush();
}

template <class T, class C>
void write(const DelayedConv2dArgs& a, int64_t filter, int64_t y, int64_t begin, int64_t end, const C* sums) {
  const bool biased = a.bias != nullptr;
  const C bias = biased ? load(static_cast<const T*>(a.bias)[filter]) : C(0);
  for (int64_t b = 0; b < a.ring.batch; ++b) {
    T* out = static_cast<T*>(a.out) + ((b * a.outputs + filter) * a.rows.output + y) * a.columns.output;
    for (int64_t x = begin; x < end; ++x) {
      const C sum = sums[(x - begin) * a.ring.batch + b];
      out[x] = store<T>(biased ? sum + bias : sum);
    }
  }
}

template <class H, class T, class Slot, class C = Compute<T>>
void conv_rows(const DelayedConv2dArgs& a, int64_t begin, int64_t end) {
  const Samples<H, C> samples(a);
  const int64_t stretch = std::clamp(cached_sums / a.ring.batch, int64_t(1), a.columns.output);  // places
  std::vector<C> sums(stretch * a.ring.batch);
  std::vector<Places> inside;
  for (int64_t kx = 0; kx < a.columns.kernel; ++kx) inside.push_back(places_inside(a.columns, kx));
  for (int64_t item = begin; item < end; ++item) {
    const int64_t filter = item / a.rows.output, y = item % a.rows.output;
    for (int64_t x = 0; x < a.columns.output; x += stretch) {
      const int64_t x_end = std::min(x + stretch, a.columns.output);
      Row<H, C> row(a, samples, x, x_end, sums.data());
      add_filter<T, Slot>(a, filter, y, inside, row);
      write<T>(a, filter, y, x, x_end, sums.data());
    }
  }
}

}  // namespace

void delayed_conv2d_cpu(const DelayedConv2dArgs& a, int64_t begin, int64_t end) {
  if (a.ring.batch == 0 || a.columns.output == 0) return;
  dispatch_synapses(a, [&](auto scalar, auto slot) {
    using T = decltype(scalar);
    dispatch_history<T>(a, [&](auto sample) { conv_rows<decltype(sample), T, decltype(slot)>(a, begin, end); });
  });
}

}  // namespace inferno
