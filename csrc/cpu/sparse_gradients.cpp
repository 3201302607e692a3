// Gradients of the sums over listed synapses. That of what is summed is the transposed sum: for every input, the
// gradients of the outputs that its synapses reach are added where each of them looked. That of the weights is a
// product of two stretches of lanes a synapse. Both have one order of additions for any number of threads.
#include <algorithm>
#include <vector>

#include "core/sparse.h"
#include "cpu/clones.h"
#include "cpu/sparse_vectors.h"

namespace inferno {
namespace {

template <class H, class C>
INFERNO_HD void add_lanes(C* __restrict to, const H* __restrict from, C weight, int64_t lanes) {
  int64_t l = 0;
  for (; l + width<C> <= lanes; l += width<C>)
    store_vector(to + l, samples_at<C>(to + l, 0.0) + weight * samples_at<C>(from + l, 0.0));
  for (; l < lanes; ++l) to[l] = to[l] + weight * sample_value<H, C>(from[l], 0.0);
}

// Where a synapse's gradients are, and where they go; first of the older sample, then of the newer.
template <class C>
struct Sent {
  C weight;
  int64_t from, to;
};

constexpr int64_t sent_at_once = 256;

#define INFERNO_SEND(H, C)                                                                                        \
  INFERNO_CLONES void send(const Sent<C>* sent, int64_t count, const H* data, int64_t lanes, C* sums) {           \
    for (int64_t k = 0; k < count; ++k) add_lanes(sums + sent[k].to, data + sent[k].from, sent[k].weight, lanes); \
  }
INFERNO_SEND(float, float)
INFERNO_SEND(double, double)
INFERNO_SEND(Half, float)
INFERNO_SEND(BFloat16, float)
#undef INFERNO_SEND

template <class T, class Slot, class C = Compute<T>>
void transposed(const SparseSumArgs& a, int64_t begin, int64_t end) {
  const int64_t lanes = a.steps * a.batch, reached = (a.slots - 1 + a.steps) * a.batch;
  std::vector<C> sums(reached);
  std::vector<Sent<C>> sent(2 * sent_at_once);
  for (int64_t r = begin; r < end; ++r) {
    std::fill(sums.begin(), sums.end(), C(0));
    for (int64_t first = a.list.start[r]; first < a.list.start[r + 1]; first += sent_at_once) {
      const int64_t last = std::min(first + sent_at_once, a.list.start[r + 1]);
      int64_t count = 0;
      for (int64_t k = first; k < last; ++k) {
        const SparseTap<C> tap = sparse_tap<T, Slot, true>(a, k);
        if (tap.age == a.slots) continue;
        const int64_t from = tap.from * a.partner_stride, to = (a.slots - 1 - tap.age) * a.batch;
        sent[count++] = {tap.weight, from, to};
        if (tap.second != C(0)) sent[count++] = {tap.second, from, to + a.batch};
      }
      send(sent.data(), count, static_cast<const T*>(a.data), lanes, sums.data());
    }
    T* out = static_cast<T*>(a.out) + r * reached;
    for (int64_t l = 0; l < reached; ++l) out[l] = store<T>(sums[l]);
  }
}

template <class C>
struct Products {
  Vector<C> sums[2] = {};
  C rest = 0;

