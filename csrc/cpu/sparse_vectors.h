// Samples as vectors of the type that they are computed in.
#pragma once
#include <cstring>
#include <type_traits>

#include "core/history.h"

namespace inferno {
namespace {

constexpr int64_t vector_bytes = 32;

template <class C>
constexpr int64_t width = vector_bytes / int64_t(sizeof(C));

template <class C>
struct VectorOf {
  typedef C type __attribute__((vector_size(vector_bytes), aligned(sizeof(C)), may_alias));
};
template <class C>
using Vector = typename VectorOf<C>::type;

template <class C>
INFERNO_HD void store_vector(C* to, Vector<C> values) {
  *reinterpret_cast<Vector<C>*>(to) = values;
}

typedef uint8_t Bytes __attribute__((vector_size(16)));

template <class C>
struct BitsOf {
  using Element = std::conditional_t<sizeof(C) == 4, int32_t, int64_t>;
  typedef Element type __attribute__((vector_size(vector_bytes)));
};
template <class C>
using Bits = typename BitsOf<C>::type;

// `width` bytes as integers. By a shuffle, since GCC 12 converts such vectors one element at a time.
template <class C>
INFERNO_HD Bits<C> widen(const void* from) {
  typedef uint64_t Words __attribute__((vector_size(16)));
  uint64_t word = 0;
  memcpy(&word, from, width<C>);
  const Bytes b = (Bytes)Words{word, 0};  // whose elements from 8 on are 0
  if constexpr (sizeof(C) == 4)
    return (Bits<C>)__builtin_shufflevector(b, b, 0, 8, 8, 8, 1, 8, 8, 8, 2, 8, 8, 8, 3, 8, 8, 8, 4, 8, 8, 8, 5, 8, 8,
                                            8, 6, 8, 8, 8, 7, 8, 8, 8);
  else
    return (Bits<C>)__builtin_shufflevector(b, b, 0, 8, 8, 8, 8, 8, 8, 8, 1, 8, 8, 8, 8, 8, 8, 8, 2, 8, 8, 8, 8, 8, 8,
                                            8, 3, 8, 8, 8, 8, 8, 8, 8);
}

// `width` samples, bool ones as 0 or `scale`.
template <class C, class H>
INFERNO_HD Vector<C> samples_at(const H* from, double scale) {
  if constexpr (std::is_same_v<H, C>) {
    return *reinterpret_cast<const Vector<C>*>(from);
  } else if constexpr (std::is_same_v<H, Bool>) {
    const Vector<C> value = Vector<C>{} + C(scale);
    return (Vector<C>)((Bits<C>)value & (Bits<C>)(widen<C>(from) != 0));
  } else {
    Vector<C> out;
    for (int64_t l = 0; l < width<C>; ++l) out[l] = load(from[l]);
    return out;
  }
}

}  // namespace
}  // namespace inferno
