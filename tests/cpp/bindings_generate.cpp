// Synapses of rules and numbers of distributions for numpy arrays.
#include "bindings.h"
#include "core/draw.h"
#include "core/generate.h"

namespace {

template <class T>
T* written(py::array& array, int64_t size) {
  require(array.dtype().is(py::dtype::of<T>()) && array.size() == size && is_contiguous(array), "an output array");
  return static_cast<T*>(array.mutable_data());
}

// Kernels take the number of items where CPU loops take a range.
void run_all(bool emulated, const ConnectArgs& a, int64_t count, const Range& range,
             void (*on_cpu)(const ConnectArgs&, int64_t, int64_t),
             void (*on_cuda)(const ConnectArgs&, int64_t, void*)) {
  require(!emulated || !range, "range: the kernels take all items");
  const auto [begin, end] = range.value_or(std::pair<int64_t, int64_t>(0, count));
  emulated ? on_cuda(a, count, nullptr) : on_cpu(a, begin, end);
}

}  // namespace

void define_generate(py::module_& m, bool emulated) {
  m.def(
      "connect",
      [emulated](py::array row, py::array column, py::array index, int rule, bool autapses, bool multapses,
                 uint64_t seed, uint32_t stream, int64_t rows, int64_t columns, int64_t per_row, int64_t first,
                 Range range) {
        ConnectArgs a{};
        a.rule = Rule(rule);
        a.autapses = autapses;
        a.multapses = multapses;
        a.seed = seed;
        a.stream = stream;
        a.rows = rows;
        a.columns = columns;
        a.per_row = per_row;
        a.first = first;
        a.row = written<int32_t>(row, row.size());
        a.column = written<int32_t>(column, row.size());
        a.index = written<int64_t>(index, row.size());
        run_all(emulated, a, row.size(), range, connect_cpu, connect_cuda);
      },
      "row"_a, "column"_a, "index"_a, py::kw_only(), "rule"_a, "autapses"_a, "multapses"_a, "seed"_a, "stream"_a,
      "rows"_a, "columns"_a, "per_row"_a, "first"_a, "range"_a = py::none());
  m.def(
      "bernoulli",
      [emulated](py::array kept, uint64_t seed, uint32_t stream, int64_t threshold, int64_t first, Range range) {
        ConnectArgs a{};
        a.seed = seed;
        a.stream = stream;
        a.threshold = threshold;
        a.first = first;
        a.kept = written<bool>(kept, kept.size());
        run_all(emulated, a, kept.size(), range, bernoulli_cpu, bernoulli_cuda);
      },
      "kept"_a, py::kw_only(), "seed"_a, "stream"_a, "threshold"_a, "first"_a, "range"_a = py::none());
  m.def(
      "draw",
      [emulated](py::array out, py::array index, int distribution, uint64_t seed, uint32_t stream, double a, double b,
                 double low, double high, bool redraw, Range range) {
        DrawArgs args{};
        args.distribution = Distribution(distribution);
        args.type = out.itemsize() == 8 ? Scalar::f64 : Scalar::f32;
        args.redraw = redraw;
        args.seed = seed;
        args.stream = stream;
        args.a = a;
        args.b = b;
        args.low = low;
        args.high = high;
        args.count = index.size();
        args.index = written<int64_t>(index, out.size());
        args.out = out.mutable_data();
        run(emulated, {draw_cpu, draw_cuda}, args, args.count, range);
      },
      "out"_a, "index"_a, py::kw_only(), "distribution"_a, "seed"_a, "stream"_a, "a"_a, "b"_a, "low"_a, "high"_a,
      "redraw"_a, "range"_a = py::none());
}
