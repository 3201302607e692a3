#include "core/sparse_events.h"
#include "torch/common.h"

namespace inferno {
namespace {

enum class Device { cpu, cuda };

// A tensor [steps, batch, rows] whose lanes lie one after another, as csrc/core/sparse.h has them.
void check_lanes(const Tensor& t, const Tensor& like, const char* name) {
  STD_TORCH_CHECK(t.dim() == 3, name, ": must have three dimensions");
  check_device(t, like, name);
  STD_TORCH_CHECK(t.size(1) <= 1 || t.stride(1) == 1, name, ": the batch must be innermost");
  STD_TORCH_CHECK(t.size(0) <= 1 || t.stride(0) == t.size(1), name, ": steps must follow each other");
}

void check_list(const Tensor& start, const Tensor& partner, const Tensor& weight) {
  STD_TORCH_CHECK(weight.dim() == 1, "weight: must be [synapses]");
  STD_TORCH_CHECK(start.numel() > 0, "start: must be [rows + 1]");
  check_array(start, "start", ScalarType::Long, start.numel(), weight);
  check_array(partner, "partner", ScalarType::Int, weight.numel(), weight);
}

// What both directions share; `data` is that of the partners.
SparseSumArgs sum_args(const Tensor& weight, const Tensor& start, const Tensor& partner,
                       const std::optional<Tensor>& slot, const std::optional<Tensor>& factor, int64_t slots,
                       bool linear) {
  SparseSumArgs a{};
  a.type = floating_of(weight, "weight");
  check_array(weight, "weight", weight.scalar_type(), weight.numel(), weight);
  check_list(start, partner, weight);
  STD_TORCH_CHECK(slots > 0 && slots < (int64_t(1) << 31), "slots: must be positive and below 2^31");
  STD_TORCH_CHECK(slot.has_value() || slots == 1, "slot: missing");
  a.byte_slots = !slot || slot->scalar_type() == ScalarType::Byte;
  if (slot) check_array(*slot, "slot", a.byte_slots ? ScalarType::Byte : ScalarType::Int, weight.numel(), weight);
  const ScalarType compute = a.type == Scalar::f64 ? ScalarType::Double : ScalarType::Float;
  if (factor) check_array(*factor, "factor", compute, weight.numel(), weight);
  a.linear = linear;
  a.slots = slots;
  a.list = {start.numel() - 1, static_cast<const int64_t*>(start.const_data_ptr()),
            static_cast<const int32_t*>(partner.const_data_ptr()), nullptr};
  a.weight = weight.const_data_ptr();
  a.slot = slot ? slot->const_data_ptr() : nullptr;
  a.factor = factor ? factor->const_data_ptr() : nullptr;
  a.scale = 1;
  return a;
}

// One stretch of items a thread unless that would be too little work for it.
template <class F>
void on_threads(int64_t items, int64_t work, F&& f) {
  const int64_t threads = torch::stable::get_num_threads();
  const int64_t grain = std::max((items + threads - 1) / threads, 32768 / (work + 1));
  parallel(items, std::max(grain, int64_t(1)), f);
}

// data: [slots - 1 + steps, batch, inputs], or with a pointer a ring [slots, batch, inputs]
void set_data(SparseSumArgs& a, const Tensor& data, const std::optional<Tensor>& pointer, const Tensor& weight) {
  if (pointer) {
    STD_TORCH_CHECK(data.dim() == 3 && data.size(0) == a.slots, "data: must be [slots, batch, inputs]");
    check_ring(data, *pointer);
    check_device(data, weight, "data");
    STD_TORCH_CHECK(data.size(1) <= 1 || data.stride(1) == 1, "data: the batch must be innermost");
    a.pointer = static_cast<const int64_t*>(pointer->const_data_ptr());
    a.slot_stride = data.stride(0);
    a.steps = 1;
  } else {
    check_lanes(data, weight, "data");
    a.steps = data.size(0) - (a.slots - 1);
    STD_TORCH_CHECK(a.steps >= 0, "data: must be [slots - 1 + steps, batch, inputs]");
  }
  a.batch = data.size(1);
  a.partner_stride = data.stride(2);
  a.data = data.const_data_ptr();
}

// data: [steps, batch, inputs], of samples that lie one after another; all of them are a batch here.
void set_samples(SparseSumArgs& a, const Tensor& data, const Tensor& weight) {
  check_device(data, weight, "data");
  a.steps = 1;
  a.batch = data.size(0) * data.size(1);
  a.partner_stride = 1;
  a.data = data.const_data_ptr();
}

void sum_into(const SparseSumArgs& a, const Tensor& weight) {
  on_threads(a.list.rows + weight.numel(), a.steps * a.batch,
             [&](int64_t begin, int64_t end) { sparse_sum_cpu(a, begin, end); });
}

// The same with the lanes of an input brought together.
void sum_samples_into(SparseSumArgs a, const Tensor& data, const Tensor& weight) {
  if (a.batch == 1) return sum_into(a, weight);
  const int64_t inputs = data.size(2), bytes = data.element_size();
  const Tensor lanes = empty(data, {inputs, a.batch}, data.scalar_type());
  void* to = lanes.mutable_data_ptr();
  parallel(inputs, 65536 / a.batch + 1,
           [&](int64_t begin, int64_t end) { to_lanes_cpu(a.data, a.batch, inputs, bytes, to, begin, end); });
  a.data = to;
  a.partner_stride = a.batch;
  sum_into(a, weight);
}

constexpr int64_t terms_of_a_thread = 50000;  // below, waking a thread takes longer than adding them

// Sums over events if these are few, and tells whether they were.
bool sum_events_into(const SparseEventsArgs& a) {
  const FewInputs few = few_events_cpu(a);
  if (few.samples.empty()) return false;
  const int64_t outputs = a.sum.list.rows, threads = torch::stable::get_num_threads();
  int64_t terms = int64_t(few.samples.size()) * outputs;
  for (const int32_t i : few.inputs) terms += a.by_input.start[i + 1] - a.by_input.start[i];
  const int64_t grain = std::max((outputs + threads - 1) / threads, terms_of_a_thread * outputs / terms);
  parallel(outputs, std::max(grain, int64_t(1)),
           [&](int64_t begin, int64_t end) { sparse_events_cpu(a, few, begin, end); });
  return true;
}

// Whether it pays to look through a ring for events.
bool has_events(const SparseSumArgs& a, const Tensor& data, int64_t synapses) {
  const bool dense_slots = data.stride(2) == a.batch || data.size(2) == 1;
  return a.pointer && a.bool_data && a.overbound == 0 && dense_slots && synapses >= data.size(2) * a.slots / 16;
}

// source_start, target_by_source, by_source: the list by inputs
template <Device device>
Tensor sum(const Tensor& data, const std::optional<Tensor> pointer, const Tensor& weight,
           const std::optional<Tensor> bias, const Tensor& start, const Tensor& partner, const Tensor& source_start,
           const Tensor& target_by_source, const Tensor& by_source, const std::optional<Tensor> slot,
           const std::optional<Tensor> factor, int64_t slots, bool linear, double scale, double overbound) {
  SparseSumArgs a = sum_args(weight, start, partner, slot, factor, slots, linear);
  a.bool_data = data.scalar_type() == ScalarType::Bool;
  STD_TORCH_CHECK(a.bool_data || data.scalar_type() == weight.scalar_type(), "data: must be bool or of weight's dtype");
  STD_TORCH_CHECK(data.dim() == 3, "data: must have three dimensions");
  const bool samples = device == Device::cpu && !pointer && !slot && slots == 1 && data.is_contiguous();
  samples ? set_samples(a, data, weight) : set_data(a, data, pointer, weight);
  check_array(source_start, "source_start", ScalarType::Long, data.size(2) + 1, weight);
  check_array(by_source, "by_source", ScalarType::Int, weight.numel(), weight);
  check_array(target_by_source, "target_by_source", ScalarType::Int, weight.numel(), weight);
  if (bias) check_array(*bias, "bias", weight.scalar_type(), a.list.rows, weight);
  a.bias = bias ? bias->const_data_ptr() : nullptr;
  a.scale = scale;
  a.overbound = overbound;
  Tensor out = empty(weight, {samples ? data.size(0) : a.steps, data.size(1), a.list.rows}, weight.scalar_type());
  a.out = out.mutable_data_ptr();
  if (out.numel() == 0) return out;
  if constexpr (device == Device::cpu) {
    const SynapseList by_input{data.size(2), static_cast<const int64_t*>(source_start.const_data_ptr()),
                               static_cast<const int32_t*>(target_by_source.const_data_ptr()),
                               static_cast<const int32_t*>(by_source.const_data_ptr())};
    const bool spikes = samples || has_events(a, data, weight.numel());
    if (spikes && sum_events_into({a, samples ? data.size(2) : 1, by_input})) return out;
    samples ? sum_samples_into(a, data, weight) : sum_into(a, weight);
  }
#ifdef INFERNO_WITH_CUDA
  if constexpr (device == Device::cuda) on_stream(weight, [&](void* stream) { sparse_sum_cuda(a, stream); });
#endif
  return out;
}

// grad: [steps, batch, outputs]; start, partner, place: the list by inputs. The result is [inputs, times, batch].
template <Device device>
Tensor transposed(const Tensor& grad, const Tensor& weight, const Tensor& start, const Tensor& partner,
                  const Tensor& place, const std::optional<Tensor> slot, const std::optional<Tensor> factor,
                  int64_t slots, bool linear) {
  SparseSumArgs a = sum_args(weight, start, partner, slot, factor, slots, linear);
  check_array(place, "place", ScalarType::Int, weight.numel(), weight);
  a.list.place = static_cast<const int32_t*>(place.const_data_ptr());
  check_lanes(grad, weight, "grad");
  STD_TORCH_CHECK(grad.scalar_type() == weight.scalar_type(), "grad: must be of weight's dtype");
  a.steps = grad.size(0);
  a.batch = grad.size(1);
  a.partner_stride = grad.stride(2);
  a.data = grad.const_data_ptr();
  Tensor out = empty(weight, {a.list.rows, slots - 1 + a.steps, a.batch}, weight.scalar_type());
  a.out = out.mutable_data_ptr();
  if (out.numel() == 0) return out;
  if constexpr (device == Device::cpu)
    on_threads(a.list.rows + weight.numel(), a.steps * a.batch,
               [&](int64_t begin, int64_t end) { sparse_sum_transposed_cpu(a, begin, end); });
#ifdef INFERNO_WITH_CUDA
  if constexpr (device == Device::cuda) on_stream(weight, [&](void* stream) { sparse_sum_transposed_cuda(a, stream); });
#endif
  return out;
}

// grad: [steps, batch, outputs]; data: [slots - 1 + steps, batch, inputs].
template <Device device>
std::tuple<Tensor, Tensor> taps(const Tensor& grad, const Tensor& data, const Tensor& source, const Tensor& target,
                                const std::optional<Tensor> slot, int64_t slots, bool newer, double scale,
                                double overbound) {
  SparseTapsArgs a{};
  a.type = floating_of(grad, "grad");
  check_lanes(grad, grad, "grad");
  check_lanes(data, grad, "data");
  a.bool_data = data.scalar_type() == ScalarType::Bool;
  STD_TORCH_CHECK(a.bool_data || data.scalar_type() == grad.scalar_type(), "data: must be bool or of grad's dtype");
  a.synapses = source.numel();
  check_array(source, "source", ScalarType::Int, a.synapses, grad);
  check_array(target, "target", ScalarType::Int, a.synapses, grad);
  a.byte_slots = !slot || slot->scalar_type() == ScalarType::Byte;
  if (slot) check_array(*slot, "slot", a.byte_slots ? ScalarType::Byte : ScalarType::Int, a.synapses, grad);
  STD_TORCH_CHECK(slots > 0 && (slots == 1 || slot) && (!newer || slots > 1), "slots: must fit slot and newer");
  a.steps = grad.size(0);
  a.batch = grad.size(1);
  a.slots = slots;
  STD_TORCH_CHECK(data.size(0) == slots - 1 + a.steps && data.size(1) == a.batch,
                  "data: must be [slots - 1 + steps, batch, inputs]");
  a.source = static_cast<const int32_t*>(source.const_data_ptr());
  a.target = static_cast<const int32_t*>(target.const_data_ptr());
  a.data = data.const_data_ptr();
  a.grad = grad.const_data_ptr();
  a.source_stride = data.stride(2);
  a.target_stride = grad.stride(2);
  a.slot = slot ? slot->const_data_ptr() : nullptr;
  a.scale = scale;
  a.overbound = overbound;
  const ScalarType compute = a.type == Scalar::f64 ? ScalarType::Double : ScalarType::Float;
  Tensor older = empty(grad, {a.synapses}, compute), other = empty(grad, {newer ? a.synapses : 0}, compute);
  a.older = older.mutable_data_ptr();
  a.newer = newer ? other.mutable_data_ptr() : nullptr;
  if constexpr (device == Device::cpu)
    on_threads(a.synapses, a.steps * a.batch, [&](int64_t begin, int64_t end) { sparse_taps_cpu(a, begin, end); });
#ifdef INFERNO_WITH_CUDA
  if constexpr (device == Device::cuda) on_stream(grad, [&](void* stream) { sparse_taps_cuda(a, stream); });
#endif
  return {older, other};
}

}  // namespace
}  // namespace inferno

