#include "cpu/locate.h"

#include "core/history.h"
#include "cpu/clones.h"

namespace inferno {
namespace {

template <Interp mode, class Time, class F>
INFERNO_HD bool locate_for(const TimeGrid& grid, bool clamp, const Time* time, int64_t count, Located<F>& l) {
  const TimeGrid g = grid;
  const int32_t clamps = clamp;
  int32_t all = 1;
  alignas(32) double exponent[located_block];
  for (int64_t i = 0; i < count; ++i) {
    const Lookup at = lookup(time[i], g);
    l.picked[i] = picked_age(at, mode);
    if (mode == Interp::linear) l.newer[i] = at.newer;
    if (mode == Interp::linear) l.factor[i] = F(at.blend);
    if (mode == Interp::expdecay) exponent[i] = decay_exponent(at.blend, g);
    l.known[i] = (clamps | at.inside) & int32_t(time[i] == time[i]);
    all &= l.known[i];
  }
  if (mode == Interp::expdecay && decay_is_polynomial(g))
    for (int64_t i = 0; i < count; ++i) l.factor[i] = F(exp_polynomial(exponent[i]));
  else if (mode == Interp::expdecay)
    for (int64_t i = 0; i < count; ++i) l.factor[i] = F(exp_portable(exponent[i]));
  return all;
}

template <class Time, class F>
INFERNO_HD bool locate_any(const TimeGrid& grid, bool clamp, const Time* time, int64_t count, Located<F>& l) {
  switch (grid.mode) {
    case Interp::previous:
      return locate_for<Interp::previous>(grid, clamp, time, count, l);
    case Interp::next:
      return locate_for<Interp::next>(grid, clamp, time, count, l);
    case Interp::nearest:
      return locate_for<Interp::nearest>(grid, clamp, time, count, l);
    case Interp::linear:
      return locate_for<Interp::linear>(grid, clamp, time, count, l);
    case Interp::expdecay:
      return locate_for<Interp::expdecay>(grid, clamp, time, count, l);
  }
  return false;
}

}  // namespace

#define INFERNO_LOCATE(TIME, FACTOR)                                                                                  \
  INFERNO_CLONES bool locate(const TimeGrid& grid, bool clamp, const TIME* time, int64_t count, Located<FACTOR>& l) { \
    return locate_any(grid, clamp, time, count, l);                                                                   \
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
