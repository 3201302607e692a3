// The LIF step: worked numbers, and the CPU loops and the emulated kernels bit for bit alike.
#include "check.h"
#include "core/args.h"

using namespace inferno;

namespace {

template <class T>
struct Population {
  std::vector<T> voltage, refrac, inputs;
  std::vector<uint8_t> spikes;

  // Skips `shift` elements, so that vectors of four do not start at an aligned address.
  LifArgs args(int64_t shift = 0) {
    LifArgs a{};
    a.type = scalar_of<T>();
    a.count = int64_t(voltage.size()) - shift;
    a.voltage_in = a.voltage = voltage.data() + shift;
    a.refrac_in = a.refrac = refrac.data() + shift;
    a.inputs = inputs.data() + shift;
    a.spikes = spikes.data() + shift;
    a.dt = 1;
    a.decay = 0.5;
    a.rest_v = -60;
    a.reset_v = -65;
    a.thresh_v = -50;
    a.refrac_t = 2;
    a.resistance = 1;
    a.refrac_lock = true;
    return a;
  }
};

// A current of 16 nA through 1 MOhm, half of the way to its end point in every step.
template <class T>
void worked_numbers() {
  const std::vector<double> locked{-52, -65, -65, -54.5, -65, -65, -54.5};
  const std::vector<double> unlocked{-52, -65, -62.5, -53.25, -65, -62.5, -53.25};
  const std::vector<double> countdown{0, 2, 1, 0, 2, 1, 0};
  for (const bool lock : {true, false})
    for (auto* run : {+[](const LifArgs& a) { lif_step_cpu(a, 0, a.count); },
                      +[](const LifArgs& a) { lif_step_cuda(a, nullptr); }}) {
      const Compute<T> rest = -60, current = 16;
      Population<T> p{{store<T>(rest)}, {store<T>(Compute<T>(0))}, {store<T>(current)}, {9}};
      LifArgs a = p.args();
      a.refrac_lock = lock;
      for (size_t step = 0; step < locked.size(); ++step) {
        run(a);
        CHECK(load(p.voltage[0]) == Compute<T>(lock ? locked[step] : unlocked[step]));
        CHECK(load(p.refrac[0]) == Compute<T>(countdown[step]));
        CHECK(p.spikes[0] == (step == 1 || step == 4));
      }
    }
}

template <class T>
void cpu_and_kernel_agree() {
  int64_t spikes = 0;
  for (const int64_t count : {0, 1, 3, 8, 31, 255, 1000})
    for (const int64_t shift : {0, 1})
      for (const bool lock : {true, false}) {
        Random random{uint32_t(count)};
        Population<T> cpu{random.values<T>(count + shift, -70, -45),
                          random.values<T>(count + shift, -1, 4),
                          {},
                          std::vector<uint8_t>(count + shift, 9)};
        Population<T> kernel = cpu;
        for (int step = 0; step < 20; ++step) {
          cpu.inputs = kernel.inputs = random.values<T>(count + shift, -20, 60);
          LifArgs on_cpu = cpu.args(shift), on_kernel = kernel.args(shift);
          on_cpu.refrac_lock = on_kernel.refrac_lock = lock;
          on_cpu.decay = on_kernel.decay = 0.951229424500714;
          const int64_t middle = random.below(count + 1);
          lif_step_cpu(on_cpu, middle, count);
          lif_step_cpu(on_cpu, 0, middle);
          lif_step_cuda(on_kernel, nullptr);
          CHECK(same_bits(cpu.voltage, kernel.voltage));
          CHECK(same_bits(cpu.refrac, kernel.refrac));
          CHECK(cpu.spikes == kernel.spikes);
          for (int64_t i = shift; i < count + shift; ++i) spikes += cpu.spikes[i];
        }
      }
  CHECK(spikes > 100);
}

template <class T>
void outputs_apart_from_inputs() {
  Random random(1);
  Population<T> p{random.values<T>(77, -70, -45), random.values<T>(77, -1, 4), random.values<T>(77, -20, 60),
                  std::vector<uint8_t>(77, 9)};
  Population<T> in_place = p;
  const std::vector<T> voltage = p.voltage;
  std::vector<T> voltage_out(77), refrac_out(77);
  LifArgs a = p.args();
  a.voltage = voltage_out.data();
  a.refrac = refrac_out.data();
  lif_step_cuda(a, nullptr);
  lif_step_cpu(in_place.args(), 0, 77);
  CHECK(same_bits(voltage_out, in_place.voltage));
  CHECK(same_bits(refrac_out, in_place.refrac));
  CHECK(p.spikes == in_place.spikes);
  CHECK(same_bits(p.voltage, voltage));
}

}  // namespace

int main() {
  for_each_type([](auto type) {
    worked_numbers<decltype(type)>();
    cpu_and_kernel_agree<decltype(type)>();
    outputs_apart_from_inputs<decltype(type)>();
  });
  return failed_checks;
}
