// Updates applied to a parameter: the CPU loops, in parts, and the emulated kernels bit for bit alike.
#include "check.h"
#include "core/updates.h"
#include "cuda_emu.h"

using namespace inferno;

namespace {

const Bound none{Power::none, false, false, 0, 1};

std::vector<Bound> bounds() {
  std::vector<Bound> out{none};
  for (const Power power : {Power::one, Power::two, Power::three, Power::sharp})
    for (const bool below : {false, true}) out.push_back({power, below, below, below ? 1.5 : -0.5, 0.7});
  return out;
}

template <class T>
void dense_updates() {
  Random random(5);
  for (const int64_t count : {1, 7, 1300}) {
    const auto start = random.values<T>(count, 0, 1), pos = random.values<T>(count, 0, 1);
    const auto neg = random.values<T>(count, 0, 1);
    for (const Bound& upper : bounds())
      for (const bool both : {false, true}) {
        auto cpu = start, kernel = start;
        const auto args = [&](std::vector<T>& param) {
          return UpdateArgs{scalar_of<T>(), count, param.data(), pos.data(), both ? neg.data() : nullptr, upper, none};
        };
        apply_updates_cpu(args(cpu), 0, count / 2);
        apply_updates_cpu(args(cpu), count / 2, count);
        apply_updates_cuda(args(kernel), nullptr);
        CHECK(same_bits(cpu, kernel));
      }
  }
}

template <class T>
void outer_products() {
  Random random(6);
  const int64_t batch = 3, outputs = 11, inputs = 600;
  const auto start = random.values<T>(outputs * inputs, 0, 1);
  auto posts = random.values<T>(batch * outputs, 0, 1), pres = random.values<T>(batch * inputs, 0, 1);
  for (T& x : posts) x = random.below(3) ? T{} : x;
  std::vector<uint8_t> spikes(batch * inputs);
  for (uint8_t& x : spikes) x = random.below(50) == 0;
  OuterUpdateArgs a{};
  a.type = scalar_of<T>(), a.outputs = outputs, a.inputs = inputs, a.outers = 3;
  const Plane post{posts.data(), outputs, 1}, pre{pres.data(), inputs, 1}, spiking{spikes.data(), inputs, 1};
  a.outer[0] = {post, pre, false, false, batch, 0.5, false};
  a.outer[1] = {post, spiking, false, true, batch, 0.25, true};
  a.outer[2] = {{pres.data(), inputs, 1}, spiking, false, true, batch, 1, true};
  for (const Bound& upper : bounds()) {
    auto cpu = start, kernel = start;
    a.upper = upper, a.lower = none, a.param = cpu.data();
    apply_outers_cpu(a, 0, 4);
    apply_outers_cpu(a, 4, outputs);
    a.param = kernel.data();
    apply_outers_cuda(a, nullptr);
    CHECK(same_bits(cpu, kernel));
    CHECK(!same_bits(cpu, start));
  }
}

}  // namespace

int main() {
  for_each_type([](auto scalar) {
    dense_updates<decltype(scalar)>();
    outer_products<decltype(scalar)>();
  });
  return failed_checks;
}
