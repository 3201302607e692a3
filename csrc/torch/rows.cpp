#include "core/rows.h"

#include "torch/large_pages.h"
#include "torch/packed_synapses.h"

namespace inferno {
namespace {

WeightBits weight_bits(const Tensor& weight) {
  const ScalarType type = weight.scalar_type();
  return type == ScalarType::Short ? WeightBits::sixteen
         : type == ScalarType::Int ? WeightBits::thirty_two
                                   : WeightBits::sixty_four;
}

const int32_t* ints_of(const Tensor& t, int64_t count, const char* name) {
  STD_TORCH_CHECK(t.scalar_type() == ScalarType::Int && t.is_contiguous() && t.numel() == count && !t.is_cuda(), name,
                  ": must be int32, contiguous, on the CPU, as many as sources");
  return static_cast<const int32_t*>(t.const_data_ptr());
}

TargetRanges ranges_of(const Tensor& bounds, const Tensor& ports) {
  check_array(bounds, "bounds", ScalarType::Long, bounds.numel(), ports);
  check_array(ports, "ports", ScalarType::Byte, ports.numel(), ports);
  STD_TORCH_CHECK(bounds.numel() >= 2, "bounds: must have two elements");
  return {ports.numel(), bounds.numel() - 1, static_cast<const int64_t*>(bounds.const_data_ptr()),
          static_cast<const uint8_t*>(ports.const_data_ptr())};
}

SynapseChunk chunk_of(const Tensor& source, const Tensor& target, const std::optional<Tensor>& weight, double same) {
  SynapseChunk chunk{};
  chunk.count = source.numel();
  chunk.source = ints_of(source, chunk.count, "source");
  chunk.target = ints_of(target, chunk.count, "target");
  chunk.weight = same;
  if (!weight) return chunk;
  check_array(*weight, "weight", weight->scalar_type(), chunk.count, source);
  const Scalar type = floating_of(*weight, "weight");
  STD_TORCH_CHECK(type == Scalar::f32 || type == Scalar::f64, "weight: must be float32 or float64");
  if (type == Scalar::f32)
    chunk.narrow_weight = static_cast<const float*>(weight->const_data_ptr());
  else
    chunk.wide_weight = static_cast<const double*>(weight->const_data_ptr());
  return chunk;
}

void rows_count(const Tensor source, const Tensor target, const std::optional<Tensor> weight, double bound,
                const Tensor bounds, const Tensor ports, Tensor counts, Tensor load, Tensor degree) {
  RowsCountArgs a{};
  a.ranges = ranges_of(bounds, ports);
  a.chunk = chunk_of(source, target, weight, bound);
  a.bounded = !weight;
  check_array(counts, "counts", ScalarType::Long, a.ranges.parts * a.ranges.neurons, ports);
  check_array(load, "load", ScalarType::Double, 2 * a.ranges.neurons, ports);
  check_array(degree, "degree", ScalarType::Int, a.ranges.neurons, ports);
  a.counts = static_cast<int64_t*>(counts.mutable_data_ptr());
  a.load = static_cast<double*>(load.mutable_data_ptr());
  a.degree = static_cast<int32_t*>(degree.mutable_data_ptr());
  parallel(a.ranges.parts, 1, [&](int64_t begin, int64_t end) { rows_count_cpu(a, begin, end); });
}

RowsTarget target_of(const Tensor& slot, const Tensor& delay, const Tensor& weight, WeightBits bits, bool byte_delays) {
  check_array(delay, "delay", byte_delays ? ScalarType::Byte : ScalarType::Short, slot.numel(), delay);
  if (bits == WeightBits::sixteen) {
    packed_synapses(slot, weight, delay);
  } else {
    check_array(slot, "slot", ScalarType::Short, slot.numel(), delay);
    check_array(weight, "weight", bits == WeightBits::sixty_four ? ScalarType::Double : ScalarType::Int, slot.numel(),
                delay);
  }
  return {slot.numel(), static_cast<uint16_t*>(slot.mutable_data_ptr()), delay.mutable_data_ptr(),
          weight.mutable_data_ptr()};
}

void rows_fill(const Tensor source, const Tensor target, const Tensor delay, const std::optional<Tensor> weight,
               double same_weight, double quantum, const Tensor bounds, const Tensor ports, Tensor cursor, Tensor total,
               const std::vector<Tensor> slots, const std::vector<Tensor> delays, const std::vector<Tensor> weights) {
  RowsFillArgs a{};
  a.ranges = ranges_of(bounds, ports);
  a.chunk = chunk_of(source, target, weight, same_weight);
  a.chunk.delay = ints_of(delay, a.chunk.count, "delay");
  const size_t parts = size_t(a.ranges.parts);
  STD_TORCH_CHECK(slots.size() == parts && delays.size() == parts && weights.size() == parts,
                  "slots, delays, weights: must be one a part");
  a.bits = weight_bits(weights[0]);
  a.byte_delays = delays[0].scalar_type() == ScalarType::Byte;
  a.quantum = quantum;
  check_array(cursor, "cursor", ScalarType::Long, a.ranges.parts * a.ranges.neurons, ports);
  check_array(total, "total", a.bits == WeightBits::sixty_four ? ScalarType::Double : ScalarType::Long,
              2 * a.ranges.neurons, ports);
  a.cursor = static_cast<int64_t*>(cursor.mutable_data_ptr());
  a.total = total.mutable_data_ptr();
  std::vector<RowsTarget> targets;
  for (size_t p = 0; p < parts; ++p)
    targets.push_back(target_of(slots[p], delays[p], weights[p], a.bits, a.byte_delays));
  a.targets = targets.data();
  parallel(a.ranges.parts, 1, [&](int64_t begin, int64_t end) { rows_fill_cpu(a, begin, end); });
}

// What is written all over, and read all over in every step, costs less in large pages.
void large_pages(Tensor memory) {
  ask_for_large_pages(memory.mutable_data_ptr(), size_t(memory.numel()) * memory.element_size());
}

std::tuple<Tensor, Tensor, Tensor> rows_sort(const Tensor first, Tensor slot, const Tensor delay, Tensor weight,
                                             int64_t max_delay) {
  RowsSortArgs a{};
  a.neurons = first.numel() - 1;
  a.bits = weight_bits(weight);
  a.byte_delays = delay.scalar_type() == ScalarType::Byte;
  check_array(first, "first", ScalarType::Long, a.neurons + 1, slot);
  a.first = static_cast<const int64_t*>(first.const_data_ptr());
  STD_TORCH_CHECK(a.neurons >= 0 && a.first[0] == 0 && a.first[a.neurons] == slot.numel(), "first: does not fit slot");
  a.target = target_of(slot, delay, weight, a.bits, a.byte_delays);
  a.max_delay = int32_t(max_delay);
  Tensor segments = empty(slot, {a.neurons + 1}, ScalarType::Int);
  int32_t* counts = static_cast<int32_t*>(segments.mutable_data_ptr());
  constexpr int64_t grain = 64;
  parallel(a.neurons, grain, [&](int64_t begin, int64_t end) { rows_count_segments_cpu(a, counts, begin, end); });
  int64_t all = 0;
  for (int64_t s = 0; s <= a.neurons; ++s) {
    const int32_t of_source = s < a.neurons ? counts[s] : 0;
    counts[s] = int32_t(all);
    all += of_source;
  }
  Tensor segment_delay = empty(slot, {all}, ScalarType::Short), begins = empty(slot, {all + 1}, ScalarType::Int);
  large_pages(segment_delay);
  large_pages(begins);
  const RowsSegments out{counts, static_cast<uint16_t*>(segment_delay.mutable_data_ptr()),
                         static_cast<int32_t*>(begins.mutable_data_ptr())};
  out.begin[all] = int32_t(slot.numel());
  parallel(a.neurons, grain, [&](int64_t begin, int64_t end) { rows_sort_cpu(a, out, begin, end); });
  return {segments, segment_delay, begins};
}

}  // namespace
}  // namespace inferno

