// Sums over the few inputs that are not 0, of a dense map and of listed synapses, against the obvious loops over all of
// them, bit for bit: in any split into ranges, and only where there are few.
#include <algorithm>

#include "check.h"
#include "core/sparse_events.h"

using namespace inferno;

namespace {

// In three ranges of outputs, the last one first.
template <class F>
void in_ranges(int64_t outputs, F&& f) {
  f(2 * outputs / 3, outputs);
  f(int64_t(0), outputs / 3);
  f(outputs / 3, 2 * outputs / 3);
}

template <class T>
void dense(int64_t batch, int64_t inputs, int64_t outputs, bool has_bias, uint32_t seed) {
  Random random(seed);
  const std::vector<T> weight = random.values<T>(outputs * inputs, -2, 2), bias = random.values<T>(outputs, -1, 1);
  std::vector<T> data(batch * inputs, T(0));
  std::vector<int64_t> listed;
  for (int64_t b = 0; b < batch; ++b) {
    // none, the most that are few, one more, or all of them
    const int64_t most = inputs / few_share, kinds[] = {0, most, most + 1, inputs};
    const int64_t count = std::min(kinds[b % 4], inputs);
    for (int64_t k = 0; k < count; ++k) data[b * inputs + k * inputs / std::max(count, int64_t(1))] = T(1 + k % 3);
    if (inputs > 1 && count == 0) data[b * inputs + 1] = T(-0.0);
    if (count <= most) listed.push_back(b);
  }
  std::vector<T> out(batch * outputs, T(-7)), expected = out;
  for (const int64_t b : listed)
    for (int64_t o = 0; o < outputs; ++o) {
      T sum = 0;
      for (int64_t i = 0; i < inputs; ++i)
        if (const T x = data[b * inputs + i]; x != T(0)) sum = sum + weight[o * inputs + i] * x;
      expected[b * outputs + o] = has_bias ? sum + bias[o] : sum;
    }
  const FewInputsArgs a{
      scalar_of<T>(), batch, inputs, outputs, data.data(), weight.data(), has_bias ? bias.data() : nullptr, out.data()};
  const FewInputs few = few_inputs_cpu(a);
  CHECK(few.samples == listed);
  CHECK(few.starts.size() == listed.size() + 1 && few.starts.back() == few.inputs.size());
  in_ranges(outputs, [&](int64_t begin, int64_t end) { few_inputs_sum_cpu(a, few, begin, end); });
  CHECK(same_bits(out, expected));
}

struct Case {
  int64_t inputs, outputs, batch, slots;
  bool ring, bool_data, linear, has_bias;
};

// Every input meets some outputs; sorted by output for the sum, and by input for the events.
struct Synapses {
  std::vector<int64_t> start, start_by_input;
  std::vector<int32_t> inputs, outputs_by_input, place_by_input;

