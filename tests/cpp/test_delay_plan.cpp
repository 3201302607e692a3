// Delay plans: worked numbers, and the CPU loops and the emulated kernels bit for bit alike.
#include <cmath>

#include "check.h"
#include "core/history.h"

using namespace inferno;

namespace {

struct Plan {
  std::vector<int32_t> slot;
  std::vector<double> factor;
};

Plan plan(const std::vector<double>& delay, const TimeGrid& grid, int64_t slots, bool clamp) {
  Plan p{std::vector<int32_t>(delay.size(), -1), std::vector<double>(delay.size(), -1)};
  delay_plan_cpu(
      {Scalar::f64, false, int64_t(delay.size()), slots, grid, clamp, delay.data(), p.slot.data(), p.factor.data()}, 0,
      delay.size());
  return p;
}

// Five slots 0.5 ms apart. 0.75 ms lies between ages 1 and 2; 2.5 ms and -1 ms are out of range.
void worked_numbers() {
  const std::vector<double> delay{0, 0.5, 0.75, 0.9, 2, 2.5, -1};
  TimeGrid grid{0.5, 2.0, 0.0, 10.0, 0x1p-52, 4, Interp::previous};
  CHECK(plan(delay, grid, 5, false).slot == std::vector<int32_t>{0, 1, 2, 2, 4, 5, 5});
  CHECK(plan(delay, grid, 5, true).slot == std::vector<int32_t>{0, 1, 2, 2, 4, 4, 0});
  CHECK(plan(delay, grid, 5, false).factor == std::vector<double>(7, 1.0));
  grid.mode = Interp::next;
  CHECK(plan(delay, grid, 5, false).slot == std::vector<int32_t>{0, 1, 1, 1, 4, 5, 5});
  grid.mode = Interp::nearest;
  CHECK(plan(delay, grid, 5, false).slot == std::vector<int32_t>{0, 1, 2, 2, 4, 5, 5});
  grid.mode = Interp::linear;
  const Plan linear = plan(delay, grid, 5, false);
  CHECK(linear.slot == std::vector<int32_t>{0, 1, 2, 2, 4, 5, 5});
  CHECK(linear.factor[2] == 0.5 && std::abs(linear.factor[3] - 0.2) < 1e-12);
  CHECK(linear.factor[0] == 0 && linear.factor[4] == 0 && linear.factor[5] == 0);
  grid.mode = Interp::expdecay;
  const Plan decayed = plan(delay, grid, 5, false);
  CHECK(std::abs(decayed.factor[2] - std::exp(-0.025)) < 1e-15);
  CHECK(decayed.factor[1] == 1 && decayed.factor[5] == 1);
}

// 0.1 ms has no exact binary value: a delay of three steps is neither more nor less than three.
void rounding_stays_on_the_grid() {
  const TimeGrid grid{0.1, 10.0, 0.0, 10.0, 0x1p-52, 100, Interp::previous};
  for (int k = 0; k <= 100; ++k) {
    const Lookup<double> at = lookup(k * 0.1, grid);
    CHECK(at.older == k && at.newer == k && at.inside);
  }
  CHECK(lookup(0.1 * 3 * (1 + 1e-9), grid).older == 4);
}

template <class T, class Slot>
void cpu_and_kernel_agree() {
  for (const Interp mode : {Interp::previous, Interp::next, Interp::nearest, Interp::linear, Interp::expdecay})
    for (const bool clamp : {true, false})
      for (const int64_t count : {0, 1, 300, 1001}) {
        Random random{uint32_t(count)};
        std::vector<T> delay = random.values<T>(count, -1, 22);
        for (int64_t i = 0; i < count; i += 3) delay[i] = T(0.3) * T(random.below(70));
        if (count > 1) delay[1] = T(NAN);
        std::vector<Slot> cpu_slot(count, 99), kernel_slot(count, 98);
        std::vector<T> cpu_factor(count, 99), kernel_factor(count, 98);
        const double eps = sizeof(T) == 8 ? 0x1p-52 : 0x1p-23;
        DelayPlanArgs a{
            scalar_of<T>(),  sizeof(Slot) == 1, count, 67, {0.3, 19.8, 1e-7, 3.0, eps, 66, mode}, clamp, delay.data(),
            cpu_slot.data(), cpu_factor.data()};
        const int64_t middle = random.below(count + 1);
        delay_plan_cpu(a, middle, count);
        delay_plan_cpu(a, 0, middle);
        a.slot = kernel_slot.data();
        a.factor = kernel_factor.data();
        delay_plan_cuda(a, nullptr);
        CHECK(cpu_slot == kernel_slot);
        CHECK(same_bits(cpu_factor, kernel_factor));
        for (const Slot slot : cpu_slot) CHECK(slot <= 67);
      }
}

}  // namespace

int main() {
  worked_numbers();
  rounding_stays_on_the_grid();
  cpu_and_kernel_agree<float, uint8_t>();
  cpu_and_kernel_agree<float, int32_t>();
  cpu_and_kernel_agree<double, uint8_t>();
  cpu_and_kernel_agree<double, int32_t>();
  return failed_checks;
}
