// Delayed sums over sequences and their gradients: CPU loops in any split into ranges and emulated kernels alike, for
// odd sizes and every map. The sums bit for bit; correlations, which are added up in other orders, up to rounding.
#include <cmath>

#include "check.h"
#include "core/delayed_run.h"
#include "cuda_emu.h"

using namespace inferno;

namespace {

ConvAxis any_axis(Random& random) {
  const int64_t kernel = 1 + random.below(3), dilation = 1 + random.below(2), stride = 1 + random.below(2);
  const int64_t padding = random.below(3), input = 5 + random.below(4);
  return {input, (input + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1, kernel, stride, padding, dilation,
          1};
}

template <class T>
struct Problem {
  using C = Compute<T>;
  DelayedRunArgs a{};
  std::vector<T> series, grad, weight, bias;
  std::vector<uint8_t> flags, slot, interval;  // interval: ages that have a newer sample
  std::vector<C> factor;
  int64_t inputs, outputs, synapses;

  Problem(Random& random, int map, int64_t steps, int64_t batch) {
    a.type = scalar_of<T>();
    a.byte_slots = true;
    a.direct = map == 1;
    a.linear = random.below(2);
    a.bool_series = random.below(2);
    a.steps = steps;
    a.batch = batch;
    a.slots = 1 + random.below(6);
    a.filters = 1 + random.below(5);
    a.channels = a.direct ? a.filters : 1 + random.below(5);
    a.rows = a.columns = {1, 1, 1, 1, 0, 1, 1};
    if (map == 2) a.rows = any_axis(random), a.columns = any_axis(random);
    a.scale = 0.7;
    a.overbound = -0.3;
    inputs = a.channels * a.rows.input * a.columns.input;
    outputs = a.filters * a.rows.output * a.columns.output;
    synapses = a.filters * (a.direct ? 1 : a.channels) * a.rows.kernel * a.columns.kernel;
    fill(random);
  }

  void fill(Random& random) {
    const int64_t samples = (a.slots - 1 + a.steps) * a.batch * inputs;
    series = random.values<T>(samples, -2, 2);
    for (int64_t i = 0; i < samples; ++i) flags.push_back(uint8_t(random.below(4) == 0));
    grad = random.values<T>(a.steps * a.batch * outputs, -1, 1);
    weight = random.values<T>(synapses, -1, 1);
    bias = random.values<T>(a.filters, -1, 1);
    factor = random.values<C>(synapses, 0, 1);
    for (int64_t k = 0; k < synapses; ++k) {
      slot.push_back(uint8_t(random.below(a.slots + 1)));
      interval.push_back(slot[k] == 0 ? 1 : slot[k]);
      if (a.linear && (slot[k] == 0 || slot[k] == a.slots || random.below(4) == 0)) factor[k] = C(0);
    }
    a.series = {a.bool_series ? static_cast<const void*>(flags.data()) : series.data(), a.batch * inputs, inputs, 1};
    a.grad = {grad.data(), a.batch * outputs, outputs, 1};
    a.weight = weight.data();
    a.bias = bias.data();
    a.slot = slot.data();
    a.factor = random.below(4) ? factor.data() : nullptr;
  }
};

using Cpu = void (*)(const DelayedRunArgs&, int64_t, int64_t);
using Cuda = void (*)(const DelayedRunArgs&, void*);

// The sums in two ranges, the second one first, and all by the emulated kernel.
template <class T>
void check_sums(DelayedRunArgs a, Random& random, int64_t size, int64_t items, Cpu cpu, Cuda cuda) {
  std::vector<T> ranges(size), emulated(size);
  const int64_t cut = random.below(items + 1);
  a.out = ranges.data();
  cpu(a, cut, items);
  cpu(a, 0, cut);
  a.out = emulated.data();
  cuda(a, nullptr);
  CHECK(same_bits(ranges, emulated));
}

template <class C>
bool close(const std::vector<C>& a, const std::vector<C>& b) {
  for (size_t k = 0; k < a.size(); ++k)
    if (!(std::abs(a[k] - b[k]) <= C(1e-3) * (C(1) + std::abs(a[k])))) return false;
  return true;
}

template <class C>
void check_correlations(DelayedRunArgs a, const uint8_t* interval, Random& random, int64_t synapses) {
  std::vector<C> older[2], newer[2];
  const bool both = a.slots > 1 && random.below(2);
  if (both) a.slot = interval;
  for (int emulated = 0; emulated < 2; ++emulated) {
    older[emulated].assign(synapses, C(9));
    newer[emulated].assign(synapses, C(9));
    a.older = older[emulated].data();
    a.newer = both ? newer[emulated].data() : nullptr;
    const int64_t cut = random.below(a.filters + 1);
    if (emulated) {
      delayed_run_taps_cuda(a, nullptr);
    } else {
      delayed_run_taps_cpu(a, cut, a.filters);
      delayed_run_taps_cpu(a, 0, cut);
    }
  }
  CHECK(close(older[0], older[1]) && close(newer[0], newer[1]));
}

}  // namespace

int main() {
  Random random(0);
  for_each_type([&](auto scalar) {
    using T = decltype(scalar);
    for (int k = 0; k < 24; ++k) {
      Problem<T> p(random, k % 3, 1 + random.below(9), 1 + random.below(11));
      const DelayedRunArgs& a = p.a;
      const int64_t times = a.slots - 1 + a.steps;
      check_sums<T>(a, random, a.steps * a.batch * p.outputs, delayed_run_units(a, a.steps) * a.filters,
                    delayed_run_cpu, delayed_run_cuda);
      check_sums<T>(a, random, times * a.batch * p.inputs, delayed_run_units(a, times) * a.channels,
                    delayed_run_series_cpu, delayed_run_series_cuda);
      check_correlations<Compute<T>>(a, p.interval.data(), random, p.synapses);
    }
  });
  return failed_checks;
}
