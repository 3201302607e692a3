#include "bindings.h"
#include "core/synapse.h"

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

}  // namespace

void define_synapses(py::module_& m, bool emulated) {
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
