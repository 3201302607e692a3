#include "core/few_inputs.h"

#include <algorithm>

#include "cpu/nonzero.h"

namespace inferno {
namespace {

template <class T>
void list_inputs(const FewInputsArgs& a, FewInputs& few) {
  const size_t most = size_t(a.inputs / few_share);
  few.starts.assign(1, 0);
  for (int64_t b = 0; b < a.batch; ++b) {
    const T* line = static_cast<const T*>(a.data) + b * a.inputs;
    const size_t first = few.inputs.size();
    for (int64_t i = 0; i < a.inputs && few.inputs.size() - first <= most; i += set_group) {
      const int64_t end = std::min(i + set_group, a.inputs);
      if (end == i + set_group && !any_set(line + i)) continue;
      for (int64_t k = i; k < end; ++k)
        if (line[k] != T(0)) few.inputs.push_back(int32_t(k));
    }
    if (few.inputs.size() - first > most) {
      few.inputs.resize(first);
      continue;
    }
    few.samples.push_back(b);
    few.starts.push_back(few.inputs.size());
  }
}

// Several outputs at once, since each alone would wait for its own additions.
template <class T, int Outputs>
void sum_outputs(const FewInputsArgs& a, const FewInputs& few, int64_t o) {
  const T* weight = static_cast<const T*>(a.weight) + o * a.inputs;
  const T* bias = static_cast<const T*>(a.bias);
  for (size_t k = 0; k < few.samples.size(); ++k) {
    const T* data = static_cast<const T*>(a.data) + few.samples[k] * a.inputs;
    T sums[Outputs] = {};
    for (size_t n = few.starts[k]; n < few.starts[k + 1]; ++n) {
      const int64_t i = few.inputs[n];
      for (int j = 0; j < Outputs; ++j) sums[j] = sums[j] + weight[j * a.inputs + i] * data[i];
    }
    T* out = static_cast<T*>(a.out) + few.samples[k] * a.outputs + o;
    for (int j = 0; j < Outputs; ++j) out[j] = bias ? sums[j] + bias[o + j] : sums[j];
  }
}

template <class F>
void dispatch_wide(Scalar type, F&& f) {
  type == Scalar::f64 ? f(double()) : f(float());
}

}  // namespace

FewInputs few_inputs_cpu(const FewInputsArgs& a) {
  FewInputs few;
  dispatch_wide(a.type, [&](auto scalar) { list_inputs<decltype(scalar)>(a, few); });
  return few;
}

void few_inputs_sum_cpu(const FewInputsArgs& a, const FewInputs& few, int64_t begin, int64_t end) {
  dispatch_wide(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    int64_t o = begin;
    for (; o + 4 <= end; o += 4) sum_outputs<T, 4>(a, few, o);
    for (; o < end; ++o) sum_outputs<T, 1>(a, few, o);
  });
}

}  // namespace inferno
