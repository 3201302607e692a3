// Ring pushes and gathers: worked numbers, and the CPU loops and the emulated kernels bit for bit alike.
#include <algorithm>
#include <cmath>

#include "check.h"
#include "core/history.h"

using namespace inferno;

namespace {

constexpr Interp modes[] = {Interp::previous, Interp::next, Interp::nearest, Interp::linear, Interp::expdecay};

TimeGrid grid_of(double dt, int64_t slots, Interp mode) {
  return {dt, dt * double(slots - 1), 0.0, 5.0, 0x1p-52, slots - 1, mode};
}

// The ways to lay [slots, batch, rest] out in memory: which dimension is innermost, and which outermost.
Ring ring_of(int64_t slots, int64_t batch, int64_t rest, int order, const int64_t* pointer) {
  const int64_t sizes[] = {slots, batch, rest};
  const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {2, 0, 1}, {1, 2, 0}};
  int64_t strides[3], step = 1;
  for (int k = 2; k >= 0; --k) {
    strides[orders[order][k]] = step;
    step *= sizes[orders[order][k]];
  }
  return {slots, batch, rest, strides[0], strides[1], strides[2], pointer};
}

void ring_slots() {
  CHECK(ring_slot(0, 1, 4) == 3);
  CHECK(ring_slot(2, 1, 4) == 1);
  CHECK(ring_slot(2, 3, 4) == 3);
  CHECK(ring_slot(1, 4, 4) == 1);
  CHECK(ring_slot(0, 9, 4) == 3);
  CHECK(ring_slot(3, -2, 4) == 1);
}

template <class T>
void pushes_agree() {
  for (int order = 0; order < 4; ++order)
    for (const bool transposed : {false, true}) {
      const int64_t slots = 3, batch = 37, rest = 45, count = batch * rest;
      Random random(order);
      std::vector<T> cpu(slots * count, T{}), kernel = cpu;
      int64_t cpu_pointer = 1, kernel_pointer = 1;
      for (int step = 0; step < 5; ++step) {
        std::vector<T> obs(count);
        for (T& x : obs) x = T(random.below(200));
        const int64_t batch_stride = transposed ? 1 : rest, rest_stride = transposed ? batch : 1;
        const HistoryPushArgs on_cpu{ring_of(slots, batch, rest, order, &cpu_pointer),
                                     sizeof(T),
                                     cpu.data(),
                                     &cpu_pointer,
                                     obs.data(),
                                     batch_stride,
                                     rest_stride};
        const HistoryPushArgs on_kernel{ring_of(slots, batch, rest, order, &kernel_pointer),
                                        sizeof(T),
                                        kernel.data(),
                                        &kernel_pointer,
                                        obs.data(),
                                        batch_stride,
                                        rest_stride};
        int64_t cuts[] = {0, random.below(rest), random.below(rest), rest};
        std::sort(std::begin(cuts), std::end(cuts));
        for (int part = 0; part < 3; ++part) history_push_cpu(on_cpu, cuts[part], cuts[part + 1]);
        const int64_t written = cpu_pointer;
        history_advance_cpu(on_cpu);
        history_push_cuda(on_kernel, nullptr);
        CHECK(cpu_pointer == (written + 1) % slots);
        CHECK(kernel_pointer == cpu_pointer);
        CHECK(cpu == kernel);
        const Ring& ring = on_cpu.ring;
        CHECK(cpu[written * ring.slot_stride + 5 * ring.batch_stride + 7 * ring.rest_stride] ==
              obs[5 * batch_stride + 7 * rest_stride]);
      }
    }
}

