#include "core/draw.h"

#include <algorithm>

#include "cpu/clones.h"
#include "cpu/philox_pairs.h"

namespace inferno {
namespace {

// Uniform numbers, and those in the centre of a normal distribution where they lie.
INFERNO_CLONES void centres(const uint64_t* __restrict pairs, int64_t count, double* __restrict u,
                            double* __restrict z) {
  for (int64_t i = 0; i < count; ++i) {
    u[i] = uniform_of(pairs[i]);
    z[i] = normal_centre(u[i]);
  }
}

INFERNO_CLONES void uniforms(const uint64_t* __restrict pairs, int64_t count, double* __restrict u) {
  for (int64_t i = 0; i < count; ++i) u[i] = uniform_of(pairs[i]);
}

INFERNO_CLONES void tails(int64_t count, double* u) {
  for (int64_t i = 0; i < count; ++i) u[i] = normal_tail(u[i]);
}

template <Distribution D>
INFERNO_CLONES void transform(int64_t count, double a, double b, double* x) {
  for (int64_t i = 0; i < count; ++i) x[i] = transformed<D>(x[i], a, b);
}

// Standard normal numbers: the centre of all, then the tails of those that lie there, gathered.
void normals(const uint64_t* pairs, int64_t count, double* z) {
  double u[philox_block];
  int32_t outer[philox_block];
  centres(pairs, count, u, z);
  int64_t found = 0;
  for (int64_t i = 0; i < count; ++i) {
    outer[found] = int32_t(i);
    found += !in_centre(u[i]);
  }
  for (int64_t i = 0; i < found; ++i) u[i] = u[outer[i]];
  tails(found, u);
  for (int64_t i = 0; i < found; ++i) z[outer[i]] = u[i];
}

void attempts(const DrawArgs& args, const uint64_t* pairs, int64_t count, double* x) {
  switch (args.distribution) {
    case Distribution::uniform:
      uniforms(pairs, count, x);
      return transform<Distribution::uniform>(count, args.a, args.b, x);
    case Distribution::normal:
      normals(pairs, count, x);
      return transform<Distribution::normal>(count, args.a, args.b, x);
    case Distribution::lognormal:
      normals(pairs, count, x);
      return transform<Distribution::lognormal>(count, args.a, args.b, x);
  }
}

INFERNO_CLONES void clip(int64_t count, double low, double high, double* x) {
  for (int64_t i = 0; i < count; ++i) x[i] = clipped(x[i], low, high);
}

// Draws those outside the bounds again, all of them together, until there are none.
void redraw(const DrawArgs& args, const int64_t* index, int64_t count, double* x) {
  int32_t place[philox_block];
  int64_t outer[philox_block];
  uint64_t pairs[philox_block];
  double again[philox_block];
  int64_t found = 0;
  for (int64_t i = 0; i < count; ++i) {
    place[found] = int32_t(i);
    found += is_outside(args, x[i]);
  }
  for (uint32_t attempt = 1; found > 0; ++attempt) {
    for (int64_t i = 0; i < found; ++i) outer[i] = index[place[i]];
    philox_pairs(args.seed, args.stream, attempt, outer, found, pairs, nullptr);
    attempts(args, pairs, found, again);
    int64_t left = 0;
    for (int64_t i = 0; i < found; ++i) {
      const int32_t at = place[i];
      x[at] = again[i];
      place[left] = at;
      left += is_outside(args, again[i]);
    }
    found = left;
  }
}

template <class T>
void draw_range(const DrawArgs& args, int64_t begin, int64_t end) {
  uint64_t pairs[philox_block];
  double x[philox_block];
  for (int64_t first = begin; first < end; first += philox_block) {
    const int64_t count = std::min(philox_block, end - first);
    const int64_t* index = args.index + first;
    philox_pairs(args.seed, args.stream, 0, index, count, pairs, nullptr);
    attempts(args, pairs, count, x);
    args.redraw ? redraw(args, index, count, x) : clip(count, args.low, args.high, x);
    std::copy(x, x + count, static_cast<T*>(args.out) + first);
  }
}

}  // namespace

void draw_cpu(const DrawArgs& args, int64_t begin, int64_t end) {
  args.type == Scalar::f64 ? draw_range<double>(args, begin, end) : draw_range<float>(args, begin, end);
}

}  // namespace inferno
