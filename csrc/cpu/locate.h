// Where the samples for a block of times are found, side by side, so that the arithmetic is vectorised.
#pragma once
#include "core/args.h"

namespace inferno {

constexpr int64_t located_block = 64;

template <class F>
struct Located {
  int32_t picked[located_block];  // age of the sample, of the older one for modes that compute
  int32_t newer[located_block];   // age of the newer sample, for the mode linear only
  int32_t known[located_block];   // whether there is a value at the time: it is a number, and in range or clamped
  F factor[located_block];        // linear: the blend, 0 on the grid; expdecay: the decay; otherwise not set
  F second[located_block];        // expdecay: the second decay, if there is one
};

// For at most located_block times. True if all of them are known.
bool locate(const TimeGrid& grid, bool clamp, const float* time, int64_t count, Located<float>& l);
bool locate(const TimeGrid& grid, bool clamp, const float* time, int64_t count, Located<double>& l);
bool locate(const TimeGrid& grid, bool clamp, const double* time, int64_t count, Located<float>& l);
bool locate(const TimeGrid& grid, bool clamp, const double* time, int64_t count, Located<double>& l);

// From ages to places in the ring, for the elements that begin at these places.
void place(const Ring& ring, int64_t newest, const int32_t* age, const int32_t* element, int64_t count, int32_t* at);
void place(const Ring& ring, int64_t newest, const int32_t* age, const int64_t* element, int64_t count, int64_t* at);

}  // namespace inferno
