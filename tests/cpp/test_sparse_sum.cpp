// Sums over listed synapses and their gradients: CPU loops, emulated kernels and the obvious loops of this file, bit
// for bit alike, for rings and sequences, rows of any length and any split into ranges.
#include <algorithm>

#include "check.h"
#include "core/sparse.h"
#include "cuda_emu.h"

using namespace inferno;

namespace {

struct Case {
  int64_t inputs, outputs, synapses, batch, steps, slots;
  bool bool_data, linear, delays, ring;
};

// Partners of the rows in the order of the list, and where the rows begin.
struct List {
  std::vector<int64_t> start;
  std::vector<int32_t> partner, row, place;

  // The synapses of row[k] and partner[k], by row.
  List(int64_t rows, const std::vector<int32_t>& of_row, const std::vector<int32_t>& of_partner) {
    start.push_back(0);
    for (int64_t r = 0; r < rows; ++r) {
      for (size_t k = 0; k < of_row.size(); ++k)
        if (of_row[k] == r) partner.push_back(of_partner[k]), row.push_back(int32_t(r)), place.push_back(int32_t(k));
      start.push_back(int64_t(partner.size()));
    }
  }
};

template <class T>
struct Problem {
  using C = Compute<T>;
  Case c;
  std::vector<int32_t> source, target;
  std::vector<T> data, weight, bias, grad;
  std::vector<uint8_t> flags, bytes;
  std::vector<int32_t> slot;
  std::vector<C> factor;
  int64_t pointer;

  // Small integers, whose products add up exactly in any order, where `exact`.
  Problem(const Case& c, uint32_t seed, bool exact) : c(c) {
    Random random(seed);
    const auto drawn = [&](int64_t count) {
      auto out = random.values<T>(count, -3, 3);
      if (exact)
        for (T& x : out) x = store<T>(C(int(load(x))));
      return out;
    };
    for (int64_t s = 0; s < c.synapses; ++s) target.push_back(int32_t(s * c.outputs / c.synapses));
    for (int64_t s = 0; s < c.synapses; ++s) source.push_back(int32_t(random.below(c.inputs)));
    if (c.outputs > 2)
      for (int32_t& t : target) t = t == 1 ? 0 : t;  // a row without synapses, and a long one
    data = drawn(c.inputs * times() * c.batch);
    for (size_t k = 0; k < data.size(); ++k) flags.push_back(uint8_t(random.below(4) == 0));
    weight = drawn(c.synapses);
    bias = drawn(c.outputs);
    grad = drawn(c.outputs * c.steps * c.batch);
    factor = random.values<C>(c.synapses, 0, 1);
    pointer = random.below(c.slots);
    for (int64_t s = 0; s < c.synapses; ++s) {
      slot.push_back(int32_t(random.below(c.slots + 1)));
      bytes.push_back(uint8_t(slot[s]));
      if (c.linear && (slot[s] == 0 || slot[s] == c.slots || s % 3 == 0)) factor[s] = C(0);
    }
  }

  int64_t times() const { return c.slots - 1 + c.steps; }

  SparseSumArgs args(const List& list, bool use_bytes) {
    SparseSumArgs a{};
    a.type = scalar_of<T>();
    a.byte_slots = use_bytes;
    a.linear = c.linear;
    a.list = {int64_t(list.start.size()) - 1, list.start.data(), list.partner.data(), nullptr};
    a.batch = c.batch;
    a.steps = c.steps;
    a.slots = c.slots;
    a.weight = weight.data();
    a.slot = use_bytes ? static_cast<const void*>(bytes.data()) : slot.data();
    a.factor = factor.data();
    if (!c.delays) a.slot = a.factor = nullptr;
    a.scale = 1.75;
    a.overbound = -0.25;
    return a;
  }

  int32_t age(int64_t s) const { return c.delays ? slot[s] : 0; }