STABLE_TORCH_LIBRARY_FRAGMENT(inferno_cuda, m) {
  m.def(
      "rows_count_(Tensor source, Tensor target, Tensor? weight, float bound, Tensor bounds, Tensor ports, "
      "Tensor(a!) counts, Tensor(b!) load, Tensor(c!) degree) -> ()");
  m.def(
      "rows_fill_(Tensor source, Tensor target, Tensor delay, Tensor? weight, float same_weight, float quantum, "
      "Tensor bounds, Tensor ports, Tensor(a!) cursor, Tensor(b!) total, Tensor(c!)[] slots, Tensor(d!)[] delays, "
      "Tensor(e!)[] weights) -> ()");
  m.def(
      "rows_sort_(Tensor first, Tensor(a!) slot, Tensor delay, Tensor(b!) weight, int max_delay) -> "
      "(Tensor, Tensor, Tensor)");
  m.def("large_pages_(Tensor(a!) memory) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CPU, m) {
  m.impl("rows_count_", TORCH_BOX(&inferno::rows_count));
  m.impl("rows_fill_", TORCH_BOX(&inferno::rows_fill));
  m.impl("rows_sort_", TORCH_BOX(&inferno::rows_sort));
  m.impl("large_pages_", TORCH_BOX(&inferno::large_pages));
}
