#include "cpu/locate.h"

#include "core/history.h"
#include "cpu/clones.h"

namespace inferno {
namespace {

template <class C, class F>
INFERNO_HD void decays(const C* blend, double dt, double time_constant, int64_t count, F* factor) {
  for (int64_t i = 0; i < count; ++i) factor[i] = exp_portable(F(decay_exponent(blend[i], dt, time_constant)));
}

template <Interp mode, class C, class Time, class F>
INFERNO_HD bool locate_for(const TimeGrid& grid, bool clamp, const Time* time, int64_t count, Located<F>& l) {
  const TimeGrid g = grid;
  const int32_t clamps = clamp;
  int32_t all = 1;
  alignas(32) C blend[located_block];
  for (int64_t i = 0; i < count; ++i) {
    const C t = C(time[i]);
    const Lookup<C> at = lookup(t, g);
    l.picked[i] = picked_age(at, mode);
    if (mode == Interp::linear) l.newer[i] = at.newer;
    if (mode == Interp::linear) l.factor[i] = F(at.blend);
    if (mode == Interp::expdecay) blend[i] = at.blend;
    l.known[i] = (clamps | at.inside) & int32_t(t == t);
    all &= l.known[i];
  }
  if (mode == Interp::expdecay) decays(blend, g.dt, g.time_constant, count, l.factor);
  if (mode == Interp::expdecay && g.second_constant > 0) decays(blend, g.dt, g.second_constant, count, l.second);
  return all;
}

template <class C, class Time, class F>
INFERNO_HD bool locate_in(const TimeGrid& grid, bool clamp, const Time* time, int64_t count, Located<F>& l) {
  switch (grid.mode) {
    case Interp::previous:
      return locate_for<Interp::previous, C>(grid, clamp, time, count, l);
    case Interp::next:
      return locate_for<Interp::next, C>(grid, clamp, time, count, l);
    case Interp::nearest:
      return locate_for<Interp::nearest, C>(grid, clamp, time, count, l);
    case Interp::linear:
      return locate_for<Interp::linear, C>(grid, clamp, time, count, l);
    case Interp::expdecay:
      return locate_for<Interp::expdecay, C>(grid, clamp, time, count, l);
  }
  return false;
}

}  // namespace

#define INFERNO_LOCATE(TIME, FACTOR)                                                                                  \
  INFERNO_CLONES bool locate(const TimeGrid& grid, bool clamp, const TIME* time, int64_t count, Located<FACTOR>& l) { \
    return in_double<TIME>(grid) ? locate_in<double>(grid, clamp, time, count, l)                                     \
                                 : locate_in<TIME>(grid, clamp, time, count, l);                                      \
  }
INFERNO_LOCATE(float, float)
INFERNO_LOCATE(float, double)
INFERNO_LOCATE(double, float)
INFERNO_LOCATE(double, double)
#undef INFERNO_LOCATE

#define INFERNO_PLACE(PLACE)                                                                                           \
  INFERNO_CLONES void place(const Ring& ring, int64_t newest, const int32_t* age, const PLACE* element, int64_t count, \
                            PLACE* at) {                                                                               \
    const PLACE start = PLACE(newest), slots = PLACE(ring.slots), stride = PLACE(ring.slot_stride);                    \
    for (int64_t i = 0; i < count; ++i) at[i] = element[i] + slot_of_age<PLACE>(start, age[i], slots) * stride;        \
  }
INFERNO_PLACE(int32_t)
INFERNO_PLACE(int64_t)
#undef INFERNO_PLACE

}  // namespace inferno
