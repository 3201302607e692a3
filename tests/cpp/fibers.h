// Runs the threads of a block as fibers on one CPU thread; cuda_emu.h builds CUDA on it.
//
// A fiber runs one thread of the block after another until one of them has to wait. That fiber is then parked with its
// thread, and another takes over. A kernel that never waits is therefore a plain loop over its threads.
#pragma once
#include <ucontext.h>

#include <csetjmp>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace emu {

struct error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

constexpr size_t stack_bytes = 256 << 10;
constexpr int warp_size = 32;

inline bool reversed = false;

// A place where execution can go on: the scheduler's own stack, or a fiber's.
struct Context {
  jmp_buf state;
  const void* stack = nullptr;
  size_t size = 0;
  void* fake_stack = nullptr;  // ASan's
};

struct Fiber : Context {
  std::unique_ptr<char[]> memory{new char[stack_bytes]};
  ucontext_t start;
  bool started = false;
};

enum class Wait { nothing, block, warp, finished };

struct Thread {
  Wait wait;
  Fiber* fiber;      // where it is parked
  const char* site;  // of the barrier or exchange it waits at
  unsigned mask;     // the lanes that it waits for
  unsigned peers;    // the lanes that took part in its last exchange
  uint64_t value;    // what it gives to an exchange
  uint64_t given;    // the same, kept for its peers until the next exchange
};

inline std::function<void()> kernel_call;        // runs the selected thread
inline std::function<void(unsigned)> on_select;  // is told which one that is
inline std::vector<Thread> threads;
inline int next_thread, current_thread;
inline std::vector<std::unique_ptr<Fiber>> fibers;
inline std::vector<Fiber*> idle;
inline Fiber* current_fiber = nullptr;
inline Context scheduler;
inline std::exception_ptr failure;

inline void select_thread(int i) {
  current_thread = i;
  on_select(unsigned(i));
}

// ASan keeps the bounds of the stack it is on, and has to be told of a new one on both sides of the switch.
inline void announce(Context& from, const Context& to) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&from.fake_stack, to.stack, to.size);
#else
  (void)from, (void)to;
#endif
}

inline void arrive(const Context& here, Context& from) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(here.fake_stack, &from.stack, &from.size);
#else
  (void)here, (void)from;
#endif
}

inline void leave_fiber(Fiber& fiber) {
  announce(fiber, scheduler);
  if (!_setjmp(fiber.state)) _longjmp(scheduler.state, 1);
  arrive(fiber, scheduler);
}

inline void fiber_main() {
  arrive(*current_fiber, scheduler);
  for (;;) {
    const int count = threads.size();
    while (next_thread < count && !failure) {
      const int i = next_thread++;
      select_thread(reversed ? count - 1 - i : i);
      try {
        kernel_call();
      } catch (...) {
        failure = std::current_exception();
      }
      threads[current_thread].wait = Wait::finished;
    }
    idle.push_back(current_fiber);
    leave_fiber(*current_fiber);
  }
}

inline void enter_fiber(Fiber& fiber) {
  current_fiber = &fiber;
  announce(scheduler, fiber);
  if (!_setjmp(scheduler.state)) {
    if (fiber.started) _longjmp(fiber.state, 1);
    fiber.started = true;
    setcontext(&fiber.start);
  }
  arrive(scheduler, fiber);
}

inline Fiber& idle_fiber() {
  if (idle.empty()) {
    Fiber& fiber = *fibers.emplace_back(std::make_unique<Fiber>());
    fiber.stack = fiber.memory.get();
    fiber.size = stack_bytes;
    getcontext(&fiber.start);
    fiber.start.uc_stack.ss_sp = fiber.memory.get();
    fiber.start.uc_stack.ss_size = stack_bytes;
    makecontext(&fiber.start, fiber_main, 0);
    idle.push_back(&fiber);
  }
  Fiber& fiber = *idle.back();
  idle.pop_back();
  return fiber;
}

inline void wait_for(Wait wait, const char* site, unsigned mask = 0, uint64_t value = 0) {
  Thread& thread = threads[current_thread];
  thread.wait = wait;
  thread.fiber = current_fiber;
  thread.site = site;
  thread.mask = mask;
  thread.value = value;
  leave_fiber(*current_fiber);
}

// The lanes of thread i's warp that it can exchange with now, or 0 while one of them has yet to come.
inline unsigned complete_group(int i) {
  const Thread& thread = threads[i];
  const int first = i - i % warp_size;
  unsigned group = 0;
  for (int lane = 0; lane < warp_size && first + lane < int(threads.size()); ++lane) {
    const Thread& other = threads[first + lane];
    if (!(thread.mask >> lane & 1) || other.wait == Wait::finished) continue;
    const bool there = other.wait == Wait::warp && other.mask == thread.mask && !std::strcmp(other.site, thread.site);
    if (!there) return 0;
    group |= 1u << lane;
  }
  return group;
}

inline bool release_warps() {
  bool released = false;
  for (int i = 0; i < int(threads.size()); ++i) {
    const unsigned group = threads[i].wait == Wait::warp ? complete_group(i) : 0;
    for (int lane = 0; group >> lane % warp_size && lane < warp_size; ++lane) {
      if (!(group >> lane & 1)) continue;
      Thread& peer = threads[i - i % warp_size + lane];
      peer.wait = Wait::nothing;
      peer.peers = group;
      peer.given = peer.value;
      released = true;
    }
  }
  return released;
}

inline bool release_block() {
  for (const Thread& thread : threads)
    if (thread.wait != Wait::block || std::strcmp(thread.site, threads[0].site)) return false;
  for (Thread& thread : threads) thread.wait = Wait::nothing;
  return true;
}

inline std::string describe_threads() {
  std::string text;
  const auto place = [](const Thread& t) { return t.wait == Wait::finished ? std::string("the end") : t.site; };
  for (size_t i = 0; i < threads.size(); ++i)
    if (i == 0 || place(threads[i]) != place(threads[i - 1]))
      text += "\n  from thread " + std::to_string(i) + ": at " + place(threads[i]);
  return text;
}

inline void run_threads() {
  while (next_thread < int(threads.size()) && !failure) enter_fiber(idle_fiber());
  while (!failure) {
    bool waiting = false;
    for (const Thread& thread : threads) waiting |= thread.wait != Wait::finished;
    if (!waiting) return;
    if (!release_warps() && !release_block())
      throw error("threads of one block wait at different places:" + describe_threads());
    const int count = threads.size();
    for (int k = 0; k < count && !failure; ++k) {
      const int i = reversed ? count - 1 - k : k;
      if (threads[i].wait != Wait::nothing) continue;
      select_thread(i);
      enter_fiber(*threads[i].fiber);
    }
  }
  std::rethrow_exception(std::exchange(failure, nullptr));
}

// Runs all threads of one block, to their ends.
inline void run_block(int count) {
  next_thread = 0;
  threads.assign(count, Thread{});
  try {
    run_threads();
  } catch (...) {
    idle.clear();
    fibers.clear();
    throw;
  }
}

}  // namespace emu
