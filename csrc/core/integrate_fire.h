// Steps of integrate-and-fire neurons without units or refractory times, in the orders of operations of the libraries
// whose modules run on them. Spikes, and whether a neuron was above its threshold, are numbers: 0 or 1.
#pragma once
#include <type_traits>

#include "core/args.h"
#include "core/scalar.h"

namespace inferno {

// The numbers of one neuron.
template <class C>
struct FireNumbers {
  C decay, current_decay, threshold, amount, factor, tau, rest;
};

// As a value of type T holds it.
template <class T>
INFERNO_HD Compute<T> rounded(Compute<T> x) {
  return load(store<T>(x));
}

// A charge takes an input into the voltage, and into the current where the model has one. `strict` neurons fire above
// their threshold, others also at it; `late` ones know the reset only from the voltage that the last step has left.
struct Leaky {
  static constexpr const char* name = "leaky";
  static constexpr bool strict = true, late = true, has_current = false;
  template <class T, class C>
  static INFERNO_HD C charge(C v, C&, C x, const FireNumbers<C>& n) {
    return n.decay * v + x;
  }
};

struct Synaptic {
  static constexpr const char* name = "synaptic";
  static constexpr bool strict = true, late = true, has_current = true;
  template <class T, class C>
  static INFERNO_HD C charge(C v, C& current, C x, const FireNumbers<C>& n) {
    current = rounded<T>(n.current_decay * current + x);
    return n.decay * v + current;
  }
};

struct Perfect {
  static constexpr const char* name = "perfect";
  static constexpr bool strict = false, late = false, has_current = false;
  template <class T, class C>
  static INFERNO_HD C charge(C v, C&, C x, const FireNumbers<C>&) {
    return v + x;
  }
};

struct Relaxing {
  static constexpr const char* name = "relaxing";
  static constexpr bool strict = false, late = false, has_current = false;
  template <class T, class C>
  static INFERNO_HD C charge(C v, C&, C x, const FireNumbers<C>& n) {
    return v - (v - n.rest) / n.tau + x;
  }
};

struct Filtering {
  static constexpr const char* name = "filtering";
  static constexpr bool strict = false, late = false, has_current = false;
  template <class T, class C>
  static INFERNO_HD C charge(C v, C&, C x, const FireNumbers<C>& n) {
    return v + (x - (v - n.rest)) / n.tau;
  }
};

// A reset acts on the voltage before the charge, after it, and on what has fired. `above`: the voltage was above the
// threshold before the step; `spike`: the neuron fires in it.
struct NoReset {
  template <class C>
  static INFERNO_HD C before(C v, C) {
    return v;
  }
  template <class C>
  static INFERNO_HD C charged(C v, C, const FireNumbers<C>&) {
    return v;
  }
  template <class C>
  static INFERNO_HD C fired(C v, C, C, const FireNumbers<C>&) {
    return v;
  }
};

struct Subtract : NoReset {
  template <class C>
  static INFERNO_HD C fired(C v, C spike, C, const FireNumbers<C>& n) {
    return v - spike * n.amount;
  }
};

struct Set : NoReset {
  template <class C>
  static INFERNO_HD C fired(C v, C spike, C, const FireNumbers<C>& n) {
    return spike * n.rest + (C(1) - spike) * v;
  }
};

struct LateSubtract : NoReset {
  template <class C>
  static INFERNO_HD C charged(C v, C above, const FireNumbers<C>& n) {
    return v - above * n.amount;
  }
};

struct LateZero : NoReset {
  template <class C>
  static INFERNO_HD C before(C v, C above) {
    return (C(1) - above) * v;
  }
};

struct LateCancel : NoReset {
  template <class C>
  static INFERNO_HD C charged(C v, C above, const FireNumbers<C>&) {
    return v - v * above;
  }
};

// A late reset that does not wait: in the end it acts on the neurons that fire, and not on those that were above the
// threshold before: from these, what was subtracted is put back.
template <class Late>
struct Early : Late {
  template <class C>
  static INFERNO_HD C fired(C v, C spike, C above, const FireNumbers<C>& n) {
    const C now = spike * n.factor / n.factor - above;
    if constexpr (std::is_same_v<Late, LateSubtract>)
      return v - now * n.amount;
    else
      return v - now * v;
  }
};

template <class M, class C>
INFERNO_HD C fires(C above_threshold) {
  if constexpr (M::strict)
    return above_threshold > C(0) ? C(1) : C(0);
  else
    return above_threshold >= C(0) ? C(1) : C(0);
}

// One step; returns the spike. Values are rounded to T where they are kept or compared.
template <class M, class R, class T, class C>
INFERNO_HD C integrate_fire(C& voltage, C& current, C input, C& above, const FireNumbers<C>& n) {
  above = M::late ? fires<M>(voltage - n.threshold) : C(0);
  const C charged = M::template charge<T>(R::before(voltage, above), current, input, n);
  const C v = rounded<T>(R::charged(charged, above, n));
  const C spike = fires<M>(v - n.threshold);
  voltage = rounded<T>(R::fired(v, spike, above, n));
  return spike * n.factor;
}

// The coefficient of a neuron. A decay outside [0, 1] counts as the nearer end.
template <class C>
INFERNO_HD C coefficient(const Coefficient& c, int64_t neuron) {
  return c.data ? static_cast<const C*>(c.data)[neuron / c.inner % c.size] : C(c.value);
}

template <class C>
INFERNO_HD C decay_of(C decay) {
  return decay < C(0) ? C(0) : decay > C(1) ? C(1) : decay;
}

template <class C>
INFERNO_HD FireNumbers<C> fire_numbers(const IntegrateFireArgs& a, int64_t neuron) {
  return {decay_of(coefficient<C>(a.decay, neuron)),
          decay_of(coefficient<C>(a.current_decay, neuron)),
          coefficient<C>(a.threshold, neuron),
          coefficient<C>(a.amount, neuron),
          coefficient<C>(a.factor, neuron),
          C(a.tau),
          C(a.rest)};
}

// Calls f with the model, on the host; false if there is no such model.
template <class F>
inline __attribute__((always_inline)) bool dispatch_charge(ChargeModel model, F&& f) {
  switch (model) {
    case ChargeModel::leaky:
      return f(Leaky{}), true;
    case ChargeModel::synaptic:
      return f(Synaptic{}), true;
    case ChargeModel::perfect:
      return f(Perfect{}), true;
    case ChargeModel::relaxing:
      return f(Relaxing{}), true;
    case ChargeModel::filtering:
      return f(Filtering{}), true;
  }
  return false;
}

// Calls f with the reset of a model, on the host; false if the model does not have it.
template <class M, class F>
inline __attribute__((always_inline)) bool dispatch_reset(ResetRule rule, bool delayed, F&& f) {
  if constexpr (M::late) {
    using Zero = std::conditional_t<M::has_current, LateCancel, LateZero>;
    switch (rule) {
      case ResetRule::none:
        return f(NoReset{}), true;
      case ResetRule::subtract:
        return delayed ? f(LateSubtract{}) : f(Early<LateSubtract>{}), true;
      case ResetRule::zero:
        return delayed ? f(Zero{}) : f(Early<Zero>{}), true;
      case ResetRule::set:
        return false;
    }
    return false;
  } else {
    if (delayed) return false;
    if (rule == ResetRule::subtract) return f(Subtract{}), true;
    if (rule == ResetRule::set) return f(Set{}), true;
    return false;
  }
}

// Calls f with the model and the reset of a step.
template <class F>
inline __attribute__((always_inline)) void dispatch_integrate_fire(const IntegrateFireArgs& a, F&& f) {
  dispatch_charge(a.model, [&](auto m) __attribute__((always_inline)) {
    dispatch_reset<decltype(m)>(a.reset, a.delayed, [&](auto r) __attribute__((always_inline)) { f(m, r); });
  });
}

}  // namespace inferno
