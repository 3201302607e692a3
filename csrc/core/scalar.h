// Scalar types of the kernels: how each is stored, and the type it is computed in.
#pragma once
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define INFERNO_HD __host__ __device__ __forceinline__
#else
#define INFERNO_HD inline __attribute__((always_inline))
#endif

namespace inferno {

enum class Scalar : int32_t { f32, f64, f16, bf16, boolean };

struct Half {
  uint16_t bits;
};

struct BFloat16 {
  uint16_t bits;
};

INFERNO_HD uint32_t float_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

INFERNO_HD float bits_float(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

// IEEE binary16 to binary32, exact.
INFERNO_HD float half_to_float(Half h) {
  const uint32_t magnitude = uint32_t(h.bits & 0x7fff) << 13;
  const uint32_t exponent = magnitude & 0x0f800000;
  const uint32_t normal = magnitude + ((127 - 15) << 23);
  const float subnormal = bits_float(normal + (1 << 23)) - bits_float((127 - 14) << 23);
  uint32_t bits = exponent == 0 ? float_bits(subnormal) : normal;
  bits = exponent == 0x0f800000 ? normal + ((128 - 16) << 23) : bits;
  return bits_float(bits | (uint32_t(h.bits & 0x8000) << 16));
}

// IEEE binary32 to binary16, to nearest, ties to even.
INFERNO_HD Half float_to_half(float x) {
  const uint32_t bits = float_bits(x);
  const uint32_t magnitude = bits & 0x7fffffff;
  const uint32_t sign = (bits >> 16) & 0x8000;
  // Adding 0.5 leaves the subnormal's bits, rounded by the addition itself, at the bottom of the sum.
  const uint32_t subnormal = float_bits(bits_float(magnitude) + 0.5f) - 0x3f000000;
  const uint32_t normal = (magnitude + 0xc8000fffu + ((magnitude >> 13) & 1)) >> 13;
  uint32_t out = magnitude < 0x38800000 ? subnormal : normal;
  out = magnitude >= 0x477ff000 ? 0x7c00 : out;
  out = magnitude > 0x7f800000 ? 0x7e00 : out;
  return {uint16_t(out | sign)};
}

INFERNO_HD float bfloat16_to_float(BFloat16 h) { return bits_float(uint32_t(h.bits) << 16); }

// To nearest, ties to even.
INFERNO_HD BFloat16 float_to_bfloat16(float x) {
  const uint32_t bits = float_bits(x);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return {uint16_t((bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : rounded)};
}

template <class T>
struct ComputeOf {
  using type = T;
};
template <>
struct ComputeOf<Half> {
  using type = float;
};
template <>
struct ComputeOf<BFloat16> {
  using type = float;
};

// The type in which values stored as T are computed.
template <class T>
using Compute = typename ComputeOf<T>::type;

INFERNO_HD float load(float x) { return x; }
INFERNO_HD double load(double x) { return x; }
INFERNO_HD float load(Half x) { return half_to_float(x); }
INFERNO_HD float load(BFloat16 x) { return bfloat16_to_float(x); }

template <class T>
INFERNO_HD T store(Compute<T> x) {
  return x;
}
template <>
INFERNO_HD Half store<Half>(float x) {
  return float_to_half(x);
}
template <>
INFERNO_HD BFloat16 store<BFloat16>(float x) {
  return float_to_bfloat16(x);
}

// Calls f with a value of the type that a floating scalar type names.
template <class F>
void dispatch_floating(Scalar type, F&& f) {
  switch (type) {
    case Scalar::f32:
      return f(float{});
    case Scalar::f64:
      return f(double{});
    case Scalar::f16:
      return f(Half{});
    case Scalar::bf16:
      return f(BFloat16{});
    case Scalar::boolean:
      break;
  }
}

}  // namespace inferno
