// Part of a sequence laid out for the loops over it: every element of the observation with its times one after another,
// a few items of the batch innermost.
#pragma once
#include <algorithm>
#include <type_traits>
#include <vector>

#include "core/delayed_run.h"
#include "cpu/clones.h"
#include "cpu/transpose.h"

namespace inferno {
namespace {

constexpr int64_t vector_bytes = 32;
constexpr int vectors_at_once = 8;
constexpr int64_t unit_elements = 2048;      // of a sum: times and items of the batch
constexpr int64_t cached_bytes = 256 << 10;  // of a tile
constexpr int64_t sums_bytes = 2 << 20;
constexpr int64_t max_channels = 256;  // of targets whose sums share a tile

template <class C>
constexpr int64_t width = vector_bytes / int64_t(sizeof(C));

template <class C>
constexpr int64_t round_up(int64_t count) {
  return (count + width<C> - 1) / width<C> * width<C>;
}

template <class C, int64_t Width>
struct VectorOf {
  typedef C type __attribute__((vector_size(Width * sizeof(C)), aligned(sizeof(C)), may_alias));
};
template <class C>
using Vector = typename VectorOf<C, width<C>>::type;

template <class C>
INFERNO_HD Vector<C> vector_at(const C* from) {
  return *reinterpret_cast<const Vector<C>*>(from);
}

// Some times of some items of the batch.
struct Unit {
  int64_t batch, lanes;  // items
  Span times;
  int64_t elements() const { return lanes * times.size(); }
};

// The units of a sequence of `times`, in lanes that fill a vector as long as there are enough.
struct Units {
  int64_t batch, times, lanes, chunks, parts;

  template <class C>
  static Units of(int64_t batch, int64_t times) {
    const int64_t lanes = std::min(batch, width<C>);
    if (batch == 0 || times == 0) return {batch, times, 1, 0, 1};
    const int64_t longest = std::max(unit_elements / lanes, int64_t(1));
    return {batch, times, lanes, (batch + lanes - 1) / lanes, (times + longest - 1) / longest};
  }

  int64_t count() const { return chunks * parts; }

  Unit at(int64_t unit) const {
    const int64_t begin = unit / parts * lanes, part = unit % parts, size = (times + parts - 1) / parts;
    return {begin, std::min(lanes, batch - begin), {std::min(part * size, times), std::min((part + 1) * size, times)}};
  }
};

// Calls f(unit, span of channels) for the items [begin, end) of units times channels.
template <class F>
void for_units(const Units& units, int64_t channels, int64_t begin, int64_t end, F&& f) {
  while (begin < end) {
    const int64_t unit = begin / channels, first = begin % channels;
    const int64_t last = std::min(channels, first + (end - begin));
    f(units.at(unit), Span{first, last});
    begin += last - first;
  }
}

template <class H, class C>
INFERNO_HD void copy_lines(const H* from, int64_t from_line, int64_t from_item, int64_t lines, int64_t items, C* to,
                           int64_t to_item, double scale) {
  for (int64_t i = 0; i < items; ++i)
    for (int64_t line = 0; line < lines; ++line)
      to[i * to_item + line] = sample_value<H, C>(from[line * from_line + i * from_item], scale);
}

// Elements [rest, rest + count) of the times [first, first + times) to rows `length` apart; 0 before and after the
// sequence, which has `size` times.
template <class H, class C>
void pack(const Sequence& q, int64_t size, const Unit& unit, int64_t first, int64_t times, int64_t rest, int64_t count,
          double scale, C* to, int64_t length) {
  const int64_t lanes = unit.lanes;
  const Span there{std::clamp(-first, int64_t(0), times), std::clamp(size - first, int64_t(0), times)};
  for (int64_t i = 0; i < count; ++i) {
    std::fill(to + i * length, to + i * length + there.begin * lanes, C(0));
    std::fill(to + i * length + there.end * lanes, to + (i + 1) * length, C(0));
  }
  const bool merged = lanes == 1 || q.time_stride == lanes * q.batch_stride;
  const int64_t line_stride = lanes == 1 ? q.time_stride : q.batch_stride;
  const int64_t lines = merged ? lanes * there.size() : lanes;
  for (int64_t time = there.begin; time < there.end; time += merged ? there.size() : 1) {
    const H* from = static_cast<const H*>(q.data) + (first + time) * q.time_stride + unit.batch * q.batch_stride +
                    rest * q.rest_stride;
    C* at = to + time * lanes;
    if constexpr (std::is_same_v<H, C>)
      if (q.rest_stride == 1) {
        transpose(from, line_stride, at, length, lines, count);
        continue;
      }
    copy_lines(from, line_stride, q.rest_stride, lines, count, at, length, scale);
  }
}

// The transpose of pack for sums: of one channel, targets [rest, rest + count), with the bias.
template <class T, class C>
void unpack(const C* from, int64_t length, const Unit& unit, T* out, int64_t batch, int64_t rests, int64_t rest,
            int64_t count) {
  for (int64_t time = unit.times.begin; time < unit.times.end; ++time, from += unit.lanes) {
    T* to = out + (time * batch + unit.batch) * rests + rest;
    if constexpr (std::is_same_v<T, C>)
      transpose(from, length, to, rests, count, unit.lanes);
    else
      for (int64_t b = 0; b < unit.lanes; ++b)
        for (int64_t i = 0; i < count; ++i) to[b * rests + i] = store<T>(from[i * length + b]);
  }
}

// The elements of one side of a map that are laid out together: of the channels, the pixels of a rectangle.
struct Box {
  Span channels, rows, columns;
  int64_t size() const { return channels.size() * rows.size() * columns.size(); }
  int64_t at(int64_t channel, int64_t row, int64_t column) const {
    return ((channel - channels.begin) * rows.size() + row - rows.begin) * columns.size() + column - columns.begin;
  }
};

template <class H, class C>
void pack_box(const Sequence& q, int64_t size, const Unit& unit, int64_t first, int64_t times, const Box& box,
              int64_t height, int64_t breadth, double scale, C* to, int64_t length) {
  if (height * breadth == 1)
    return pack<H>(q, size, unit, first, times, box.channels.begin, box.channels.size(), scale, to, length);
  for (int64_t channel = box.channels.begin; channel < box.channels.end; ++channel)
    for (int64_t row = box.rows.begin; row < box.rows.end; ++row, to += box.columns.size() * length)
      pack<H>(q, size, unit, first, times, (channel * height + row) * breadth + box.columns.begin, box.columns.size(),
              scale, to, length);
}

}  // namespace
}  // namespace inferno
