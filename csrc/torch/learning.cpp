#include "core/learning.h"

#include "torch/plasticity.h"

namespace inferno {
namespace {

using Optional = std::optional<Tensor>;

const void* like(const Optional& t, int64_t numel, const Tensor& other, const char* name) {
  if (t) check_array(*t, name, other.scalar_type(), numel, other);
  return t ? t->const_data_ptr() : nullptr;
}

// numbers: amplitude and constant of what is at or after, and before.
template <Device device>
std::tuple<Tensor, Tensor> spike_pairs(const Tensor& post, const Tensor& pre, const Optional pointer,
                                       const Optional slot, const Optional factor, bool linear, double overbound,
                                       const Optional delay, const Optional sample_scale,
                                       const std::vector<double> numbers, const std::vector<int64_t> geometry) {
  SpikePairArgs a{};
  a.sides = correlate_args(post, pre, pointer, slot, factor, floating_of(post, "post"), linear, 1, overbound, geometry);
  STD_TORCH_CHECK(!a.sides.bool_pre, "pre: must be floating point");
  STD_TORCH_CHECK(numbers.size() == 4, "numbers: must be 4");
  a.delay = like(delay, a.sides.filters * terms_of(a.sides), post, "delay");
  a.sample_scale = like(sample_scale, a.sides.batch, post, "sample_scale");
  a.after_amplitude = numbers[0];
  a.after_constant = numbers[1];
  a.before_amplitude = numbers[2];
  a.before_constant = numbers[3];
  const auto sizes = sizes_of_synapses(a.sides, geometry);
  Tensor after = empty(post, sizes, post.scalar_type()), before = empty(post, sizes, post.scalar_type());
  a.after = after.mutable_data_ptr();
  a.before = before.mutable_data_ptr();
  if constexpr (device == Device::cpu) {
    const CorrelateArgs& sides = a.sides;
    parallel_over_synapses(sides, sides.batch * sides.rows.output * sides.columns.output,
                           [&](const Span& channels, const Span& filters) { spike_pairs_cpu(a, channels, filters); });
  }
#ifdef INFERNO_WITH_CUDA
  if constexpr (device == Device::cuda) on_stream(post, [&](void* stream) { spike_pairs_cuda(a, stream); });
#endif
  return {after, before};
}

template <Device device>
void eligibility_step(Tensor trace, const Tensor& post, const Tensor& pre, const Optional pointer, const Optional slot,
                      const Optional factor, bool linear, double overbound, double decay, double scale,
                      const std::vector<int64_t> geometry) {
  EligibilityArgs a{};
  const Scalar type = floating_of(trace, "trace");
  a.sides = correlate_args(post, pre, pointer, slot, factor, type, linear, scale, overbound, geometry);
  const int64_t items = a.sides.batch * a.sides.filters;
  check_array(trace, "trace", trace.scalar_type(), items * terms_of(a.sides), post);
  STD_TORCH_CHECK(!overlap(trace, post) && !overlap(trace, pre), "trace: overlaps another tensor in memory");
  a.decay = decay;
  a.trace = trace.mutable_data_ptr();
  if constexpr (device == Device::cpu)
    parallel(a.sides.filters, std::max(16384 / (a.sides.batch * terms_of(a.sides) + 1), int64_t(1)),
             [&](int64_t begin, int64_t end) { eligibility_step_cpu(a, begin, end); });
#ifdef INFERNO_WITH_CUDA
  if constexpr (device == Device::cuda) on_stream(trace, [&](void* stream) { eligibility_step_cuda(a, stream); });
#endif
}

template <Device device>
Tensor eligibility_sum(const Tensor& trace, const Tensor& factor) {
  const Scalar type = floating_of(trace, "trace");
  STD_TORCH_CHECK(trace.dim() > 0 && trace.is_contiguous(), "trace: must be [batch, ...], contiguous");
  check_array(factor, "factor", trace.scalar_type(), trace.size(0), trace);
  std::vector<int64_t> sizes = sizes_of(trace);
  sizes.erase(sizes.begin());
  Tensor out = empty(trace, sizes, trace.scalar_type());
  const EligibilitySumArgs a{
      type, trace.size(0), out.numel(), trace.const_data_ptr(), factor.const_data_ptr(), out.mutable_data_ptr()};
  if constexpr (device == Device::cpu)
    parallel(a.count, std::max(16384 / (a.batch + 1), int64_t(256)),
             [&](int64_t begin, int64_t end) { eligibility_sum_cpu(a, begin, end); });
#ifdef INFERNO_WITH_CUDA
  if constexpr (device == Device::cuda) on_stream(trace, [&](void* stream) { eligibility_sum_cuda(a, stream); });
#endif
  return out;
}

}  // namespace
}  // namespace inferno

#define INFERNO_SIDES "Tensor post, Tensor pre, Tensor? pointer, Tensor? slot, Tensor? factor, bool linear, "

STABLE_TORCH_LIBRARY_FRAGMENT(inferno_cuda, m) {
  m.def("spike_pairs(" INFERNO_SIDES
        "float overbound, Tensor? delay, Tensor? sample_scale, float[] numbers, int[] geometry) -> (Tensor, Tensor)");
  m.def("eligibility_step_(Tensor(a!) trace, " INFERNO_SIDES
        "float overbound, float decay, float scale, int[] geometry) -> ()");
  m.def("eligibility_sum(Tensor trace, Tensor factor) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CPU, m) {
  m.impl("spike_pairs", TORCH_BOX(&inferno::spike_pairs<inferno::Device::cpu>));
  m.impl("eligibility_step_", TORCH_BOX(&inferno::eligibility_step<inferno::Device::cpu>));
  m.impl("eligibility_sum", TORCH_BOX(&inferno::eligibility_sum<inferno::Device::cpu>));
}

#ifdef INFERNO_WITH_CUDA
STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CUDA, m) {
  m.impl("spike_pairs", TORCH_BOX(&inferno::spike_pairs<inferno::Device::cuda>));
  m.impl("eligibility_step_", TORCH_BOX(&inferno::eligibility_step<inferno::Device::cuda>));
  m.impl("eligibility_sum", TORCH_BOX(&inferno::eligibility_sum<inferno::Device::cuda>));
}
#endif
