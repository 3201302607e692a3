// The delayed dense sum: CPU loops, emulated kernels and the obvious loop of this file, bit for bit alike, for odd
// sizes, every batch size up to 70, any layout of the history and any split into ranges.
#include "check.h"
#include "core/history.h"
#include "cuda_emu.h"

using namespace inferno;

namespace {

struct Case {
  int64_t slots, batch, inputs, outputs;
  bool bool_history, linear, with_factor, with_bias, batch_innermost;
};

template <class T, class Slot>
struct Problem {
  using C = Compute<T>;
  Case shape;
  int64_t pointer;
  std::vector<T> data;
  std::vector<uint8_t> flags;
  std::vector<T> weight, bias;
  std::vector<Slot> slot;
  std::vector<C> factor;
  DelayedSumArgs args{};

  Problem(const Case& c, uint32_t seed) : shape(c) {
    Random random(seed);
    pointer = random.below(c.slots);
    const int64_t samples = c.slots * c.batch * c.inputs, synapses = c.outputs * c.inputs;
    data = random.values<T>(samples, -2, 2);
    for (int64_t i = 0; i < samples; ++i) flags.push_back(uint8_t(random.below(4) == 0));
    weight = random.values<T>(synapses, -1, 1);
    bias = random.values<T>(c.outputs, -1, 1);
    factor = random.values<C>(synapses, 0, 1);
    for (int64_t k = 0; k < synapses; ++k) {
      // A blend is between two samples: age 0 has no newer one, and `slots` stands for no sample at all.
      slot.push_back(Slot(random.below(c.slots + 1)));
      if (c.linear && (slot[k] == 0 || slot[k] == c.slots || k % 3 == 0)) factor[k] = C(0);
    }
    const int64_t batch_stride = c.batch_innermost ? 1 : c.inputs, input_stride = c.batch_innermost ? c.batch : 1;
    const Ring ring{c.slots, c.batch, c.inputs, c.batch * c.inputs, batch_stride, input_stride, &pointer};
    args = {scalar_of<T>(),
            c.bool_history,
            sizeof(Slot) == 1,
            c.linear,
            ring,
            c.outputs,
            c.bool_history ? static_cast<const void*>(flags.data()) : data.data(),
            weight.data(),
            c.with_bias ? bias.data() : nullptr,
            slot.data(),
            c.with_factor ? factor.data() : nullptr,
            nullptr,
            1.75,
            -0.25};
  }

  C sample(int64_t b, int64_t i, int64_t age) const {
    if (age == shape.slots) return C(args.overbound);
    const Ring& ring = args.ring;
    const int64_t at =
        ring_slot(pointer, 1 + age, shape.slots) * ring.slot_stride + b * ring.batch_stride + i * ring.rest_stride;
    return shape.bool_history ? C(flags[at]) * C(args.scale) : load(data[at]);
  }

  std::vector<T> expected() const {
    std::vector<T> out(shape.batch * shape.outputs);
    for (int64_t b = 0; b < shape.batch; ++b)
      for (int64_t o = 0; o < shape.outputs; ++o) {
        C sum = 0;
        for (int64_t i = 0; i < shape.inputs; ++i) {
          const int64_t k = o * shape.inputs + i;
          C z = sample(b, i, slot[k]), w = load(weight[k]);
          if (shape.with_factor && shape.linear && factor[k] > 0) z = z + (sample(b, i, slot[k] - 1) - z) * factor[k];
          if (shape.with_factor && !shape.linear) w = w * factor[k];
          sum = sum + w * z;
        }
        out[b * shape.outputs + o] = store<T>(shape.with_bias ? sum + load(bias[o]) : sum);
      }
    return out;
  }

  std::vector<T> on_cpu(const std::vector<int64_t>& cuts) {
    std::vector<T> out(shape.batch * shape.outputs);
    args.out = out.data();
    for (size_t k = cuts.size() - 1; k > 0; --k) delayed_dense_cpu(args, cuts[k - 1], cuts[k]);
    return out;
  }

  std::vector<T> on_kernel() {
    std::vector<T> out(shape.batch * shape.outputs);
    args.out = out.data();
    delayed_dense_cuda(args, nullptr);
    return out;
  }
};

template <class T, class Slot = uint8_t>
void agree(const Case& c, uint32_t seed = 0) {
  Problem<T, Slot> problem(c, seed);
  const std::vector<T> expected = problem.expected();
  const int64_t third = c.outputs / 3;
  CHECK(same_bits(problem.on_cpu({0, c.outputs}), expected));
  CHECK(same_bits(problem.on_cpu({0, third, third, c.outputs}), expected));
  emu::reversed = seed % 3 == 0;
  CHECK(same_bits(problem.on_kernel(), expected));
}

template <class T>
void all_modes() {
  for (int bits = 0; bits < 32; ++bits) {
    const bool bool_history = bits & 1, linear = bits & 2, factor = bits & 4, bias = bits & 8, inner = bits & 16;
    agree<T>({5, 3, 37, 13, bool_history, linear, factor, bias, inner}, bits);
    agree<T, int32_t>({300, 9, 33, 5, bool_history, linear, factor, bias, inner}, bits);
  }
}

template <class T>
void all_batches() {
  for (int64_t batch = 1; batch <= 70; ++batch) {
    const bool inner = batch % 2, bool_history = batch % 3 == 0, linear = batch % 5 < 2;
    agree<T>({4, batch, 17, 11, bool_history, linear, true, true, inner}, uint32_t(batch));
    agree<T>({4, batch, 17, 11, false, !linear, true, false, true}, uint32_t(batch));
  }
}

template <class T>
void odd_sizes() {
  const int64_t sizes[] = {1, 2, 31, 64, 129, 300};
  for (const int64_t inputs : sizes)
    for (const int64_t outputs : sizes) agree<T>({3, 5, inputs, outputs, false, false, true, false, true});
  agree<T>({1, 1, 1, 1, false, true, true, true, false});
  agree<T>({7, 4, 0, 6, false, false, true, true, false});
  agree<T>({7, 0, 5, 6, false, false, true, true, false});
  agree<T>({7, 4, 5, 0, false, false, true, true, false});
}

// The CPU loops take the batch in stretches, the last of which may be padding.
void every_range() {
  Problem<float, uint8_t> problem({4, 7, 19, 20, true, false, true, true, false}, 3);
  const std::vector<float> expected = problem.expected();
  for (int64_t begin = 0; begin <= 20; ++begin)
    for (int64_t end = begin; end <= 20; ++end) CHECK(same_bits(problem.on_cpu({0, begin, end, 20}), expected));
}

}  // namespace

int main() {
  for_each_type([](auto type) {
    all_modes<decltype(type)>();
    all_batches<decltype(type)>();
  });
  odd_sizes<float>();
  odd_sizes<double>();
  every_range();
  return failed_checks;
}
