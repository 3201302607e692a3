// Delayed sums one to one and over an image: CPU loops, emulated kernels and the obvious loop of this file, bit for bit
// alike, for odd sizes, any geometry and any split into ranges.
#include "check.h"
#include "core/delayed.h"
#include "cuda_emu.h"

using namespace inferno;

namespace {

struct Axis {
  int64_t input, kernel, stride, padding, dilation;
  int64_t output() const { return (input + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1; }
};

struct Case {
  int64_t slots, batch, channels, filters;
  Axis rows, columns;
  bool bool_history, linear, batch_innermost;
};

template <class T>
struct Problem {
  using C = Compute<T>;
  std::vector<T> data, weight, bias;
  std::vector<uint8_t> flags, slot;
  std::vector<C> factor;
  int64_t pointer;
  DelayedSumArgs sum{};

  Problem(Random& random, const Ring& ring, int64_t outputs, int64_t synapses, bool bool_history, bool linear)
      : pointer(random.below(ring.slots)) {
    const int64_t samples = ring.slots * ring.batch * ring.rest;
    data = random.values<T>(samples, -2, 2);
    for (int64_t i = 0; i < samples; ++i) flags.push_back(uint8_t(random.below(4) == 0));
    weight = random.values<T>(synapses, -1, 1);
    bias = random.values<T>(outputs, -1, 1);
    factor = random.values<C>(synapses, 0, 1);
    for (int64_t k = 0; k < synapses; ++k) {
      slot.push_back(uint8_t(random.below(ring.slots + 1)));
      if (linear && (slot[k] == 0 || slot[k] == ring.slots || k % 3 == 0)) factor[k] = C(0);
    }
    const void* history = bool_history ? static_cast<const void*>(flags.data()) : data.data();
    sum = {scalar_of<T>(), bool_history, true,        linear,        ring,    outputs, history,
           weight.data(),  bias.data(),  slot.data(), factor.data(), nullptr, 1.75,    -0.25};
    sum.ring.pointer = &pointer;
  }

