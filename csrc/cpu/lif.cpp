#include "core/lif.h"

#include "core/args.h"
#include "cpu/clones.h"

namespace inferno {
namespace {

template <class T, bool Lock>
INFERNO_HD void step(const LifArgs& a, int64_t begin, int64_t end) {
  using C = Compute<T>;
  const LifParams<C> p = lif_params<C>(a);
  const T* voltage_in = static_cast<const T*>(a.voltage_in);
  const T* refrac_in = static_cast<const T*>(a.refrac_in);
  const T* inputs = static_cast<const T*>(a.inputs);
  T* voltage = static_cast<T*>(a.voltage);
  T* refrac = static_cast<T*>(a.refrac);
  uint8_t* spikes = a.spikes;
  // Outputs may be the inputs, element for element: no iteration reads what another writes.
#pragma GCC ivdep
  for (int64_t i = begin; i < end; ++i) {
    C v = load(voltage_in[i]);
    C r = load(refrac_in[i]);
    spikes[i] = uint8_t(lif_step<Lock>(v, r, load(inputs[i]), p));
    voltage[i] = store<T>(v);
    refrac[i] = store<T>(r);
  }
}

// Clones cannot be templates.
#define INFERNO_STEP(NAME, T)                                                     \
  INFERNO_CLONES void NAME(const LifArgs& a, int64_t begin, int64_t end) {        \
    a.refrac_lock ? step<T, true>(a, begin, end) : step<T, false>(a, begin, end); \
  }
INFERNO_STEP(step_f32, float)
INFERNO_STEP(step_f64, double)
INFERNO_STEP(step_f16, Half)
INFERNO_STEP(step_bf16, BFloat16)
#undef INFERNO_STEP

}  // namespace

void lif_step_cpu(const LifArgs& a, int64_t begin, int64_t end) {
  switch (a.type) {
    case Scalar::f32:
      return step_f32(a, begin, end);
    case Scalar::f64:
      return step_f64(a, begin, end);
    case Scalar::f16:
      return step_f16(a, begin, end);
    case Scalar::bf16:
      return step_bf16(a, begin, end);
    case Scalar::boolean:
      break;
  }
}

}  // namespace inferno
