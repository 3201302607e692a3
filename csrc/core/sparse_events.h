// Sums over listed synapses of a step in which few inputs spike, over the synapses of these alone.
#pragma once
#include "core/few_inputs.h"
#include "core/sparse.h"

namespace inferno {

// Inputs come in ascending order, and the synapses of each as they are listed: for every output that is the order of
// its own list. A term that is left out would have added 0.
struct SparseEventsArgs {
  SparseSumArgs sum;  // of a step: without delays data is [batch, partners], otherwise a ring of bool and no overbound
  int64_t sample_stride;  // elements of data from one sample to the next
  SynapseList by_input;   // partners are outputs, places those in the list of `sum`
};

// Events are few if they meet at most one synapse in so many; twice as many for 32 samples, and so on: the more samples
// a step has, the less each of them costs with all synapses.
constexpr int64_t event_share = 8, event_samples = 16;

// The inputs that spike in each sample; with delays, in the whole ring. None, not even samples, if the events are many.
FewInputs few_events_cpu(const SparseEventsArgs& a);
void sparse_events_cpu(const SparseEventsArgs& a, const FewInputs& few, int64_t begin, int64_t end);  // outputs

// A step [lanes, inputs] with the lanes of an input one after another, for some inputs.
void to_lanes_cpu(const void* from, int64_t lanes, int64_t inputs, int64_t element_bytes, void* to, int64_t begin,
                  int64_t end);

}  // namespace inferno