  Synapses(const Case& c, Random& random) : start{0}, start_by_input{0} {
    std::vector<std::pair<int32_t, int32_t>> pairs;  // output, input
    for (int64_t k = 0; k < 6 * c.inputs; ++k)
      pairs.push_back({int32_t(random.below(c.outputs)), int32_t(random.below(c.inputs))});
    std::sort(pairs.begin(), pairs.end());
    for (int64_t o = 0; o < c.outputs; ++o) {
      for (const auto& [output, input] : pairs)
        if (output == o) inputs.push_back(input);
      start.push_back(int64_t(inputs.size()));
    }
    for (int64_t i = 0; i < c.inputs; ++i) {
      for (size_t k = 0; k < pairs.size(); ++k)
        if (pairs[k].second == i) {
          outputs_by_input.push_back(pairs[k].first);
          place_by_input.push_back(int32_t(k));
        }
      start_by_input.push_back(int64_t(outputs_by_input.size()));
    }
  }
};

template <class T>
void listed(const Case& c, bool many, uint32_t seed) {
  using C = Compute<T>;
  Random random(seed);
  const Synapses s(c, random);
  const int64_t synapses = int64_t(s.inputs.size());
  const std::vector<T> weight = random.values<T>(synapses, -2, 2), bias = random.values<T>(c.outputs, -1, 1);
  std::vector<C> factor = random.values<C>(synapses, 0, 1);
  std::vector<int32_t> slot;
  std::vector<uint8_t> bytes;
  for (int64_t k = 0; k < synapses; ++k) {
    slot.push_back(int32_t(random.below(c.slots + 1)));
    bytes.push_back(uint8_t(slot[k]));
    if (c.linear && (slot[k] == 0 || slot[k] == c.slots)) factor[k] = C(0);
  }
  // a ring [slots, inputs, batch], or a step [batch, inputs]
  const int64_t count = c.slots * c.inputs * c.batch;
  std::vector<uint8_t> flags(count);
  std::vector<T> values(count, store<T>(C(0)));
  for (int64_t k = 0; k < count; ++k)
    if (many || random.below(20 * c.slots * c.batch) == 0) {
      flags[k] = 1;
      values[k] = store<T>(C(1 + k % 3));
    }
  const int64_t pointer = random.below(c.slots);
  const double scale = 1.75;
  const auto seen = [&](int64_t b, int64_t i, int64_t age) {
    const int64_t at =
        c.ring ? ((pointer - 1 - age + c.slots) % c.slots * c.inputs + i) * c.batch + b : b * c.inputs + i;
    return c.bool_data ? (flags[at] ? C(scale) : C(0)) : load(values[at]);
  };
  std::vector<T> expected, out(c.batch * c.outputs);
  for (int64_t b = 0; b < c.batch; ++b)
    for (int64_t o = 0; o < c.outputs; ++o) {
      C sum = 0;
      for (int64_t k = s.start[o]; k < s.start[o + 1]; ++k) {
        const int64_t age = c.ring ? slot[k] : 0;
        if (age == c.slots) continue;
        C w = load(weight[k]), z = seen(b, s.inputs[k], age);
        if (c.ring && !c.linear) w = w * factor[k];
        if (c.ring && c.linear && factor[k] > C(0)) z = z + (seen(b, s.inputs[k], age - 1) - z) * factor[k];
        if (z != C(0)) sum = sum + w * z;
      }
      expected.push_back(store<T>(c.has_bias ? sum + load(bias[o]) : sum));
    }
  for (const bool use_bytes : {false, true}) {
    SparseEventsArgs a{};
    a.sum.type = scalar_of<T>();
    a.sum.bool_data = c.bool_data;
    a.sum.byte_slots = use_bytes;
    a.sum.linear = c.linear;
    a.sum.list = {c.outputs, s.start.data(), s.inputs.data(), nullptr};
    a.sum.batch = c.batch;
    a.sum.steps = 1;
    a.sum.slots = c.slots;
    a.sum.data = c.bool_data ? static_cast<const void*>(flags.data()) : values.data();
    a.sum.partner_stride = c.ring ? c.batch : 1;
    a.sum.pointer = c.ring ? &pointer : nullptr;
    a.sum.slot_stride = c.inputs * c.batch;
    a.sum.weight = weight.data();
    a.sum.bias = c.has_bias ? bias.data() : nullptr;
    if (c.ring) {
      a.sum.slot = use_bytes ? static_cast<const void*>(bytes.data()) : slot.data();
      a.sum.factor = factor.data();
    }
    a.sum.out = out.data();
    a.sum.scale = scale;
    a.sample_stride = c.ring ? 1 : c.inputs;
    a.by_input = {c.inputs, s.start_by_input.data(), s.outputs_by_input.data(), s.place_by_input.data()};
    const FewInputs few = few_events_cpu(a);
    CHECK(many ? few.samples.empty() : int64_t(few.samples.size()) == c.batch);
    if (few.samples.empty()) continue;
    std::fill(out.begin(), out.end(), store<T>(C(-7)));
    in_ranges(c.outputs, [&](int64_t begin, int64_t end) { sparse_events_cpu(a, few, begin, end); });
    CHECK(same_bits(out, expected));
  }
}

template <class U>
void lanes(int64_t count, int64_t inputs) {
  std::vector<U> from(count * inputs), to(count * inputs), expected;
  for (size_t k = 0; k < from.size(); ++k) from[k] = U(k * 2654435761u);
  for (int64_t i = 0; i < inputs; ++i)
    for (int64_t l = 0; l < count; ++l) expected.push_back(from[l * inputs + i]);
  in_ranges(inputs, [&](int64_t begin, int64_t end) {
    to_lanes_cpu(from.data(), count, inputs, int64_t(sizeof(U)), to.data(), begin, end);
  });
  CHECK(same_bits(to, expected));
}

}  // namespace

int main() {
  uint32_t seed = 0;
  for (const int64_t outputs : {1, 4, 11})
    for (const int64_t inputs : {1, 15, 16, 70, 256})
      for (const bool has_bias : {false, true}) {
        dense<float>(9, inputs, outputs, has_bias, ++seed);
        dense<double>(9, inputs, outputs, has_bias, ++seed);
      }
  const Case cases[] = {
      {300, 50, 1, 1, false, true, false, true},  {300, 50, 7, 1, false, false, false, false},
      {300, 50, 1, 5, true, true, false, true},   {200, 31, 4, 5, true, true, true, false},
      {200, 31, 19, 9, true, true, false, false}, {160, 3, 2, 2, true, true, true, true},
  };
  for (const Case& c : cases)
    for (const bool many : {false, true})
      for_each_type([&](auto scalar) { listed<decltype(scalar)>(c, many, ++seed); });
  lanes<uint8_t>(3, 70);
  lanes<uint16_t>(16, 33);
  lanes<uint32_t>(1, 5);
  lanes<uint64_t>(20, 41);
  return failed_checks;
}
