// Applying updates to some parameters side by side.
#pragma once
#include "core/updates.h"

namespace inferno {

constexpr int64_t update_block = 512;

// param += upper(pos) - lower(neg) of at most `update_block` elements, of which pos and neg are used up; with `keep`,
// those without an update stay.
void change_block(const Bound& upper, const Bound& lower, float* param, float* pos, float* neg, int64_t count,
                  bool keep);
void change_block(const Bound& upper, const Bound& lower, double* param, double* pos, double* neg, int64_t count,
                  bool keep);

}  // namespace inferno
