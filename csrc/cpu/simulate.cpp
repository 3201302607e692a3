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
using Ranges = std::vector<std::unique_ptr<TargetRange<C, W>>>;

template <class C, class W>
class Worker {
 public:
  // The ranges first..last-1 of all are its own; it makes them itself, so that their memory is near.
  Worker(const SimulateArgs& a, Exchange& exchange, Ranges<C, W>& all, int64_t first, int64_t last, int number,
         double* phases)
      : a_(a), exchange_(exchange), all_(all), first_(first), last_(last), number_(number), watch_(phases) {
    for (int64_t p = first; p < last; ++p) all[size_t(p)] = std::make_unique<Range>(a, a.parts[p]);
  }

  void run() {
    // the ranges of all threads have to be there before they are helped with
    if (!exchange_.barrier.wait([] { return false; })) return;
    int parity = 0;
    for (int64_t step = 0; step < a_.steps; step += a_.min_delay, parity ^= 1) {
      const int64_t end = std::min(step + a_.min_delay, a_.steps);
      std::vector<Spike>& mine = exchange_.spikes[parity][size_t(number_)];
      mine.clear();
      Stepper stepper(a_, mine);
      for (int64_t p = first_; p < last_; ++p)
        if (!run_window(*all_[size_t(p)], step, end, stepper)) return;
      // One barrier is enough: these lists are written again in the window after the next, and by then all threads have
      // passed the barrier between, behind which they no longer read them.
      if (!exchange_.barrier.wait([&] { return help(end, stepper); })) return;
      keep(mine);
      for (int64_t p = first_; p < last_; ++p)
        for (const auto& list : exchange_.spikes[parity]) all_[size_t(p)]->receive(list, end);
      watch_.lap(2);
    }
  }

  const std::vector<Spike>& recorded() const { return recorded_; }
  const std::vector<Spike>& flight() const { return flight_; }

 private:
  using Range = TargetRange<C, W>;
  using Stepper = TileStepper<C, W>;

  bool run_window(Range& range, int64_t step, int64_t end, Stepper& stepper) {
    for (; step < end; ++step) {
      range.deliver(step);
      watch_.lap(0);
      range.open(step);
      while (range.step_some(step + 1, stepper)) {
      }
      if (!exchange_.barrier.until([&] { return range.stepped(); }, [] { return false; })) return false;
      range.close(step, stepper);
      watch_.lap(1);
    }
    return true;
  }

  // Steps neurons of another thread, which comes to its barrier the sooner. A thread that is behind the barrier already
  // may have opened its next step; what is fired in that is not of this window, which ends before step `end`.
  bool help(int64_t end, Stepper& stepper) {
    for (auto& range : all_)
      if (range->step_some(end, stepper)) return true;
    return false;
  }

  void keep(const std::vector<Spike>& spikes) {
    for (const Spike& spike : spikes) {
      if (a_.record && a_.record[spike.neuron]) recorded_.push_back(spike);
      if (spike.step + a_.max_delay >= a_.steps) flight_.push_back(spike);
    }
  }

  const SimulateArgs& a_;
  Exchange& exchange_;
  Ranges<C, W>& all_;
  const int64_t first_, last_;
  const int number_;
  Stopwatch watch_;
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
  Ranges<C, W> ranges(size_t(a.parts_count));
  std::vector<std::unique_ptr<Worker<C, W>>> workers(threads);
  std::vector<std::exception_ptr> errors(threads);
  const auto work = [&](int number) {
    try {
      const int64_t first = a.parts_count * number / threads, last = a.parts_count * (number + 1) / threads;
      double* phases = a.phases ? a.phases + 3 * number : nullptr;
      workers[number] = std::make_unique<Worker<C, W>>(a, exchange, ranges, first, last, number, phases);
      workers[number]->run();
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
