// What learning rules compute for each synapse: the CPU loops, in parts, and the emulated kernels bit for bit alike.
#include "check.h"
#include "core/plasticity.h"
#include "cuda_emu.h"

using namespace inferno;

namespace {

struct Map {
  int64_t batch, channels, filters, slots;
  ConvAxis rows, columns;
  bool direct;
  int64_t pixels() const { return channels * rows.input * columns.input; }
  int64_t places() const { return filters * rows.output * columns.output; }
  int64_t synapses() const { return filters * (direct ? 1 : channels) * rows.kernel * columns.kernel; }
};

// A flag a value, mostly 0.
std::vector<uint8_t> flags(Random& random, int64_t count) {
  std::vector<uint8_t> out(count);
  for (uint8_t& x : out) x = random.below(4) == 0;
  return out;
}

template <class T>
struct Sides {
  using C = Compute<T>;
  Map map;
  std::vector<T> post, pre;
  std::vector<uint8_t> post_spikes, pre_spikes, ages;
  std::vector<C> factors;
  int64_t pointer = 2;

  Sides(const Map& m, Random& random) : map(m) {
    post = random.values<T>(m.batch * m.places(), -1, 1);
    pre = random.values<T>(m.slots * m.batch * m.pixels(), -1, 1);
    post_spikes = flags(random, post.size());
    pre_spikes = flags(random, pre.size());
    for (int64_t i = 0; i < m.synapses(); ++i) {
      ages.push_back(uint8_t(random.below(m.slots + 1)));
      const bool between = ages.back() > 0 && ages.back() < m.slots;
      factors.push_back(between ? C(random.uniform(0, 1)) : C(0));
    }
  }

  CorrelateArgs args(bool bool_post, bool bool_pre, bool delayed, bool linear, bool factored) const {
    CorrelateArgs a{};
    a.type = scalar_of<T>();
    a.bool_post = bool_post, a.bool_pre = bool_pre, a.byte_slots = true, a.linear = linear, a.direct = map.direct;
    a.batch = map.batch, a.channels = map.channels, a.filters = map.filters, a.slots = delayed ? map.slots : 1;
    a.rows = map.rows, a.columns = map.columns;
    a.columns.pixel_stride = 1, a.rows.pixel_stride = map.columns.input;
    a.post = bool_post ? static_cast<const void*>(post_spikes.data()) : post.data();
    a.pre = bool_pre ? static_cast<const void*>(pre_spikes.data()) : pre.data();
    a.post_column = 1, a.post_row = map.columns.output, a.post_filter = map.rows.output * map.columns.output;
    a.post_batch = map.places();
    a.pre_channel = map.rows.input * map.columns.input, a.pre_batch = map.pixels();
    a.pre_slot = map.batch * map.pixels();
    if (delayed) a.pointer = &pointer, a.slot = ages.data();
    if (delayed && factored) a.factor = factors.data();
    a.overbound = linear ? 0.5 : 0;
    a.scale = 0.25;
    return a;
  }
};

template <class T>
std::vector<T> in_parts(CorrelateArgs a, int64_t synapses) {
  std::vector<T> out(synapses);
  a.out = out.data();
  const int64_t c = a.channels / 2, f = a.filters / 2;
  for (const Span& filters : {Span{0, f}, Span{f, a.filters}})
    for (const Span& channels : {Span{0, c}, Span{c, a.channels}}) correlate_cpu(a, channels, filters);
  return out;
}

template <class T>
std::vector<T> by_kernel(CorrelateArgs a, int64_t synapses) {
  std::vector<T> out(synapses);
  a.out = out.data();
  correlate_cuda(a, nullptr);
  return out;
}

template <class T>
void correlations() {
  Random random(3);
  const ConvAxis one{1, 1, 1, 1, 0, 1, 1};
  const Map maps[] = {{1, 1, 1, 1, one, one, false},
                      {5, 17, 6, 4, one, one, false},
                      {3, 9, 9, 5, one, one, true},
                      {20, 300, 40, 3, one, one, false},
                      {2, 2, 3, 3, {5, 3, 2, 2, 1, 1, 1}, {4, 3, 2, 1, 0, 1, 1}, false}};
  for (const Map& map : maps) {
    const Sides<T> sides(map, random);
    for (int how = 0; how < 32; ++how) {
      const bool factored = how & 16;
      const auto a = sides.args(how & 1, how & 2, how & 4, how & 8, factored);
      CHECK(same_bits(in_parts<T>(a, map.synapses()), by_kernel<T>(a, map.synapses())));
    }
  }
}

}  // namespace

int main() {
  for_each_type([](auto scalar) { correlations<decltype(scalar)>(); });
  return failed_checks;
}