  INFERNO_HD C total() const {
    const Vector<C> all = sums[0] + sums[1];
    C sum = rest;
    for (int64_t l = 0; l < width<C>; ++l) sum = sum + all[l];
    return sum;
  }
};

template <class H, class T, class C>
INFERNO_HD C product(const T* grad, const H* samples, int64_t lanes, double scale) {
  Products<C> sum;
  int64_t l = 0;
  for (; l + 2 * width<C> <= lanes; l += 2 * width<C>)
    for (int j = 0; j < 2; ++j) {
      const int64_t at = l + j * width<C>;
      sum.sums[j] = sum.sums[j] + samples_at<C>(grad + at, 0.0) * samples_at<C>(samples + at, scale);
    }
  for (; l + width<C> <= lanes; l += width<C>)
    sum.sums[0] = sum.sums[0] + samples_at<C>(grad + l, 0.0) * samples_at<C>(samples + l, scale);
  for (; l < lanes; ++l) sum.rest = sum.rest + load(grad[l]) * sample_value<H, C>(samples[l], scale);
  return sum.total();
}

template <class T, class C>
INFERNO_HD C product_outside(const T* grad, int64_t lanes, C outside) {
  C sum = 0;
  for (int64_t l = 0; l < lanes; ++l) sum = sum + load(grad[l]) * outside;
  return sum;
}

// Where the two stretches of a synapse begin; sample: -1 where the delay is out of range.
struct Pair {
  int64_t grad, sample;
};

#define INFERNO_PRODUCTS(H, T, C)                                                                               \
  INFERNO_CLONES void products(const Pair* pairs, int64_t count, const T* grad, const H* samples, int64_t next, \
                               int64_t lanes, double scale, C outside, C* out) {                                \
    for (int64_t k = 0; k < count; ++k)                                                                         \
      out[k] = pairs[k].sample < 0                                                                              \
                   ? product_outside<T, C>(grad + pairs[k].grad, lanes, outside)                                \
                   : product<H, T, C>(grad + pairs[k].grad, samples + pairs[k].sample + next, lanes, scale);    \
  }
INFERNO_PRODUCTS(float, float, float)
INFERNO_PRODUCTS(double, double, double)
INFERNO_PRODUCTS(Half, Half, float)
INFERNO_PRODUCTS(BFloat16, BFloat16, float)
INFERNO_PRODUCTS(Bool, float, float)
INFERNO_PRODUCTS(Bool, double, double)
INFERNO_PRODUCTS(Bool, Half, float)
INFERNO_PRODUCTS(Bool, BFloat16, float)
#undef INFERNO_PRODUCTS

template <class H, class T, class Slot, class C = Compute<T>>
void taps(const SparseTapsArgs& a, int64_t begin, int64_t end) {
  constexpr int64_t at_once = 256;
  Pair pairs[at_once];
  for (int64_t first = begin; first < end; first += at_once) {
    const int64_t last = std::min(first + at_once, end);
    for (int64_t s = first; s < last; ++s) {
      const int32_t age = a.slot ? int32_t(static_cast<const Slot*>(a.slot)[s]) : 0;
      const int64_t sample = a.source[s] * a.source_stride + (a.slots - 1 - age) * a.batch;
      pairs[s - first] = {a.target[s] * a.target_stride, age == a.slots ? -1 : sample};
    }
    const auto run = [&](void* out, int64_t next) {
      products(pairs, last - first, static_cast<const T*>(a.grad), static_cast<const H*>(a.data), next,
               a.steps * a.batch, a.scale, C(a.overbound), static_cast<C*>(out) + first);
    };
    run(a.older, 0);
    if (a.newer) run(a.newer, a.batch);
  }
}

}  // namespace

void sparse_sum_transposed_cpu(const SparseSumArgs& a, int64_t begin, int64_t end) {
  begin = row_of_item(a.list, begin);
  end = row_of_item(a.list, end);
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    a.byte_slots ? transposed<T, uint8_t>(a, begin, end) : transposed<T, int32_t>(a, begin, end);
  });
}

void sparse_taps_cpu(const SparseTapsArgs& a, int64_t begin, int64_t end) {
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    if (a.bool_data)
      a.byte_slots ? taps<Bool, T, uint8_t>(a, begin, end) : taps<Bool, T, int32_t>(a, begin, end);
    else
      a.byte_slots ? taps<T, T, uint8_t>(a, begin, end) : taps<T, T, int32_t>(a, begin, end);
  });
}

}  // namespace inferno
