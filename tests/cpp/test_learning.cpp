// Pairs of spikes by their times and traces of eligibility: the CPU loops, in parts, and the emulated kernels bit for
// bit alike.
#include <cmath>

#include "check.h"
#include "core/learning.h"
#include "cuda_emu.h"

using namespace inferno;

namespace {

constexpr int64_t batch = 3, slots = 4;
const ConvAxis one{1, 1, 1, 1, 0, 1, 1};

// A dense map, a direct one, and a convolution of 5 x 4 pixels.
std::vector<CorrelateArgs> maps() {
  CorrelateArgs dense{}, direct{}, conv{};
  dense.filters = 5, dense.channels = 300, dense.rows = dense.columns = one;
  direct.direct = true, direct.filters = direct.channels = 9, direct.rows = direct.columns = one;
  conv.filters = 3, conv.channels = 2, conv.rows = {5, 3, 2, 2, 1, 1, 4}, conv.columns = {4, 3, 2, 1, 0, 1, 1};
  return {dense, direct, conv};
}

template <class T>
struct Sides {
  using C = Compute<T>;
  CorrelateArgs args;
  std::vector<T> post, pre, delay;
  std::vector<uint8_t> ages;
  std::vector<C> factors;
  int64_t pointer = 1;

  Sides(const CorrelateArgs& map, Random& random, bool delayed, bool linear) : args(map) {
    const int64_t places = map.rows.output * map.columns.output, pixels = map.rows.input * map.columns.input;
    const int64_t synapses = map.filters * terms_of(map);
    post = random.values<T>(batch * map.filters * places, -3, 3);
    pre = random.values<T>(slots * batch * map.channels * pixels, -3, 3);
    delay = random.values<T>(synapses, 0, 2);
    for (T& x : post) x = random.below(3) ? x : T{};
    for (int64_t i = 0; i < synapses; ++i) {
      ages.push_back(uint8_t(random.below(slots + 1)));
      factors.push_back(ages.back() > 0 && ages.back() < slots ? C(random.uniform(0, 1)) : C(0));
    }
    args.type = scalar_of<T>(), args.batch = batch, args.slots = delayed ? slots : 1, args.byte_slots = true;
    args.linear = linear, args.scale = 0.5, args.overbound = 0.25;
    args.post = post.data(), args.pre = pre.data();
    args.post_column = 1, args.post_row = map.columns.output, args.post_filter = places;
    args.post_batch = map.filters * places;
    args.pre_channel = pixels, args.pre_batch = map.channels * pixels, args.pre_slot = batch * args.pre_batch;
    if (!delayed) return;
    args.pointer = &pointer, args.slot = ages.data(), args.factor = factors.data();
  }
  int64_t synapses() const { return args.filters * terms_of(args); }
};

template <class T>
void pairs(Sides<T>& sides) {
  sides.post[0] = sides.pre[1] = store<T>(Compute<T>(NAN));
  std::vector<T> results[4];
  for (auto& r : results) r.resize(sides.synapses());
  SpikePairArgs a{sides.args, sides.delay.data(), nullptr, 0.5, 10, 2, 20, results[0].data(), results[1].data()};
  const int64_t c = sides.args.direct ? sides.args.channels : sides.args.channels / 2, filters = sides.args.filters;
  for (const Span& channels : {Span{0, c}, Span{c, sides.args.channels}}) {
    if (channels.size() == 0) continue;
    spike_pairs_cpu(a, channels, {0, 1});
    spike_pairs_cpu(a, channels, {1, filters});
  }
  a.after = results[2].data(), a.before = results[3].data();
  spike_pairs_cuda(a, nullptr);
  CHECK(same_bits(results[0], results[2]));
  CHECK(same_bits(results[1], results[3]));
}

template <class T>
void traces(const Sides<T>& sides, Random& random) {
  const auto start = random.values<T>(batch * sides.synapses(), -1, 1);
  auto cpu = start, kernel = start;
  eligibility_step_cpu({sides.args, 0.9, cpu.data()}, 0, 1);
  eligibility_step_cpu({sides.args, 0.9, cpu.data()}, 1, sides.args.filters);
  eligibility_step_cuda({sides.args, 0.9, kernel.data()}, nullptr);
  CHECK(same_bits(cpu, kernel));
  std::vector<T> sum(sides.synapses()), other(sides.synapses());
  eligibility_sum_cpu({sides.args.type, batch, sides.synapses(), cpu.data(), start.data(), sum.data()}, 0,
                      sides.synapses());
  eligibility_sum_cuda({sides.args.type, batch, sides.synapses(), cpu.data(), start.data(), other.data()}, nullptr);
  CHECK(same_bits(sum, other));
}

}  // namespace

int main() {
  for_each_type([](auto scalar) {
    Random random(8);
    for (const CorrelateArgs& map : maps())
      for (int how = 0; how < 4; ++how) {
        Sides<decltype(scalar)> sides(map, random, how & 1, how & 2);
        traces(sides, random);
        pairs(sides);
      }
  });
  return failed_checks;
}