// Four samples 2 ms apart, from the oldest: 8, 4, 2, 1.
void worked_numbers() {
  const int64_t pointer = 2;
  const float data[] = {2, 1, 8, 4};
  const double times[] = {0, 2, 6, 1, 0.5, 1.5, 2.0000000000000004, 7, -1};
  const float expected[][9] = {{1, 2, 8, 2, 2, 2, 2, 8, 1},
                               {1, 2, 8, 1, 1, 1, 2, 8, 1},
                               {1, 2, 8, 2, 1, 2, 2, 8, 1},
                               {1, 2, 8, 1.5, 1.25, 1.75, 2, 8, 1}};
  for (int mode = 0; mode < 4; ++mode)
    for (const bool clamp : {true, false}) {
      float out[9];
      HistoryGatherArgs a{Scalar::f32,
                          Scalar::f64,
                          {4, 1, 1, 1, 1, 1, &pointer},
                          grid_of(2, 4, modes[mode]),
                          data,
                          times,
                          9,
                          9,
                          9,
                          1,
                          out,
                          1,
                          clamp,
                          -5};
      history_gather_cpu(a, 0, 9);
      for (int k = 0; k < 9; ++k) CHECK(out[k] == (clamp || k < 7 ? expected[mode][k] : -5));
    }
  // 0.5 ms after the older sample, which has decayed with a time constant of 5 ms.
  double older = 2, time = 1.5, out;
  const double samples[] = {older, 1, 8, 4};
  HistoryGatherArgs a{Scalar::f64,
                      Scalar::f64,
                      {4, 1, 1, 1, 1, 1, &pointer},
                      grid_of(2, 4, Interp::expdecay),
                      samples,
                      &time,
                      1,
                      1,
                      1,
                      1,
                      &out,
                      1,
                      true,
                      0};
  history_gather_cpu(a, 0, 1);
  CHECK(std::abs(out - older * std::exp(-0.1)) < 1e-15);
}

template <class T, class Time>
void gathers_agree() {
  const int64_t slots = 6, batch = 3, rest = 11;
  for (const Interp mode : modes)
    for (int order = 0; order < 4; ++order)
      for (const int64_t depth : {1, 4})
        for (const bool clamp : {true, false}) {
          Random random(order);
          int64_t pointer = random.below(slots);
          const std::vector<T> data = random.values<T>(slots * batch * rest, -3, 3);
          // One row of times for the whole batch, as an expanded view gives it.
          std::vector<Time> time = random.values<Time>(rest * depth, -1, 8);
          time[1] = Time(NAN);
          time[2] = Time(0.1) * 3;
          time[3] = Time(0.7);
          std::vector<T> cpu(batch * rest * depth), kernel(cpu.size());
          HistoryGatherArgs a{scalar_of<T>(),
                              scalar_of<Time>(),
                              ring_of(slots, batch, rest, order, &pointer),
                              grid_of(mode == Interp::next ? 1.3 : 0.1, slots, mode),
                              data.data(),
                              time.data(),
                              depth,
                              0,
                              depth,
                              1,
                              cpu.data(),
                              order,
                              clamp,
                              0.5};
          a.grid.eps = sizeof(Time) == 8 ? 0x1p-52 : 0x1p-23;
          const int64_t positions = rest * depth, middle = random.below(positions + 1);
          history_gather_cpu(a, middle, positions);
          history_gather_cpu(a, 0, middle);
          a.out = kernel.data();
          history_gather_cuda(a, nullptr);
          CHECK(same_bits(cpu, kernel));
        }
}

void bool_history() {
  const int64_t pointer = 0;
  const uint8_t data[] = {1, 0, 1};
  const float times[] = {0, 1, 2, 3};
  uint8_t cpu[4], kernel[4];
  HistoryGatherArgs a{Scalar::boolean,
                      Scalar::f32,
                      {3, 1, 1, 1, 1, 1, &pointer},
                      grid_of(1, 3, Interp::previous),
                      data,
                      times,
                      4,
                      4,
                      4,
                      1,
                      cpu,
                      1,
                      false,
                      1.0};
  history_gather_cpu(a, 0, 4);
  a.out = kernel;
  history_gather_cuda(a, nullptr);
  const uint8_t expected[] = {1, 0, 1, 1};
  CHECK(std::equal(cpu, cpu + 4, expected));
  CHECK(std::equal(kernel, kernel + 4, expected));
}

}  // namespace

int main() {
  ring_slots();
  pushes_agree<uint8_t>();
  pushes_agree<uint16_t>();
  pushes_agree<uint32_t>();
  pushes_agree<uint64_t>();
  worked_numbers();
  for_each_type([](auto type) {
    gathers_agree<decltype(type), float>();
    gathers_agree<decltype(type), double>();
  });
  bool_history();
  return failed_checks;
}
