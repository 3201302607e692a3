#include "core/sparse_events.h"

#include <algorithm>
#include <vector>

#include "cpu/nonzero.h"
#include "cpu/transpose.h"

namespace inferno {
namespace {

constexpr int64_t ahead = 24;  // synapses whose weights, far apart in memory, are on their way

// Adds the inputs of a sample that are not 0. False where they have more synapses than `left`, which becomes less.
template <class H>
bool list_sample(const SynapseList& by_input, const H* line, int64_t& left, std::vector<int32_t>& inputs) {
  for (int64_t i = 0; i < by_input.rows && left >= 0; i += set_group) {
    const int64_t end = std::min(i + set_group, by_input.rows);
    if (end == i + set_group && !any_set(line + i)) continue;
    for (int64_t k = i; k < end; ++k) {
      if (!is_set(line[k])) continue;
      inputs.push_back(int32_t(k));
      left -= by_input.start[k + 1] - by_input.start[k];
    }
  }
  return left >= 0;
}

// [batch, inputs]: whether there is a spike anywhere in the ring, whose slots are [inputs, batch].
std::vector<Bool> any_in_ring(const SparseEventsArgs& a) {
  const int64_t batch = a.sum.batch, inputs = a.by_input.rows, count = batch * inputs;
  std::vector<uint8_t> any(count);
  for (int64_t slot = 0; slot < a.sum.slots; ++slot) {
    const uint8_t* spikes = static_cast<const uint8_t*>(a.sum.data) + slot * a.sum.slot_stride;
    for (int64_t k = 0; k < count; ++k) any[k] |= spikes[k];
  }
  std::vector<Bool> by_sample(count);
  transpose(any.data(), batch, reinterpret_cast<uint8_t*>(by_sample.data()), inputs, inputs, batch);
  return by_sample;
}

// data: [batch, inputs]
template <class H>
FewInputs list_samples(const SparseEventsArgs& a, const H* data) {
  const int64_t inputs = a.by_input.rows, batch = a.sum.batch;
  int64_t left = a.by_input.start[inputs] * std::max(batch, event_samples) / (event_share * event_samples);
  FewInputs few;
  few.starts.push_back(0);
  for (int64_t b = 0; b < batch; ++b) {
    if (!list_sample(a.by_input, data + b * inputs, left, few.inputs)) return {};
    few.samples.push_back(b);
    few.starts.push_back(few.inputs.size());
  }
  return few;
}

// What an input adds, of which `from` is the first sample; `sums` are those of outputs from `begin` on.
template <class H, class T, class Slot, bool Delayed, class C = Compute<T>>
class Adder {
 public:
  explicit Adder(const SparseEventsArgs& a) : a_(a), offsets_(Delayed ? a.sum.slots : 0) {
    const int64_t newest = newest_slot(a.sum);
    for (size_t age = 0; age < offsets_.size(); ++age) offsets_[age] = sparse_offset(a.sum, newest, int32_t(age));
  }

  void add(const H* from, int64_t first, int64_t last, C* sums) const {
    const int32_t *outputs = a_.by_input.partner, *places = a_.by_input.place;
    if constexpr (Delayed) {
      for (int64_t k = first; k < last; ++k) {
        const SparseTap<C> tap = sparse_tap<T, Slot, false>(a_.sum, places[k]);
        if (tap.age == a_.sum.slots) continue;
        C z = sample(from[offsets_[tap.age]]);
        if (tap.second > C(0)) z = blend_linear(z, sample(from[offsets_[tap.age - 1]]), tap.second);
        if (z != C(0)) sums[outputs[k]] = sums[outputs[k]] + tap.weight * z;
      }
    } else {
      const T* weight = static_cast<const T*>(a_.sum.weight);
      const C z = sample(*from);
      for (int64_t k = first; k < last; ++k) {
        if (k + ahead < last) __builtin_prefetch(weight + places[k + ahead]);
        sums[outputs[k]] = sums[outputs[k]] + load(weight[places[k]]) * z;
      }
    }
  }

 private:
  C sample(H value) const { return sample_value<H, C>(value, a_.sum.scale); }

  const SparseEventsArgs& a_;
  std::vector<int64_t> offsets_;  // by age
};

template <class H, class T, class Slot, bool Delayed, class C = Compute<T>>
void sum_samples(const SparseEventsArgs& a, const FewInputs& few, int64_t begin, int64_t end) {
  const int64_t outputs = a.sum.list.rows;
  const Adder<H, T, Slot, Delayed> adder(a);
  const T* bias = static_cast<const T*>(a.sum.bias);
  std::vector<C> sums(end - begin);
  for (size_t n = 0; n < few.samples.size(); ++n) {
    const H* data = static_cast<const H*>(a.sum.data) + few.samples[n] * a.sample_stride;
    std::fill(sums.begin(), sums.end(), C(0));
    for (size_t j = few.starts[n]; j < few.starts[n + 1]; ++j) {
      const int32_t i = few.inputs[j], *partner = a.by_input.partner;
      int64_t first = a.by_input.start[i], last = a.by_input.start[i + 1];
      if (begin > 0) first = std::lower_bound(partner + first, partner + last, begin) - partner;
      if (end < outputs) last = std::lower_bound(partner + first, partner + last, end) - partner;
      adder.add(data + i * a.sum.partner_stride, first, last, sums.data() - begin);
    }
    T* out = static_cast<T*>(a.sum.out) + few.samples[n] * outputs;
    for (int64_t o = begin; o < end; ++o) out[o] = store<T>(bias ? sums[o - begin] + load(bias[o]) : sums[o - begin]);
  }
}

template <class U>
void to_lanes(const void* from, int64_t lanes, int64_t inputs, void* to, int64_t begin, int64_t end) {
  transpose(static_cast<const U*>(from) + begin, inputs, static_cast<U*>(to) + begin * lanes, lanes, lanes,
            end - begin);
}

}  // namespace

FewInputs few_events_cpu(const SparseEventsArgs& a) {
  if (a.sum.pointer) return list_samples(a, any_in_ring(a).data());
  if (a.sum.bool_data) return list_samples(a, static_cast<const Bool*>(a.sum.data));
  FewInputs few;
  dispatch_floating(a.sum.type,
                    [&](auto scalar) { few = list_samples(a, static_cast<const decltype(scalar)*>(a.sum.data)); });
  return few;
}

void sparse_events_cpu(const SparseEventsArgs& a, const FewInputs& few, int64_t begin, int64_t end) {
  dispatch_floating(a.sum.type, [&](auto scalar) {
    using T = decltype(scalar);
    if (a.sum.pointer && a.sum.byte_slots)
      sum_samples<Bool, T, uint8_t, true>(a, few, begin, end);
    else if (a.sum.pointer)
      sum_samples<Bool, T, int32_t, true>(a, few, begin, end);
    else if (a.sum.bool_data)
      sum_samples<Bool, T, uint8_t, false>(a, few, begin, end);
    else
      sum_samples<T, T, uint8_t, false>(a, few, begin, end);
  });
}

void to_lanes_cpu(const void* from, int64_t lanes, int64_t inputs, int64_t element_bytes, void* to, int64_t begin,
                  int64_t end) {
  const auto run = element_bytes == 1   ? to_lanes<uint8_t>
                   : element_bytes == 2 ? to_lanes<uint16_t>
                   : element_bytes == 4 ? to_lanes<uint32_t>
                                        : to_lanes<uint64_t>;
  run(from, lanes, inputs, to, begin, end);
}

}  // namespace inferno
