// The list of neuron models, and access to it by number.
#pragma once
#include "core/adex.h"
#include "core/alif.h"
#include "core/eif.h"
#include "core/glif2.h"
#include "core/izhikevich.h"
#include "core/lif.h"
#include "core/qif.h"

#define INFERNO_NEURON_MODELS(X) X(Lif) X(Alif) X(Glif2) X(Qif) X(Izhikevich) X(Eif) X(AdEx)

namespace inferno {

enum class NeuronModel : int32_t {
#define INFERNO_ENTRY(M) M,
  INFERNO_NEURON_MODELS(INFERNO_ENTRY)
#undef INFERNO_ENTRY
      count
};

// Calls f with a model in C, its parameters unset.
template <class C, class F>
void dispatch_model(NeuronModel model, F&& f) {
  switch (model) {
#define INFERNO_ENTRY(M) \
  case NeuronModel::M:   \
    return f(M<C>{});
    INFERNO_NEURON_MODELS(INFERNO_ENTRY)
#undef INFERNO_ENTRY
    case NeuronModel::count:
      break;
  }
}

struct NeuronModelInfo {
  const char* name;
  const char* parameters;  // names, in order
  int parameter_count;
  int adaptation_constants;  // of each adaptation; 0 for models without
};

inline NeuronModelInfo neuron_model_info(NeuronModel model) {
  NeuronModelInfo info{};
  dispatch_model<double>(model, [&](auto m) {
    using M = decltype(m);
    static_assert(sizeof(M) <= max_neuron_parameters * sizeof(double));
    static_assert(M::Adaptation::constants <= max_adaptation_constants);
    info = {M::name, M::parameters, int(sizeof(M) / sizeof(double)), M::Adaptation::constants};
  });
  return info;
}

// Neurons of different samples are independent, unless the batch shares their adaptations.
template <class Args>
int64_t neuron_items(const Args& a) {
  return a.kinds ? a.count : a.batch * a.count;
}

}  // namespace inferno
