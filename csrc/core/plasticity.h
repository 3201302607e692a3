// What learning rules compute for each synapse from its postsynaptic and its presynaptic side.
#pragma once
#include "core/delayed.h"
#include "core/delayed_run.h"

namespace inferno {

// For each synapse the sum, over batch and places, of a value of its output times the sample that its delay finds.
// Every map is a convolution of channels of pixels, as in DelayedRunArgs.
struct CorrelateArgs {
  Scalar type;               // of out, and of post and pre unless those are bool
  bool bool_post, bool_pre;  // bytes 0 or 1
  bool byte_slots, linear, direct;
  int64_t batch, channels, filters, slots;
  ConvAxis rows, columns;                                  // pixel strides are those of pre
  const void* post;                                        // [batch, filters, places]
  int64_t post_batch, post_filter, post_row, post_column;  // strides
  const void* pre;                                         // [slots, batch, channels, pixels]
  int64_t pre_slot, pre_batch, pre_channel;                // strides
  const int64_t* pointer;                                  // null: pre is one observation, without a slot
  const void* slot;                                        // [filters, terms], see DelayPlanArgs; null: age 0
  const void* factor;                                      // [filters, terms], in the compute type, or null
  double overbound, scale;
  void* out;  // [filters, terms]
};

void correlate_cpu(const CorrelateArgs& a, const Span& channels, const Span& filters);
void correlate_cuda(const CorrelateArgs& a, void* stream);

INFERNO_HD int64_t taps_of(const CorrelateArgs& a) { return a.rows.kernel * a.columns.kernel; }
INFERNO_HD int64_t terms_of(const CorrelateArgs& a) { return (a.direct ? 1 : a.channels) * taps_of(a); }
INFERNO_HD int64_t newest_slot(const CorrelateArgs& a) { return a.pointer ? ring_slot(*a.pointer, 1, a.slots) : 0; }

// Nothing where either is 0, whatever the other is: what is silent need not be looked at. In flags, so that compilers
// vectorise it.
template <class C>
INFERNO_HD C met(C post, C pre) {
  return (int32_t(post != C(0)) & int32_t(pre != C(0))) ? post * pre : C(0);
}

struct Synapse {
  int64_t filter, channel, row, column;  // row and column of the kernel
  INFERNO_HD int64_t number(const CorrelateArgs& a) const {
    return filter * terms_of(a) + ((a.direct ? 0 : channel) * a.rows.kernel + row) * a.columns.kernel + column;
  }
};

INFERNO_HD Synapse synapse_of(const CorrelateArgs& a, int64_t number) {
  const int64_t filter = number / terms_of(a), term = number % terms_of(a), tap = term % taps_of(a);
  return {filter, a.direct ? filter : term / taps_of(a), tap / a.columns.kernel, tap % a.columns.kernel};
}

// The sum over some of the batch with samples of one age; with what delays out of range find for an age of `slots`.
template <class P, class H, class C>
INFERNO_HD C sum_at(const CorrelateArgs& a, const Synapse& s, int64_t newest, int32_t age, const Span& batch) {
  const Places rows = places_inside(a.rows, s.row), columns = places_inside(a.columns, s.column);
  const bool outside = age == a.slots;
  const int64_t slot = outside ? 0 : slot_of_age(newest, age, a.slots);
  const H* pre = static_cast<const H*>(a.pre) + slot * a.pre_slot + s.channel * a.pre_channel;
  const P* post = static_cast<const P*>(a.post) + s.filter * a.post_filter;
  C sum = 0;
  for (int64_t b = batch.begin; b < batch.end; ++b)
    for (int64_t y = rows.begin; y < rows.end; ++y)
      for (int64_t x = columns.begin; x < columns.end; ++x) {
        const C value = sample_value<P, C>(post[b * a.post_batch + y * a.post_row + x * a.post_column], 1);
        if (value == C(0)) continue;
        const int64_t pixel_y = y * a.rows.stride - a.rows.padding + s.row * a.rows.dilation;
        const int64_t pixel_x = x * a.columns.stride - a.columns.padding + s.column * a.columns.dilation;
        const int64_t at = b * a.pre_batch + pixel_y * a.rows.pixel_stride + pixel_x * a.columns.pixel_stride;
        sum = sum + met(value, outside ? C(a.overbound) : sample_value<H, C>(pre[at], 1));
      }
  return sum;
}

// A synapse's sum from those at the ages around its delay; at(age) gives one.
template <class Slot, class C, class At>
INFERNO_HD C at_delay(const CorrelateArgs& a, int64_t number, At&& at) {
  const int32_t age = a.slot ? int32_t(static_cast<const Slot*>(a.slot)[number]) : 0;
  const C older = at(age);
  if (!a.factor) return older;
  const C factor = static_cast<const C*>(a.factor)[number];
  if (!a.linear) return older * factor;
  return factor > C(0) ? blend_linear(older, C(at(age - 1)), factor) : older;
}

}  // namespace inferno
