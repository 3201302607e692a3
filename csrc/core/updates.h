// Pending updates of a parameter, applied to it.
#pragma once
#include <type_traits>

#include "core/plasticity.h"

namespace inferno {

enum class Power : int32_t { none, one, two, three, sharp };  // none: the update as it is; sharp: 0 or 1

// An update times a power of the distance of the parameter from a limit.
struct Bound {
  Power power;
  bool below;   // the distance is limit - parameter, otherwise parameter - limit
  bool scaled;  // it is divided by range
  double limit, range;
};

template <Power power, class C>
INFERNO_HD C bounded(const Bound& bound, C param, C update) {
  if constexpr (power == Power::none) return update;
  C distance = bound.below ? C(bound.limit) - param : param - C(bound.limit);
  if (bound.scaled) distance = distance / C(bound.range);
  if constexpr (power == Power::two) return distance * distance * update;
  if constexpr (power == Power::three) return distance * distance * distance * update;
  if constexpr (power == Power::sharp)
    return (distance > C(0) ? C(1) : distance == distance ? C(0) : distance) * update;
  return distance * update;
}

// Calls f with a constant of the power.
template <class F>
void dispatch_power(Power power, F&& f) {
  switch (power) {
    case Power::none:
      return f(std::integral_constant<Power, Power::none>{});
    case Power::one:
      return f(std::integral_constant<Power, Power::one>{});
    case Power::two:
      return f(std::integral_constant<Power, Power::two>{});
    case Power::three:
      return f(std::integral_constant<Power, Power::three>{});
    case Power::sharp:
      return f(std::integral_constant<Power, Power::sharp>{});
  }
}

// param += bounded(pos) - bounded(neg), in place.
struct UpdateArgs {
  Scalar type;
  int64_t count;
  void* param;      // [count]
  const void* pos;  // [count], or null
  const void* neg;
  Bound upper, lower;
};

void apply_updates_cpu(const UpdateArgs& a, int64_t begin, int64_t end);  // elements
void apply_updates_cuda(const UpdateArgs& a, void* stream);

struct ClampArgs {
  Scalar type;  // float32 or float64
  void* param;
  double low, high;
};

void clamp_cpu(const ClampArgs& a, int64_t begin, int64_t end);  // elements

// scale * sum over the batch of post times pre: added to one side of the updates of [outputs, inputs].
struct Outer {
  Plane post, pre;  // [batch, outputs], [batch, inputs]
  bool bool_post, bool_pre;
  int64_t batch;
  double scale;
  bool negative;  // the side
};

constexpr int max_outers = 8;

// The same with updates that are sums of outer products. Where both are 0 the parameter is left alone.
struct OuterUpdateArgs {
  Scalar type;
  int64_t outputs, inputs;
  void* param;  // [outputs, inputs]
  int32_t outers;
  Outer outer[max_outers];
  Bound upper, lower;
};

void apply_outers_cpu(const OuterUpdateArgs& a, int64_t begin, int64_t end);  // outputs
void apply_outers_cuda(const OuterUpdateArgs& a, void* stream);

// The newest slot of a ring as [batch, rest], to be kept for an update.
struct NewestArgs {
  Scalar type;
  Ring ring;
  const void* data;
  void* out;
};

int64_t take_newest_cpu(const NewestArgs& a);  // how many of them are not 0

template <class T, class C = Compute<T>>
INFERNO_HD C side_value(const Plane& plane, bool is_bool, int64_t batch, int64_t rest) {
  const int64_t at = batch * plane.batch_stride + rest * plane.rest_stride;
  if (is_bool) return static_cast<const uint8_t*>(plane.data)[at] ? C(1) : C(0);
  return load(static_cast<const T*>(plane.data)[at]);
}

}  // namespace inferno
