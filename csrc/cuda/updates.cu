#include "core/updates.h"

#include "cuda/launch.h"

namespace inferno {
namespace {

constexpr int threads = 128;

template <class C>
INFERNO_HD C bounded_by(const Bound& bound, C param, C update) {
  switch (bound.power) {
    case Power::one:
      return bounded<Power::one>(bound, param, update);
    case Power::two:
      return bounded<Power::two>(bound, param, update);
    case Power::three:
      return bounded<Power::three>(bound, param, update);
    case Power::sharp:
      return bounded<Power::sharp>(bound, param, update);
    case Power::none:
      break;
  }
  return update;
}

template <class T>
__global__ void __launch_bounds__(threads) apply_updates_kernel(UpdateArgs a) {
  using C = Compute<T>;
  for (int64_t i = INFERNO_FIRST_ITEM; i < a.count; i += INFERNO_ITEM_STRIDE) {
    T& element = static_cast<T*>(a.param)[i];
    const C param = load(element);
    const C pos = a.pos ? load(static_cast<const T*>(a.pos)[i]) : C(0);
    const C neg = a.neg ? load(static_cast<const T*>(a.neg)[i]) : C(0);
    element = store<T>(param + (bounded_by(a.upper, param, pos) - bounded_by(a.lower, param, neg)));
  }
}

template <class T>
__global__ void __launch_bounds__(threads) apply_outers_kernel(OuterUpdateArgs a) {
  using C = Compute<T>;
  for (int64_t at = INFERNO_FIRST_ITEM; at < a.outputs * a.inputs; at += INFERNO_ITEM_STRIDE) {
    const int64_t o = at / a.inputs, i = at % a.inputs;
    C pos = 0, neg = 0;
    for (int32_t k = 0; k < a.outers; ++k) {
      const Outer& outer = a.outer[k];
      C sum = 0;
      for (int64_t b = 0; b < outer.batch; ++b) {
        const C post = side_value<T>(outer.post, outer.bool_post, b, o);
        if (post != C(0)) sum = sum + met(post, side_value<T>(outer.pre, outer.bool_pre, b, i));
      }
      C& side = outer.negative ? neg : pos;
      side = side + sum * C(outer.scale);
    }
    if (pos == C(0) && neg == C(0)) continue;
    T& element = static_cast<T*>(a.param)[at];
    const C param = load(element);
    element = store<T>(param + (bounded_by(a.upper, param, pos) - bounded_by(a.lower, param, neg)));
  }
}

}  // namespace

void apply_updates_cuda(const UpdateArgs& a, void* stream) {
  if (a.count == 0) return;
  dispatch_floating(a.type, [&](auto scalar) {
    launch(apply_updates_kernel<decltype(scalar)>, grid_for(a.count, threads), dim3(threads), 0, stream, a);
  });
}

void apply_outers_cuda(const OuterUpdateArgs& a, void* stream) {
  if (a.outputs * a.inputs == 0 || a.outers == 0) return;
  dispatch_floating(a.type, [&](auto scalar) {
    launch(apply_outers_kernel<decltype(scalar)>, grid_for(a.outputs * a.inputs, threads), dim3(threads), 0, stream, a);
  });
}

}  // namespace inferno
