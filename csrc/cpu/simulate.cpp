#include "core/simulate.h"

#include <time.h>

#include <exception>
#include <memory>
#include <tuple>

#include "cpu/step_barrier.h"
#include "cpu/target_range.h"

namespace inferno {
namespace {

double thread_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
}

// Adds what a thread computes to phases, if they are asked for.
class Stopwatch {
 public:
  explicit Stopwatch(double* phases) : phases_(phases), last_(phases ? thread_seconds() : 0) {}
  void lap(int phase) {
    if (!phases_) return;
    const double now = thread_seconds();
    phases_[phase] += now - last_;
    last_ = now;
  }

 private:
  double* phases_;
  double last_;
};

// What threads tell each other: the spikes of the last window. A window is as many steps as the smallest delay, since
// nothing that is fired within it arrives within it.
struct Exchange {
  explicit Exchange(int threads) : barrier(threads), spikes{Lists(threads), Lists(threads)} {}
  using Lists = std::vector<std::vector<Spike>>;
  StepBarrier barrier;
  Lists spikes[2];  // of this window and the last one, by thread
};

template <class C, class W>
class Worker {
 public:
  Worker(const SimulateArgs& a, int64_t first_part, int64_t last_part) : a_(a) {
    for (int64_t p = first_part; p < last_part; ++p) ranges_.push_back(std::make_unique<Range>(a, a.parts[p]));
  }

  void run(Exchange& exchange, int number, double* phases) {
    Stopwatch watch(phases);
    int parity = 0;
    for (int64_t step = 0; step < a_.steps; step += a_.min_delay, parity ^= 1) {
      const int64_t end = std::min(step + a_.min_delay, a_.steps);
      std::vector<Spike>& mine = exchange.spikes[parity][number];
      mine.clear();
      for (auto& range : ranges_) run_window(*range, step, end, mine, watch);
      keep(mine);
      // One barrier is enough: these lists are written again in the window after the next, and by then all threads have
      // passed the barrier between, behind which they no longer read them.
      if (!exchange.barrier.wait()) return;
      for (auto& range : ranges_)
        for (const auto& list : exchange.spikes[parity]) range->receive(list, end);
      watch.lap(2);
    }
  }

  const std::vector<Spike>& recorded() const { return recorded_; }
  const std::vector<Spike>& flight() const { return flight_; }

 private:
  using Range = TargetRange<C, W>;

  void run_window(Range& range, int64_t step, int64_t end, std::vector<Spike>& spikes, Stopwatch& watch) {
    for (; step < end; ++step) {
      range.deliver(step);
      watch.lap(0);
      range.update(step, spikes);
      watch.lap(1);
    }
  }

  void keep(const std::vector<Spike>& spikes) {
    for (const Spike& spike : spikes) {
      if (a_.counts) a_.counts[spike.trial * a_.neurons + spike.neuron] += 1;
      if (a_.record && a_.record[spike.neuron]) recorded_.push_back(spike);
      if (spike.step + a_.max_delay >= a_.steps) flight_.push_back(spike);
    }
  }

  const SimulateArgs& a_;
  std::vector<std::unique_ptr<Range>> ranges_;
  std::vector<Spike> recorded_, flight_;
};

void sort_spikes(std::vector<Spike>& spikes) {
  const auto before = [](const Spike& a, const Spike& b) {
    return std::tie(a.step, a.trial, a.neuron) < std::tie(b.step, b.trial, b.neuron);
  };
  if (!std::is_sorted(spikes.begin(), spikes.end(), before)) std::sort(spikes.begin(), spikes.end(), before);
}

template <class C, class W>
SimulateResult simulate_all(const SimulateArgs& a) {
  const int threads = int(std::max<int64_t>(1, std::min<int64_t>(a.threads, a.parts_count)));
  Exchange exchange(threads);
  std::vector<std::unique_ptr<Worker<C, W>>> workers(threads);
  std::vector<std::exception_ptr> errors(threads);
  const auto work = [&](int number) {
    try {
      // made by its own thread, so that its memory is near
      workers[number] =
          std::make_unique<Worker<C, W>>(a, a.parts_count * number / threads, a.parts_count * (number + 1) / threads);
      workers[number]->run(exchange, number, a.phases ? a.phases + 3 * number : nullptr);
    } catch (...) {
      errors[number] = std::current_exception();
      exchange.barrier.give_up();
    }
  };
  std::vector<std::thread> others;
  try {
    for (int number = 1; number < threads; ++number) others.emplace_back(work, number);
    work(0);
  } catch (...) {  // the system gave no more threads
    errors[0] = std::current_exception();
    exchange.barrier.give_up();
  }
  for (std::thread& other : others) other.join();
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);

  SimulateResult result;
  for (const auto& worker : workers) {
    result.recorded.insert(result.recorded.end(), worker->recorded().begin(), worker->recorded().end());
    result.flight.insert(result.flight.end(), worker->flight().begin(), worker->flight().end());
  }
  sort_spikes(result.recorded);
  sort_spikes(result.flight);
  return result;
}

}  // namespace

SimulateResult simulate_cpu(const SimulateArgs& a) {
  if (a.type == Scalar::f32) return a.wide ? simulate_all<float, double>(a) : simulate_all<float, int32_t>(a);
  return a.wide ? simulate_all<double, double>(a) : simulate_all<double, int32_t>(a);
}

}  // namespace inferno