  C sample(int64_t input, int32_t age, int64_t step, int64_t b) const {
    if (age == c.slots) return C(-0.25);
    int64_t time = step + c.slots - 1 - age;
    if (c.ring) time = ((pointer - 1 - age) % c.slots + c.slots) % c.slots;
    const int64_t at = (input * times() + time) * c.batch + b;
    return c.bool_data ? (flags[at] ? C(1.75) : C(0)) : load(data[at]);
  }
};

// In three ranges, the last one first.
template <class Args>
void in_ranges(void (*cpu)(const Args&, int64_t, int64_t), const Args& args, int64_t items) {
  cpu(args, 2 * items / 3, items);
  cpu(args, 0, items / 3);
  cpu(args, items / 3, 2 * items / 3);
}

template <class T>
void forward(const Case& c, uint32_t seed) {
  using C = Compute<T>;
  Problem<T> p(c, seed, false);
  const List list(c.outputs, p.target, p.source);
  std::vector<T> expected, cpu(c.steps * c.batch * c.outputs), kernel(cpu.size());
  for (int64_t t = 0; t < c.steps; ++t)
    for (int64_t b = 0; b < c.batch; ++b)
      for (int64_t o = 0; o < c.outputs; ++o) {
        C sum = 0;
        for (int64_t s = list.start[o]; s < list.start[o + 1]; ++s) {
          C z = p.sample(p.source[s], p.age(s), t, b), w = load(p.weight[s]);
          const bool blended = c.delays && c.linear && p.factor[s] > C(0);
          if (blended) z = z + (p.sample(p.source[s], p.age(s) - 1, t, b) - z) * p.factor[s];
          if (c.delays && !c.linear) w = w * p.factor[s];
          sum = sum + w * z;
        }
        expected.push_back(store<T>(sum + load(p.bias[o])));
      }
  for (const bool bytes : {false, true}) {
    SparseSumArgs a = p.args(list, bytes);
    a.bool_data = c.bool_data;
    a.data = c.bool_data ? static_cast<const void*>(p.flags.data()) : p.data.data();
    a.partner_stride = p.times() * c.batch;
    a.pointer = c.ring ? &p.pointer : nullptr;
    a.slot_stride = c.batch;
    a.bias = p.bias.data();
    a.out = cpu.data();
    in_ranges(sparse_sum_cpu, a, sparse_items(a.list));
    CHECK(same_bits(cpu, expected));
    a.out = kernel.data();
    emu::reversed = seed % 2 == 0;
    sparse_sum_cuda(a, nullptr);
    CHECK(same_bits(kernel, expected));
  }
}

template <class T>
void transposed(const Case& c, uint32_t seed) {
  using C = Compute<T>;
  Problem<T> p(c, seed, false);
  const List list(c.inputs, p.source, p.target);
  std::vector<T> expected, cpu(c.inputs * p.times() * c.batch), kernel(cpu.size());
  for (int64_t i = 0; i < c.inputs; ++i)
    for (int64_t time = 0; time < p.times(); ++time)
      for (int64_t b = 0; b < c.batch; ++b) {
        C sum = 0;
        for (int64_t k = list.start[i]; k < list.start[i + 1]; ++k) {
          const int32_t s = list.place[k], age = p.age(s);
          if (age == c.slots) continue;
          const auto add = [&](C w, int32_t age) {
            const int64_t step = time - (c.slots - 1 - age);
            if (step < 0 || step >= c.steps) return;
            sum = sum + w * load(p.grad[(p.target[s] * c.steps + step) * c.batch + b]);
          };
          C w = load(p.weight[s]);
          if (c.delays && !c.linear) w = w * p.factor[s];
          const C blend = c.delays && c.linear ? p.factor[s] : C(0);
          add(c.delays && c.linear ? w * (C(1) - blend) : w, age);
          if (w * blend != C(0)) add(w * blend, age - 1);
        }
        expected.push_back(store<T>(sum));
      }
  for (const bool bytes : {false, true}) {
    SparseSumArgs a = p.args(list, bytes);
    a.list.place = list.place.data();
    a.data = p.grad.data();
    a.partner_stride = c.steps * c.batch;
    a.out = cpu.data();
    in_ranges(sparse_sum_transposed_cpu, a, sparse_items(a.list));
    CHECK(same_bits(cpu, expected));
    a.out = kernel.data();
    sparse_sum_transposed_cuda(a, nullptr);
    CHECK(same_bits(kernel, expected));
  }
}

template <class T>
void taps(const Case& c, uint32_t seed) {
  using C = Compute<T>;
  Problem<T> p(c, seed, true);
  const bool newer = c.delays && c.slots > 1;
  if (newer)
    for (int64_t s = 0; s < c.synapses; ++s) p.bytes[s] = uint8_t(p.slot[s] = std::max(p.slot[s], 1));
  std::vector<C> expected[2], cpu[2], kernel[2];
  for (int side = 0; side < 2; ++side) {
    for (int64_t s = 0; s < c.synapses; ++s) {
      C sum = 0;
      const int32_t age = p.age(s) == c.slots ? p.age(s) : p.age(s) - side;
      if (side == 1 && !newer) continue;
      for (int64_t t = 0; t < c.steps; ++t)
        for (int64_t b = 0; b < c.batch; ++b)
          sum = sum + load(p.grad[(p.target[s] * c.steps + t) * c.batch + b]) * p.sample(p.source[s], age, t, b);
      expected[side].push_back(sum);
    }
    cpu[side].resize(expected[side].size());
    kernel[side].resize(expected[side].size());
  }
  for (const bool bytes : {false, true}) {
    SparseTapsArgs a{};
    a.type = scalar_of<T>();
    a.bool_data = c.bool_data;
    a.byte_slots = bytes;
    a.synapses = c.synapses;
    a.batch = c.batch;
    a.steps = c.steps;
    a.slots = c.slots;
    a.source = p.source.data();
    a.target = p.target.data();
    a.data = c.bool_data ? static_cast<const void*>(p.flags.data()) : p.data.data();
    a.grad = p.grad.data();
    a.source_stride = p.times() * c.batch;
    a.target_stride = c.steps * c.batch;
    a.slot = !c.delays ? nullptr : bytes ? static_cast<const void*>(p.bytes.data()) : p.slot.data();
    a.scale = 1.75;
    a.overbound = -0.25;
    for (auto* out : {&cpu, &kernel}) {
      a.older = (*out)[0].data();
      a.newer = newer ? (*out)[1].data() : nullptr;
      out == &cpu ? in_ranges(sparse_taps_cpu, a, c.synapses) : sparse_taps_cuda(a, nullptr);
      for (int side = 0; side < 2; ++side) CHECK(same_bits((*out)[side], expected[side]));
    }
  }
}

template <class T>
void all() {
  const Case sizes[] = {{1, 1, 1, 1, 1, 1, 0, 0, 0, 0},   {7, 5, 40, 1, 1, 4, 0, 0, 0, 0},
                        {7, 21, 90, 3, 1, 4, 0, 0, 0, 0}, {4, 3, 0, 2, 2, 3, 0, 0, 0, 0},
                        {3, 2, 130, 1, 9, 3, 0, 0, 0, 0}, {5, 18, 60, 13, 7, 5, 0, 0, 0, 0},
                        {6, 40, 80, 33, 2, 2, 0, 0, 0, 0}};
  uint32_t seed = 0;
  for (const Case& size : sizes)
    for (int bits = 0; bits < 16; ++bits, ++seed) {
      Case c = size;
      c.bool_data = bits & 1;
      c.linear = bits & 2;
      c.delays = bits & 4;
      if (!c.delays) c.slots = 1;
      taps<T>(c, seed);
      if (!(bits & 1)) transposed<T>(c, seed);
      c.ring = bits & 8;
      if (c.ring) c.steps = 1;
      forward<T>(c, seed);
    }
}

}  // namespace

int main() {
  for_each_type([](auto type) { all<decltype(type)>(); });
  // as many lanes as several stretches have
  forward<float>({4, 17, 50, 50, 3, 4, true, false, true, false}, 7);
  forward<double>({4, 17, 50, 1, 150, 4, false, true, true, false}, 8);
  return failed_checks;
}
