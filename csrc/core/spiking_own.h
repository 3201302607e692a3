// Neurons of large sparse networks with the models of core/neuron_models.h, which adapt where these do, and with
// currents in front that decay exponentially. reference/spiking_own.py names the numbers.
#pragma once
#include "core/neuron_models.h"
#include "core/synapse.h"

namespace inferno {

// From arriving charges, pC, to a current, nA. With a decay of 0 it lasts for a step.
template <class C>
struct ArrivingCurrent {
  C gain, decay;
  INFERNO_HD void step(C& current, C arrived) const {
    const SynapseParams<C> numbers{gain, {decay}};
    Exponential::advance<C>(&current, &current, gain * arrived, numbers);
  }
};

template <class C, int ports>
struct OwnInputs {
  C gain, refractory;
  C lock;  // 1 where refractory neurons keep their voltage and adaptation; 0: they integrate without input
  ArrivingCurrent<C> arriving[ports];
};

template <class C, int constants>
struct OwnAdaptation {
  C holds;  // 1 where a spike starts a refractory period, in which the adaptations of locked neurons stand still
  C constants_of_law[constants];
};

template <class C>
struct OwnAdaptation<C, 0> {};

// Numbers of a model, and its step. State: voltage, a current for each port, the adaptation.
template <class C, template <class> class Membrane, int Ports>
struct OwnNeuron : OwnInputs<C, Ports>, OwnAdaptation<C, Membrane<C>::Adaptation::constants> {
  using Law = typename Membrane<C>::Adaptation;
  static constexpr bool adapts = Law::constants > 0;
  static constexpr int ports = Ports, variables = 1 + Ports + adapts;
  Membrane<C> membrane;

  INFERNO_HD int32_t step(C* x, int32_t& refrac, const C* arrivals, C drive) const {
    for (int p = 0; p < Ports; ++p) this->arriving[p].step(x[1 + p], arrivals[p]);
    const C arriving = Ports == 1 ? x[1] : x[1] + x[Ports];
    const int32_t waiting = refrac > 0, locks = int32_t(this->lock);
    const C adaptation = adapts ? x[variables - 1] : C(0);
    const StepOutcome<C> outcome = neuron_outcome(x[0], waiting, arriving + drive, adaptation, membrane, locks);
    x[0] = outcome.fire ? membrane.reset(outcome.reached) : outcome.reached;
    refrac = outcome.fire ? int32_t(this->refractory) : refrac - waiting;
    if constexpr (adapts) {
      const int32_t hold = locks & (waiting | (outcome.fire & int32_t(this->holds)));
      x[variables - 1] = Law::update(adaptation, hold, outcome.fire, x[0] - membrane.rest_v, this->constants_of_law);
    }
    return outcome.fire;
  }
};

#define INFERNO_ENTRY(M)             \
  template <class C>                 \
  using One##M = OwnNeuron<C, M, 1>; \
  template <class C>                 \
  using Two##M = OwnNeuron<C, M, 2>;
INFERNO_NEURON_MODELS(INFERNO_ENTRY)
#undef INFERNO_ENTRY

#define INFERNO_ONE_PORT(X) X(OneLif) X(OneAlif) X(OneGlif2) X(OneQif) X(OneIzhikevich) X(OneEif) X(OneAdEx)
#define INFERNO_TWO_PORTS(X) X(TwoLif) X(TwoAlif) X(TwoGlif2) X(TwoQif) X(TwoIzhikevich) X(TwoEif) X(TwoAdEx)
#define INFERNO_OWN_NEURONS(X) INFERNO_ONE_PORT(X) INFERNO_TWO_PORTS(X)

}  // namespace inferno