STABLE_TORCH_LIBRARY_FRAGMENT(inferno_cuda, m) {
  m.def(
      "sparse_sum(Tensor data, Tensor? pointer, Tensor weight, Tensor? bias, Tensor start, Tensor partner, "
      "Tensor source_start, Tensor target_by_source, Tensor by_source, Tensor? slot, Tensor? factor, int slots, "
      "bool linear, float scale, float overbound) -> Tensor");
  m.def(
      "sparse_sum_transposed(Tensor grad, Tensor weight, Tensor start, Tensor partner, Tensor place, Tensor? slot, "
      "Tensor? factor, int slots, bool linear) -> Tensor");
  m.def(
      "sparse_taps(Tensor grad, Tensor data, Tensor source, Tensor target, Tensor? slot, int slots, bool newer, "
      "float scale, float overbound) -> (Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CPU, m) {
  m.impl("sparse_sum", TORCH_BOX(&inferno::sum<inferno::Device::cpu>));
  m.impl("sparse_sum_transposed", TORCH_BOX(&inferno::transposed<inferno::Device::cpu>));
  m.impl("sparse_taps", TORCH_BOX(&inferno::taps<inferno::Device::cpu>));
}

#ifdef INFERNO_WITH_CUDA
STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CUDA, m) {
  m.impl("sparse_sum", TORCH_BOX(&inferno::sum<inferno::Device::cuda>));
  m.impl("sparse_sum_transposed", TORCH_BOX(&inferno::transposed<inferno::Device::cuda>));
  m.impl("sparse_taps", TORCH_BOX(&inferno::taps<inferno::Device::cuda>));
}
#endif
