// Finding the few values of a line that are not 0.
#pragma once
#include <cstring>

#include "core/history.h"

namespace inferno {
namespace {

template <class H>
INFERNO_HD bool is_set(H value) {
  return sample_value<H, double>(value, 1) != 0;
}
template <>
INFERNO_HD bool is_set<float>(float value) {
  return value != 0;
}
template <>
INFERNO_HD bool is_set<Bool>(Bool value) {
  return value.value != 0;
}
template <>
INFERNO_HD bool is_set<Half>(Half value) {
  return (value.bits & 0x7fff) != 0;
}
template <>
INFERNO_HD bool is_set<BFloat16>(BFloat16 value) {
  return (value.bits & 0x7fff) != 0;
}

constexpr int64_t set_group = 8;

// By their bits, of which a sign alone does not count.
template <class H>
INFERNO_HD bool any_set(const H* from) {
  constexpr uint64_t values = sizeof(H) == 1   ? ~uint64_t(0)
                              : sizeof(H) == 2 ? 0x7fff7fff7fff7fff
                              : sizeof(H) == 4 ? 0x7fffffff7fffffff
                                               : 0x7fffffffffffffff;
  uint64_t words[sizeof(H)], all = 0;
  memcpy(words, from, sizeof words);
  for (const uint64_t word : words) all |= word;
  return (all & values) != 0;
}

// Calls f with every place of a line that is not 0, the last first. Eight are looked at at once, and those among which
// there is one are noted without a branch, which would be guessed wrong.
template <class H, class F>
INFERNO_HD void for_set(const H* line, int64_t count, int64_t stride, F&& f) {
  constexpr int64_t most = 128;
  int64_t i = count;
  if (stride == 1)
    while (i >= set_group) {
      int64_t groups[most], found = 0;
      for (int64_t k = 0; k < most && i >= set_group; ++k, i -= set_group) {
        groups[found] = i - set_group;
        found += any_set(line + i - set_group);
      }
      for (int64_t g = 0; g < found; ++g) {
        uint32_t set = 0;
        for (int64_t k = 0; k < set_group; ++k) set |= uint32_t(is_set(line[groups[g] + k])) << k;
        do {
          const int top = 31 - __builtin_clz(set);
          set ^= 1u << top;
          f(groups[g] + top);
        } while (set);
      }
    }
  for (--i; i >= 0; --i)
    if (is_set(line[i * stride])) f(i);
}

}  // namespace
}  // namespace inferno
