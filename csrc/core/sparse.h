// Weighted sums over synapses that are listed one by one, of an observation, of a ring or of all steps of a sequence.
// A lane is an item of the batch in a step; those of an input lie one after another in memory, step by step.
#pragma once
#include "core/history.h"

namespace inferno {

// Synapses row by row: those of row r are listed from start[r] to start[r + 1], and terms are added in that order.
struct SynapseList {
  int64_t rows;
  const int64_t* start;    // [rows + 1]
  const int32_t* partner;  // [synapses], of the other side
  const int32_t* place;    // [synapses], in weight, slot and factor; null where it is that in the list
};

// Rows are outputs and partners inputs. In the transposed sum, of the gradient, rows are inputs and partners outputs.
struct SparseSumArgs {
  Scalar type;     // of weight, bias, out, and of data unless that is bool
  bool bool_data;  // data holds 0 or 1, which stand for 0 and `scale`
  bool byte_slots, linear;
  SynapseList list;
  int64_t batch, steps, slots;
  const void* data;        // [partners, steps of the past and steps, batch]; of the gradient [partners, steps, batch]
  int64_t partner_stride;  // elements from one partner to the next
  const int64_t* pointer;  // where data is a ring, [partners, slots, batch], and there is one step; otherwise null
  int64_t slot_stride;     // elements from a slot of the ring to the next
  const void* weight;      // [synapses]
  const void* bias;        // [rows], or null
  const void* slot;        // [synapses], see DelayPlanArgs; null where all are 0
  const void* factor;      // [synapses], in the compute type, or null
  void* out;               // [steps, batch, rows]; of the transposed sum [rows, slots - 1 + steps, batch]
  double scale, overbound;
};

void sparse_sum_cpu(const SparseSumArgs& a, int64_t begin, int64_t end);  // sparse_items(a.list)
void sparse_sum_cuda(const SparseSumArgs& a, void* stream);
void sparse_sum_transposed_cpu(const SparseSumArgs& a, int64_t begin, int64_t end);  // sparse_items(a.list)
void sparse_sum_transposed_cuda(const SparseSumArgs& a, void* stream);

// For each synapse the sum over all lanes of the gradient of its output times the sample that it sees.
struct SparseTapsArgs {
  Scalar type;
  bool bool_data, byte_slots;
  int64_t synapses, batch, steps, slots;
  const int32_t *source, *target;  // [synapses]
  const void* data;                // [inputs, slots - 1 + steps, batch]
  const void* grad;                // [outputs, steps, batch]
  int64_t source_stride, target_stride;
  const void* slot;  // [synapses], or null where all are 0
  void* older;       // [synapses], in the compute type: with the sample of age slot
  void* newer;       // with the one after it, or null
  double scale, overbound;
};

void sparse_taps_cpu(const SparseTapsArgs& a, int64_t begin, int64_t end);  // synapses
void sparse_taps_cuda(const SparseTapsArgs& a, void* stream);

// Rows and synapses, counted together, so that equal ranges of them are equal work.
INFERNO_HD int64_t sparse_items(const SynapseList& list) { return list.rows + list.start[list.rows]; }

// The first row that begins at an item or behind it.
INFERNO_HD int64_t row_of_item(const SynapseList& list, int64_t item) {
  int64_t low = 0, high = list.rows;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (list.start[middle] + middle < item)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

template <class C>
struct SparseTap {
  C weight;      // in the transposed sum with linear: of the older sample
  C second;      // forward the blend towards the newer sample, transposed its weight; 0: there is none
  int32_t age;   // of the older sample; the number of slots where the delay is out of range
  int32_t from;  // the partner
};

// The k-th synapse of the list.
template <class T, class Slot, bool Transposed, class C = Compute<T>>
INFERNO_HD SparseTap<C> sparse_tap(const SparseSumArgs& a, int64_t k) {
  const int64_t s = a.list.place ? a.list.place[k] : k;
  const int32_t from = a.list.partner[k], age = a.slot ? int32_t(static_cast<const Slot*>(a.slot)[s]) : 0;
  const C weight = load(static_cast<const T*>(a.weight)[s]);
  if (!a.factor) return {weight, C(0), age, from};
  const C factor = static_cast<const C*>(a.factor)[s];
  if (!a.linear) return {weight * factor, C(0), age, from};
  const C blend = factor > C(0) ? factor : C(0);
  if (Transposed) return {weight * (C(1) - blend), weight * blend, age, from};
  return {weight, blend, age, from};
}

// Elements from the first of a partner to the sample of an age for the first lane; `newest` is a slot of a ring.
INFERNO_HD int64_t sparse_offset(const SparseSumArgs& a, int64_t newest, int32_t age) {
  return a.pointer ? slot_of_age(newest, age, a.slots) * a.slot_stride : (a.slots - 1 - age) * a.batch;
}

INFERNO_HD int64_t newest_slot(const SparseSumArgs& a) { return a.pointer ? ring_slot(*a.pointer, 1, a.slots) : 0; }

}  // namespace inferno
