// What the bindings of every family of kernels share: `cpu` ones take a range of items, `emulated` ones all of them.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>

#include "core/args.h"

namespace py = pybind11;
using namespace py::literals;
using namespace inferno;

inline void require(bool holds, const char* what) {
  if (!holds) throw py::value_error(what);
}

inline int64_t stride(const py::array& array, int dim) { return array.strides(dim) / array.itemsize(); }

inline bool is_contiguous(const py::array& array) { return array.flags() & py::array::c_style; }

inline bool same_shape(const py::array& a, const py::array& b) {
  return a.ndim() == b.ndim() && std::equal(a.shape(), a.shape() + a.ndim(), b.shape());
}

inline int64_t* pointer_of(py::array& pointer) {
  require(pointer.dtype().is(py::dtype::of<int64_t>()) && pointer.size() == 1, "pointer: one int64");
  return static_cast<int64_t*>(pointer.mutable_data());
}

inline Ring ring_of(const py::array& data, py::array& pointer) {
  require(data.ndim() == 3, "data: [slots, batch, rest]");
  return {data.shape(0),   data.shape(1),   data.shape(2),      stride(data, 0),
          stride(data, 1), stride(data, 2), pointer_of(pointer)};
}

// Runs one operation on the CPU, on a range of its items, or on the emulator, on all of them.
template <class Args>
struct Operation {
  void (*on_cpu)(const Args&, int64_t, int64_t);
  void (*on_cuda)(const Args&, void*);
};

using Range = std::optional<std::pair<int64_t, int64_t>>;

template <class Args>
void run(bool emulated, const Operation<Args>& op, const Args& args, int64_t items, const Range& range) {
  const auto [begin, end] = range.value_or(std::pair<int64_t, int64_t>(0, items));
  require(0 <= begin && begin <= end && end <= items, "range: outside the items");
  require(!emulated || !range, "range: the kernels take all items");
  emulated ? op.on_cuda(args, nullptr) : op.on_cpu(args, begin, end);
}

// Each family adds its operations to a submodule, for the CPU loops or for the emulated kernels.
void define_neurons(py::module_& m, bool emulated);
void define_neuron_run(py::module_& m, bool emulated);
void define_history(py::module_& m, bool emulated);
void define_connections(py::module_& m, bool emulated);
void define_synapses(py::module_& m, bool emulated);
void define_integrate_fire(py::module_& m, bool emulated);
void define_trace(py::module_& m, bool emulated);
void define_simulate(py::module_& m, bool emulated);
void define_generate(py::module_& m, bool emulated);
