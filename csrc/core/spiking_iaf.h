// Neurons of large sparse networks with NEST's models. Voltages are relative to E_L; reference/spiking.py names the
// numbers.
#pragma once
#include "core/scalar.h"

namespace inferno {

// Dynamics say how the state `x`, the voltage first, follows from itself and from what arrives at the ports. Exact
// integration is that of Rotter & Diesmann (1999), the order within a step NEST's.
template <class C>
struct PscExp {
  static constexpr int variables = 2, ports = 1;
  C p22, p21, p11;
  INFERNO_HD void step(C* x, const C* arrivals, C drive) const {
    x[0] = p22 * x[0] + p21 * x[1] + drive;
    x[1] = p11 * x[1] + arrivals[0];
  }
};

template <class C>
struct PscExpTwo {
  static constexpr int variables = 3, ports = 2;
  C p22, p21_ex, p21_in, p11_ex, p11_in;
  INFERNO_HD void step(C* x, const C* arrivals, C drive) const {
    x[0] = p22 * x[0] + p21_ex * x[1] + p21_in * x[2] + drive;
    x[1] = p11_ex * x[1] + arrivals[0];
    x[2] = p11_in * x[2] + arrivals[1];
  }
};

// A current whose response to a spike is an alpha function; slope and current are x[0] and x[1].
template <class C>
struct AlphaCurrent {
  C p31, p32, p21, p11, jump;
  INFERNO_HD void step(C* x, C arrived) const {
    x[1] = p21 * x[0] + p11 * x[1];
    x[0] = p11 * x[0] + jump * arrived;
  }
};

template <class C>
struct PscAlpha {
  static constexpr int variables = 3, ports = 1;
  C relax;
  AlphaCurrent<C> current;
  INFERNO_HD void step(C* x, const C* arrivals, C drive) const {
    x[0] = drive + current.p31 * x[1] + current.p32 * x[2] + relax * x[0] + x[0];
    current.step(x + 1, arrivals[0]);
  }
};

template <class C>
struct PscAlphaTwo {
  static constexpr int variables = 5, ports = 2;
  C relax;
  AlphaCurrent<C> ex, in;
  INFERNO_HD void step(C* x, const C* arrivals, C drive) const {
    const C excited = drive + ex.p31 * x[1] + ex.p32 * x[2];
    x[0] = excited + in.p31 * x[3] + in.p32 * x[4] + relax * x[0] + x[0];
    ex.step(x + 1, arrivals[0]);
    in.step(x + 3, arrivals[1]);
  }
};

template <class C>
struct PscDelta {
  static constexpr int variables = 1, ports = 1;
  C p33;
  INFERNO_HD void step(C* x, const C* arrivals, C drive) const { x[0] = drive + p33 * x[0] + arrivals[0]; }
};

// The classical Runge-Kutta method of 4th order; conductances in the middle and at the end are exact.
template <class C>
struct CondExp {
  static constexpr int variables = 3, ports = 2;
  C leak, e_ex, e_in, half_ex, half_in, p11_ex, p11_in, scale, sixth;
  INFERNO_HD C change(C v, C g_ex, C g_in, C drive) const {
    return scale * (drive - leak * v - g_ex * (v - e_ex) - g_in * (v - e_in));
  }
  INFERNO_HD void step(C* x, const C* arrivals, C drive) const {
    const C middle_ex = half_ex * x[1], middle_in = half_in * x[2];
    const C end_ex = p11_ex * x[1], end_in = p11_in * x[2];
    const C k1 = change(x[0], x[1], x[2], drive);
    const C k2 = change(x[0] + k1 * C(0.5), middle_ex, middle_in, drive);
    const C k3 = change(x[0] + k2 * C(0.5), middle_ex, middle_in, drive);
    const C k4 = change(x[0] + k3, end_ex, end_in, drive);
    x[0] = x[0] + ((k1 + k4) + (k2 + k3) * C(2)) * sixth;
    x[1] = end_ex + arrivals[0];
    x[2] = end_in - arrivals[1];
  }
};

// Numbers of a model, and its step: threshold, reset and refractory period are the same for all.
template <class C, template <class> class Dynamics>
struct IafNeuron {
  static constexpr int variables = Dynamics<C>::variables, ports = Dynamics<C>::ports;
  C gain, threshold, reset, lowest, refractory;
  Dynamics<C> dynamics;

  // Returns 1 where the neuron fires. While the refractory period lasts the voltage stays and the rest goes on.
  INFERNO_HD int32_t step(C* x, int32_t& refrac, const C* arrivals, C drive) const {
    const C before = x[0];
    const int32_t waiting = refrac > 0;
    dynamics.step(x, arrivals, drive);
    C v = x[0] < lowest ? lowest : x[0];
    v = waiting ? before : v;
    const int32_t fire = int32_t(v >= threshold) & (waiting ^ 1);
    x[0] = fire ? reset : v;
    refrac = fire ? int32_t(refractory) : refrac - waiting;
    return fire;
  }
};

#define INFERNO_ENTRY(M) \
  template <class C>     \
  using Iaf##M = IafNeuron<C, M>;
INFERNO_ENTRY(PscExp)
INFERNO_ENTRY(PscExpTwo)
INFERNO_ENTRY(PscAlpha)
INFERNO_ENTRY(PscAlphaTwo)
INFERNO_ENTRY(PscDelta)
INFERNO_ENTRY(CondExp)
#undef INFERNO_ENTRY

#define INFERNO_IAF_NEURONS(X) \
  X(IafPscExp) X(IafPscExpTwo) X(IafPscAlpha) X(IafPscAlphaTwo) X(IafPscDelta) X(IafCondExp)

}  // namespace inferno
