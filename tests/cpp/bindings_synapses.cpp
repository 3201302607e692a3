#include "bindings.h"
#include "core/synapse.h"
#include "core/synapse_run.h"

namespace {

Plane plane_of(const py::array& array, const SynapseStepArgs& a) {
  require(array.ndim() == 2 && array.shape(0) == a.batch && array.shape(1) == a.rest, "a tensor: [batch, rest]");
  return {array.data(), stride(array, 0), stride(array, 1)};
}

SynapseRing ring_arg(py::array& data, py::array& pointer, const SynapseStepArgs& a) {
  const Ring ring = ring_of(data, pointer);
  require(ring.batch == a.batch && ring.rest == a.rest, "a ring: [slots, batch, rest]");
  return {ring, data.mutable_data(), pointer_of(pointer)};
}

// A contiguous array of so many elements, or null.
void* elements(std::optional<py::array>& array, int64_t count) {
  if (!array) return nullptr;
  require(is_contiguous(*array) && array->size() == count, "a tensor: contiguous, of the right size");
  return array->mutable_data();
}

using Arrays = std::vector<std::optional<py::array>>;

void define_sequences(py::module_& m, bool emulated) {
  m.def(
      "synapse_run",
      [emulated](int model, py::array inputs, std::vector<py::array> newest, Arrays outputs,
                 std::vector<py::array> injected, Scalar type, double gain, std::vector<double> decay, Range range) {
        SynapseRunArgs a{};
        a.model = SynapseModel(model);
        a.type = type;
        a.bool_inputs = inputs.itemsize() == 1;
        require(inputs.ndim() == 2, "inputs: [steps, count]");
        a.steps = inputs.shape(0);
        a.count = inputs.shape(1);
        a.inputs = inputs.data();
        a.input_stride = stride(inputs, 0);
        for (const py::array& current : injected) a.injected[a.injected_count++] = current.data();
        const int currents = synapse_currents(a.model);
        require(int(newest.size()) == currents && outputs.size() == size_t(currents == 2 ? 3 : 1), "as the model has");
        a.out = elements(outputs[0], a.steps * a.count);
        for (int k = 0; k < currents; ++k) {
          a.newest[k] = newest[k].data();
          a.recorded[k] = currents == 1 ? a.out : elements(outputs[1 + k], a.steps * a.count);
        }
        a.gain = gain;
        for (size_t k = 0; k < decay.size(); ++k) a.decay[k] = decay[k];
        run(emulated, {synapse_run_cpu, synapse_run_cuda}, a, a.count, range);
      },
      "model"_a, "inputs"_a, "newest"_a, "outputs"_a, py::kw_only(), "injected"_a, "type"_a, "gain"_a, "decay"_a,
      "range"_a = py::none());
  m.def(
      "synapse_run_backward",
      [emulated](int model, Arrays grads, py::array grad_inputs, Arrays grad_newest, Scalar type, double gain,
                 std::vector<double> decay, Range range) {
        SynapseRunBackwardArgs a{};
        a.model = SynapseModel(model);
        a.type = type;
        a.steps = grad_inputs.shape(0);
        a.count = grad_inputs.shape(1);
        require(grads.size() == 3 && int(grad_newest.size()) == synapse_currents(a.model), "as the model has");
        a.grad_out = elements(grads[0], a.steps * a.count);
        for (int k = 0; k < 2; ++k) a.grad_recorded[k] = elements(grads[1 + k], a.steps * a.count);
        a.grad_inputs = grad_inputs.mutable_data();
        for (size_t k = 0; k < grad_newest.size(); ++k) a.grad_newest[k] = elements(grad_newest[k], a.count);
        a.gain = gain;
        for (size_t k = 0; k < decay.size(); ++k) a.decay[k] = decay[k];
        run(emulated, {synapse_run_backward_cpu, synapse_run_backward_cuda}, a, a.count, range);
      },
      "model"_a, "grads"_a, "grad_inputs"_a, "grad_newest"_a, py::kw_only(), "type"_a, "gain"_a, "decay"_a,
      "range"_a = py::none());
}

}  // namespace

void define_synapses(py::module_& m, bool emulated) {
  define_sequences(m, emulated);
  using Rings = std::vector<std::pair<py::array, py::array>>;
  m.def(
      "synapse_step",
      [emulated](int model, py::array inputs, std::pair<py::array, py::array> spikes, Rings currents, py::array out,
                 std::vector<py::array> injected, Scalar type, double gain, std::vector<double> decay, bool merge,
                 Range range, bool advance) {
        SynapseStepArgs a{};
        a.model = SynapseModel(model);
        a.type = type;
        a.bool_inputs = inputs.itemsize() == 1;
        require(inputs.ndim() == 2, "inputs: [batch, rest]");
        a.batch = inputs.shape(0);
        a.rest = inputs.shape(1);
        a.inputs = plane_of(inputs, a);
        require(injected.size() <= synapse_max_injected, "injected: at most as many as there is room for");
        for (const py::array& current : injected) a.injected[a.injected_count++] = plane_of(current, a);
        a.spikes = ring_arg(spikes.first, spikes.second, a);
        require(int(currents.size()) == synapse_currents(a.model), "currents: as many as the model records");
        for (size_t k = 0; k < currents.size(); ++k) a.currents[k] = ring_arg(currents[k].first, currents[k].second, a);
        require(same_shape(inputs, out) && is_contiguous(out), "out: contiguous, the shape of inputs");
        a.out = out.mutable_data();
        a.gain = gain;
        for (size_t k = 0; k < decay.size(); ++k) a.decay[k] = decay[k];
        if (merge) merge_batch(a);
        run(emulated, {synapse_step_cpu, synapse_step_cuda}, a, a.rest, range);
        if (!emulated && advance) synapse_advance_cpu(a);
      },
      "model"_a, "inputs"_a, "spikes"_a, "currents"_a, "out"_a, py::kw_only(), "injected"_a = std::vector<py::array>(),
      "type"_a, "gain"_a, "decay"_a = std::vector<double>(), "merge"_a = false, "range"_a = py::none(),
      "advance"_a = true);
}
