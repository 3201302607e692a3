// Memory that the backward kernel of models that adapt asks of its caller.
#pragma once
#include <algorithm>

#include "core/args.h"
#include "core/scalar.h"

namespace inferno {

constexpr int64_t adapting_stretch = 32;  // steps that are remembered at once: two bits of each in a word

// Of every neuron of every sample: two bits for each step of a stretch, the state on its way, and the voltages before
// the steps of a stretch where no gradients of inputs are wanted, in whose place they are kept otherwise.
template <class T>
struct AdaptingScratch {
  using C = Compute<T>;
  uint64_t* marks;
  C *of_voltage, *refrac;
  T* voltages;

  INFERNO_HD AdaptingScratch(void* memory, int64_t items)
      : marks(static_cast<uint64_t*>(memory)),
        of_voltage(reinterpret_cast<C*>(marks + items)),
        refrac(of_voltage + items),
        voltages(reinterpret_cast<T*>(refrac + items)) {}
};

inline int64_t adapting_scratch_bytes(const NeuronRunBackwardArgs& g) {
  const NeuronRunArgs& a = g.run;
  if (a.kinds == 0) return 0;
  const int64_t stretch = std::min({a.steps, a.interval, adapting_stretch});
  int64_t bytes = 0;
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    bytes = sizeof(uint64_t) + 2 * sizeof(Compute<T>) + (g.inputs ? 0 : stretch * sizeof(T));
  });
  return bytes * a.batch * a.count;
}

}  // namespace inferno
