// What the test programs share. CHECK reports and counts what does not hold; main() returns the count.
#pragma once
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "core/scalar.h"

inline int failed_checks = 0;

#define CHECK(...)                                                          \
  do {                                                                      \
    if (!(__VA_ARGS__)) {                                                   \
      ++failed_checks;                                                      \
      std::printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #__VA_ARGS__); \
    }                                                                       \
  } while (false)

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || !std::memcmp(a.data(), b.data(), a.size() * sizeof(T)));
}

// Always the same numbers for the same seed, on every machine.
class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}

  double uniform(double low, double high) { return low + (high - low) * (engine_() / 4294967296.0); }
  int64_t below(int64_t end) { return engine_() % end; }

  template <class T>
  std::vector<T> values(int64_t count, double low, double high) {
    std::vector<T> out(count);
    for (T& x : out) x = inferno::store<T>(inferno::Compute<T>(uniform(low, high)));
    return out;
  }

 private:
  std::mt19937 engine_;
};

template <class T>
constexpr inferno::Scalar scalar_of() {
  if (sizeof(T) == 8) return inferno::Scalar::f64;
  if (sizeof(T) == 4) return inferno::Scalar::f32;
  return std::is_same_v<T, inferno::Half> ? inferno::Scalar::f16 : inferno::Scalar::bf16;
}

// Calls f with a value of each floating type that the kernels know.
template <class F>
void for_each_type(F&& f) {
  f(float{});
  f(double{});
  f(inferno::Half{});
  f(inferno::BFloat16{});
}