  // w * z of a synapse whose input is `element`.
  C term(int64_t synapse, int64_t element) const {
    const int64_t newest = ring_slot(pointer, 1, sum.ring.slots);
    const Tap<C> tap = tap_of<T, uint8_t>(sum, synapse);
    C z = sample_at<T>(sum, newest, tap.age, element);
    if (tap.blend > C(0)) z = z + (sample_at<T>(sum, newest, tap.age - 1, element) - z) * tap.blend;
    return tap.weight * z;
  }
};

// Runs a whole problem on the CPU, in three ranges, the last one first.
template <class Args>
void in_ranges(void (*cpu)(const Args&, int64_t, int64_t), const Args& args, int64_t items) {
  cpu(args, 2 * items / 3, items);
  cpu(args, 0, items / 3);
  cpu(args, items / 3, 2 * items / 3);
}

template <class T>
void direct(int64_t slots, int64_t batch, int64_t size, bool bool_history, bool linear, bool inner) {
  Random random(uint32_t(batch * 100 + size));
  const Ring ring{slots, batch, size, batch * size, inner ? 1 : size, inner ? batch : 1, nullptr};
  Problem<T> problem(random, ring, size, size, bool_history, linear);
  std::vector<T> expected(batch * size), cpu(batch * size), kernel(batch * size);
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t o = 0; o < size; ++o) {
      const auto product = problem.term(o, b * ring.batch_stride + o * ring.rest_stride);
      expected[b * size + o] = store<T>(Compute<T>(0) + product + load(problem.bias[o]));
    }
  problem.sum.out = cpu.data();
  in_ranges(delayed_direct_cpu, problem.sum, size);
  CHECK(same_bits(cpu, expected));
  problem.sum.out = kernel.data();
  delayed_direct_cuda(problem.sum, nullptr);
  CHECK(same_bits(kernel, expected));
}

ConvAxis axis_of(const Axis& a, int64_t pixel_stride) {
  return {a.input, a.output(), a.kernel, a.stride, a.padding, a.dilation, pixel_stride};
}

template <class T>
std::vector<T> obvious(const Problem<T>& problem, const DelayedConv2dArgs& a) {
  std::vector<T> out;
  const ConvAxis &rows = a.rows, &columns = a.columns;
  for (int64_t b = 0; b < a.ring.batch; ++b)
    for (int64_t f = 0; f < a.outputs; ++f)
      for (int64_t y = 0; y < rows.output; ++y)
        for (int64_t x = 0; x < columns.output; ++x) {
          Compute<T> sum = 0;
          for (int64_t k = 0; k < a.channels * rows.kernel * columns.kernel; ++k) {
            const int64_t channel = k / (rows.kernel * columns.kernel);
            const int64_t row = y * rows.stride - rows.padding + k / columns.kernel % rows.kernel * rows.dilation;
            const int64_t column = x * columns.stride - columns.padding + k % columns.kernel * columns.dilation;
            if (row < 0 || row >= rows.input || column < 0 || column >= columns.input) continue;
            const int64_t element = b * a.ring.batch_stride + channel * a.channel_stride + row * rows.pixel_stride +
                                    column * columns.pixel_stride;
            sum = sum + problem.term(f * a.channels * rows.kernel * columns.kernel + k, element);
          }
          out.push_back(store<T>(sum + load(problem.bias[f])));
        }
  return out;
}

template <class T>
void conv2d(const Case& c, uint32_t seed) {
  Random random(seed);
  const int64_t rest = c.channels * c.rows.input * c.columns.input;
  const int64_t inner = c.batch_innermost ? c.batch : 1;  // from column to column
  const Ring ring{c.slots, c.batch, rest, c.batch * rest, c.batch_innermost ? 1 : rest, 0, nullptr};
  const int64_t synapses = c.filters * c.channels * c.rows.kernel * c.columns.kernel;
  Problem<T> problem(random, ring, c.filters, synapses, c.bool_history, c.linear);
  DelayedConv2dArgs args{problem.sum, c.channels, c.rows.input * c.columns.input * inner,
                         axis_of(c.rows, c.columns.input * inner), axis_of(c.columns, inner)};
  const std::vector<T> expected = obvious(problem, args);
  std::vector<T> cpu(expected.size()), kernel(expected.size());
  args.out = cpu.data();
  in_ranges(delayed_conv2d_cpu, args, c.filters * args.rows.output);
  CHECK(same_bits(cpu, expected));
  args.out = kernel.data();
  emu::reversed = seed % 2 == 0;
  delayed_conv2d_cuda(args, nullptr);
  CHECK(same_bits(kernel, expected));
}

template <class T>
void geometries() {
  const Axis axes[] = {{1, 1, 1, 0, 1}, {7, 3, 1, 0, 1}, {8, 3, 2, 2, 1}, {9, 2, 1, 3, 3}, {5, 4, 3, 4, 2}};
  uint32_t seed = 0;
  for (const Axis& rows : axes)
    for (const Axis& columns : axes)
      for (int bits = 0; bits < 8; ++bits, ++seed)
        conv2d<T>({4, 1 + seed % 9, 2, 3, rows, columns, bool(bits & 1), bool(bits & 2), bool(bits & 4)}, seed);
}

}  // namespace

int main() {
  for_each_type([](auto type) {
    using T = decltype(type);
    for (const int64_t batch : {1, 2, 33, 64, 65})
      for (const int64_t size : {1, 15, 16, 50})
        for (int bits = 0; bits < 8; ++bits) direct<T>(5, batch, size, bits & 1, bits & 2, bits & 4);
    geometries<T>();
  });
  // a row of sums that is taken in several stretches
  conv2d<float>({3, 700, 1, 1, {2, 2, 1, 1, 1}, {19, 3, 1, 1, 1}, false, false, true}, 7);
  conv2d<float>({3, 5000, 1, 1, {1, 1, 1, 0, 1}, {3, 1, 1, 0, 1}, true, false, true}, 8);
  return failed_checks;
}
