#include "core/generate.h"

#include "core/draw.h"
#include "torch/common.h"

namespace inferno {
namespace {

constexpr int64_t grain = 1 << 14;

ConnectArgs args_of(int64_t rule, bool autapses, bool multapses, int64_t seed, int64_t stream, int64_t rows,
                    int64_t columns, int64_t number, int64_t first) {
  STD_TORCH_CHECK(rule >= 0 && rule <= int64_t(Rule::pairwise_bernoulli), "rule: unknown");
  STD_TORCH_CHECK(rows > 0 && columns > 0 && rows >> 31 == 0 && columns >> 31 == 0, "rows, columns: out of range");
  STD_TORCH_CHECK(stream >= 0 && stream >> 32 == 0, "stream: out of range");
  STD_TORCH_CHECK(first >= 0, "first: negative");
  ConnectArgs a{};
  a.rule = Rule(rule);
  a.autapses = autapses;
  a.multapses = multapses;
  a.seed = uint64_t(seed);
  a.stream = uint32_t(stream);
  a.rows = rows;
  a.columns = columns;
  a.first = first;
  const bool degree = a.rule == Rule::fixed_indegree || a.rule == Rule::fixed_outdegree;
  STD_TORCH_CHECK(number > 0 || !degree, "number: must be positive");
  STD_TORCH_CHECK(!degree || multapses || number <= columns, "number: more than there are columns");
  a.per_row = a.threshold = number;
  return a;
}

void connect_on_cpu(const ConnectArgs& a, int64_t count, const Tensor&) {
  parallel(count, grain, [&](int64_t begin, int64_t end) { connect_cpu(a, begin, end); });
}

void bernoulli_on_cpu(const ConnectArgs& a, int64_t count, const Tensor&) {
  parallel(count, 4 * grain, [&](int64_t begin, int64_t end) { bernoulli_cpu(a, begin, end); });
}

void draw_on_cpu(const DrawArgs& a, const Tensor&) {
  parallel(a.count, grain, [&](int64_t begin, int64_t end) { draw_cpu(a, begin, end); });
}

#ifdef INFERNO_WITH_CUDA
void connect_on_cuda(const ConnectArgs& a, int64_t count, const Tensor& t) {
  on_stream(t, [&](void* stream) { connect_cuda(a, count, stream); });
}

void bernoulli_on_cuda(const ConnectArgs& a, int64_t count, const Tensor& t) {
  on_stream(t, [&](void* stream) { bernoulli_cuda(a, count, stream); });
}

void draw_on_cuda(const DrawArgs& a, const Tensor& t) {
  on_stream(t, [&](void* stream) { draw_cuda(a, stream); });
}
#endif

// row, column, index: [count]; number: synapses of a row, where the rule fixes them
template <void (*Run)(const ConnectArgs&, int64_t, const Tensor&)>
void connect(Tensor row, Tensor column, Tensor index, int64_t rule, bool autapses, bool multapses, int64_t seed,
             int64_t stream, int64_t rows, int64_t columns, int64_t number, int64_t first) {
  ConnectArgs a = args_of(rule, autapses, multapses, seed, stream, rows, columns, number, first);
  check_array(row, "row", ScalarType::Int, row.numel(), row);
  check_array(column, "column", ScalarType::Int, row.numel(), row);
  check_array(index, "index", ScalarType::Long, row.numel(), row);
  a.row = static_cast<int32_t*>(row.mutable_data_ptr());
  a.column = static_cast<int32_t*>(column.mutable_data_ptr());
  a.index = static_cast<int64_t*>(index.mutable_data_ptr());
  Run(a, row.numel(), row);
}

// kept: [pairs]; number: the word below which a pair is connected
template <void (*Run)(const ConnectArgs&, int64_t, const Tensor&)>
void bernoulli(Tensor kept, int64_t seed, int64_t stream, int64_t number, int64_t first) {
  ConnectArgs a = args_of(int64_t(Rule::pairwise_bernoulli), true, true, seed, stream, 1, 1, number, first);
  check_array(kept, "kept", ScalarType::Bool, kept.numel(), kept);
  a.kept = static_cast<bool*>(kept.mutable_data_ptr());
  Run(a, kept.numel(), kept);
}

// out, index: [count]
template <void (*Run)(const DrawArgs&, const Tensor&)>
void draw(Tensor out, const Tensor& index, int64_t distribution, int64_t seed, int64_t stream, double a, double b,
          double low, double high, bool redraw) {
  STD_TORCH_CHECK(distribution >= 0 && distribution <= int64_t(Distribution::lognormal), "distribution: unknown");
  STD_TORCH_CHECK(stream >= 0 && stream >> 32 == 0, "stream: out of range");
  DrawArgs args{};
  args.distribution = Distribution(distribution);
  args.type = floating_of(out, "out");
  STD_TORCH_CHECK(args.type == Scalar::f32 || args.type == Scalar::f64, "out: must be float32 or float64");
  args.count = out.numel();
  check_array(out, "out", out.scalar_type(), args.count, out);
  check_array(index, "index", ScalarType::Long, args.count, out);
  args.redraw = redraw;
  args.seed = uint64_t(seed);
  args.stream = uint32_t(stream);
  args.a = a;
  args.b = b;
  args.low = low;
  args.high = high;
  args.index = static_cast<const int64_t*>(index.const_data_ptr());
  args.out = out.mutable_data_ptr();
  Run(args, out);
}

}  // namespace
}  // namespace inferno

STABLE_TORCH_LIBRARY_FRAGMENT(inferno_cuda, m) {
  m.def(
      "connect_(Tensor(a!) row, Tensor(b!) column, Tensor(c!) index, int rule, bool autapses, bool multapses, int "
      "seed, "
      "int stream, int rows, int columns, int number, int first) -> ()");
  m.def("bernoulli_(Tensor(a!) kept, int seed, int stream, int number, int first) -> ()");
  m.def(
      "draw_(Tensor(a!) out, Tensor index, int distribution, int seed, int stream, float a, float b, float low, "
      "float high, bool redraw) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CPU, m) {
  m.impl("connect_", TORCH_BOX(&inferno::connect<inferno::connect_on_cpu>));
  m.impl("bernoulli_", TORCH_BOX(&inferno::bernoulli<inferno::bernoulli_on_cpu>));
  m.impl("draw_", TORCH_BOX(&inferno::draw<inferno::draw_on_cpu>));
}

#ifdef INFERNO_WITH_CUDA
STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CUDA, m) {
  m.impl("connect_", TORCH_BOX(&inferno::connect<inferno::connect_on_cuda>));
  m.impl("bernoulli_", TORCH_BOX(&inferno::bernoulli<inferno::bernoulli_on_cuda>));
  m.impl("draw_", TORCH_BOX(&inferno::draw<inferno::draw_on_cuda>));
}
#endif
