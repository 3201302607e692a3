#include "cpu/updates.h"

#include <algorithm>

#include "cpu/clones.h"

namespace inferno {
namespace {

template <class T, class C>
void load_all(const void* from, int64_t begin, int64_t count, C* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = !from ? C(0) : load(static_cast<const T*>(from)[begin + i]);
}

template <Power power, class C>
INFERNO_HD void bound_all(const Bound& bound, const C* param, C* update, int64_t count) {
  for (int64_t i = 0; i < count; ++i) update[i] = bounded<power>(bound, param[i], update[i]);
}

template <class C>
INFERNO_HD void bound_all(const Bound& bound, const C* param, C* update, int64_t count) {
  // branches and not dispatch_power, which clones would call where it is compiled for any machine
  if (bound.power == Power::one) bound_all<Power::one>(bound, param, update, count);
  if (bound.power == Power::two) bound_all<Power::two>(bound, param, update, count);
  if (bound.power == Power::three) bound_all<Power::three>(bound, param, update, count);
  if (bound.power == Power::sharp) bound_all<Power::sharp>(bound, param, update, count);
}

template <class C>
INFERNO_HD void change_all(const Bound& upper, const Bound& lower, C* param, C* pos, C* neg, int64_t count, bool keep) {
  uint8_t changes[update_block];
  if (keep)
    for (int64_t i = 0; i < count; ++i) changes[i] = uint8_t(int(pos[i] != C(0)) | int(neg[i] != C(0)));
  bound_all(upper, param, pos, count);
  bound_all(lower, param, neg, count);
  if (keep)
    for (int64_t i = 0; i < count; ++i) param[i] = changes[i] ? param[i] + (pos[i] - neg[i]) : param[i];
  else
    for (int64_t i = 0; i < count; ++i) param[i] = param[i] + (pos[i] - neg[i]);
}

// Returns how many are not 0.
template <class T>
INFERNO_HD int64_t copy_line(const T* from, int64_t count, T* to) {
  int64_t values = 0;
  for (int64_t begin = 0; begin < count; begin += update_block) {
    const int64_t end = begin + update_block < count ? begin + update_block : count;
    int32_t some = 0;
    for (int64_t i = begin; i < end; ++i) {
      to[i] = from[i];
      some += int32_t(load(from[i]) != 0);
    }
    values += some;
  }
  return values;
}
#define INFERNO_COPY(T) \
  INFERNO_CLONES int64_t copy_contiguous(const T* from, int64_t count, T* to) { return copy_line(from, count, to); }
INFERNO_COPY(float)
INFERNO_COPY(double)
INFERNO_COPY(Half)
INFERNO_COPY(BFloat16)
#undef INFERNO_COPY

template <class T>
int64_t copy_counting(const T* from, int64_t stride, int64_t count, T* to) {
  if (stride == 1) return copy_contiguous(from, count, to);
  int64_t values = 0;
  for (int64_t i = 0; i < count; ++i) {
    to[i] = from[i * stride];
    values += int64_t(load(to[i]) != 0);
  }
  return values;
}

#define INFERNO_CLAMP(C)                                                  \
  INFERNO_CLONES void clamp_all(C* param, C low, C high, int64_t count) { \
    for (int64_t i = 0; i < count; ++i) {                                 \
      const C raised = param[i] < low ? low : param[i];                   \
      param[i] = raised > high ? high : raised;                           \
    }                                                                     \
  }
INFERNO_CLAMP(float)
INFERNO_CLAMP(double)
#undef INFERNO_CLAMP

}  // namespace

#define INFERNO_CHANGE(C)                                                                                           \
  INFERNO_CLONES void change_block(const Bound& upper, const Bound& lower, C* param, C* pos, C* neg, int64_t count, \
                                   bool keep) {                                                                     \
    change_all(upper, lower, param, pos, neg, count, keep);                                                         \
  }
INFERNO_CHANGE(float)
INFERNO_CHANGE(double)
#undef INFERNO_CHANGE

void clamp_cpu(const ClampArgs& a, int64_t begin, int64_t end) {
  if (a.type == Scalar::f64)
    clamp_all(static_cast<double*>(a.param) + begin, a.low, a.high, end - begin);
  else
    clamp_all(static_cast<float*>(a.param) + begin, float(a.low), float(a.high), end - begin);
}

void apply_updates_cpu(const UpdateArgs& a, int64_t begin, int64_t end) {
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    using C = Compute<T>;
    C param[update_block], pos[update_block], neg[update_block];
    for (int64_t first = begin; first < end; first += update_block) {
      const int64_t count = std::min(update_block, end - first);
      T* to = static_cast<T*>(a.param) + first;
      load_all<T>(a.param, first, count, param);
      load_all<T>(a.pos, first, count, pos);
      load_all<T>(a.neg, first, count, neg);
      change_block(a.upper, a.lower, param, pos, neg, count, false);
      for (int64_t i = 0; i < count; ++i) to[i] = store<T>(param[i]);
    }
  });
}

int64_t take_newest_cpu(const NewestArgs& a) {
  int64_t count = 0;
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    const Ring& ring = a.ring;
    const T* newest = static_cast<const T*>(a.data) + ring_slot(*ring.pointer, 1, ring.slots) * ring.slot_stride;
    T* out = static_cast<T*>(a.out);
    for (int64_t b = 0; b < ring.batch; ++b)
      count += copy_counting(newest + b * ring.batch_stride, ring.rest_stride, ring.rest, out + b * ring.rest);
  });
  return count;
}

}  // namespace inferno
