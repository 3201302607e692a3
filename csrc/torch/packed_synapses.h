// Slots and weights of 16 bits that lie side by side.
#pragma once
#include "torch/common.h"

namespace inferno {

// Both in one number: the slot in the lower half, the weight in the upper one.
inline const uint32_t* packed_synapses(const Tensor& slot, const Tensor& weight, const Tensor& like) {
  const auto* slots = static_cast<const int16_t*>(slot.const_data_ptr());
  const auto* weights = static_cast<const int16_t*>(weight.const_data_ptr());
  for (const Tensor* t : {&slot, &weight}) {
    STD_TORCH_CHECK(t->scalar_type() == ScalarType::Short && t->dim() == 1 && t->numel() == slot.numel(),
                    "slot, weight: must be int16 of one length");
    check_device(*t, like, "slot, weight");
    STD_TORCH_CHECK(t->numel() < 2 || t->stride(0) == 2, "slot, weight: must be two columns of one tensor");
  }
  const bool aligned = reinterpret_cast<uintptr_t>(slots) % sizeof(uint32_t) == 0;
  STD_TORCH_CHECK(slot.numel() == 0 || (weights == slots + 1 && aligned), "slot, weight: must be columns 0 and 1");
  return reinterpret_cast<const uint32_t*>(slots);
}

}  // namespace inferno
