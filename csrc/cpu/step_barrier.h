// Where the threads of one run wait for each other.
#pragma once
#include <atomic>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace inferno {

class StepBarrier {
 public:
  explicit StepBarrier(int threads) : threads_(threads) {}

  // Returns whether all threads arrived; false once one of them gave up. Until then help() may do something for the
  // others, and says whether it did.
  template <class F>
  bool wait(F&& help) {
    const int64_t all = (arrived_.fetch_add(1, std::memory_order_acq_rel) / threads_ + 1) * threads_;
    return until([&] { return arrived_.load(std::memory_order_acquire) >= all; }, help);
  }

  // The same, for anything else that other threads bring about.
  template <class Done, class F>
  bool until(Done&& done, F&& help) {
    for (int spins = 0; !done(); ++spins) {
      if (gave_up_.load(std::memory_order_relaxed)) return false;
      if (help()) spins = 0;
      // Where others need the processor, the thread that is waited for may be one of them.
      spins < 1024 ? pause() : std::this_thread::yield();
    }
    return !gave_up_.load(std::memory_order_relaxed);
  }

  void give_up() { gave_up_.store(true); }

 private:
  static void pause() {
#if defined(__x86_64__)
    _mm_pause();
#endif
  }

  const int threads_;
  alignas(64) std::atomic<int64_t> arrived_{0};
  alignas(64) std::atomic<bool> gave_up_{false};
};

}  // namespace inferno
