#include <iterator>
#include <map>
#include <sstream>
#include <tuple>
#include <vector>

#include "bindings.h"
#include "core/neuron_models.h"

namespace {

using MaybeArray = std::optional<py::array>;

std::vector<std::string> parameter_names(const NeuronModelInfo& info) {
  std::istringstream names(info.parameters);
  return {std::istream_iterator<std::string>(names), {}};
}

NeuronModel model_of(const std::string& name) {
  for (int i = 0; i < int(NeuronModel::count); ++i)
    if (neuron_model_info(NeuronModel(i)).name == name) return NeuronModel(i);
  throw py::value_error("model: there is none of this name");
}

BatchReduction reduction_of(const std::optional<std::string>& name) {
  require(!name || *name == "mean" || *name == "sum", "reduction: None, mean or sum");
  return !name ? BatchReduction::none : *name == "mean" ? BatchReduction::mean : BatchReduction::sum;
}

void set_parameters(NeuronArgs& a, const NeuronModelInfo& info, const std::map<std::string, double>& parameters) {
  const std::vector<std::string> names = parameter_names(info);
  require(parameters.size() == names.size(), "parameters: as many as the model has");
  for (size_t i = 0; i < names.size(); ++i) {
    require(parameters.count(names[i]), "parameters: those of the model");
    a.parameters[i] = parameters.at(names[i]);
  }
}

void set_adaptation(NeuronArgs& a, const NeuronModelInfo& info, const MaybeArray& in, MaybeArray& out,
                    const MaybeArray& constants) {
  const bool adapts = info.adaptation_constants > 0;
  require(adapts == in.has_value() && adapts == out.has_value() && adapts == constants.has_value(),
          "adaptation_in, adaptation, constants: for models that adapt, and only for them");
  if (!adapts) return;
  require(in->ndim() == 2 && in->shape(0) == a.count && in->shape(1) > 0, "adaptation_in: [count, kinds]");
  require(same_shape(*in, *out), "adaptation: adaptation_in's shape");
  a.kinds = in->shape(1);
  require(constants->ndim() == 2 && constants->shape(0) == info.adaptation_constants && constants->shape(1) == a.kinds,
          "constants: [constants of the model, kinds]");
  require(constants->itemsize() == (a.type == Scalar::f64 ? 8 : 4), "constants: in the compute type");
  for (const py::array* array : {&*in, &*constants, static_cast<const py::array*>(&*out)})
    require(is_contiguous(*array), "neuron_step: contiguous arrays");
  a.adaptation_in = in->data();
  a.adaptation = out->mutable_data();
  a.constants = constants->data();
}

}  // namespace

void define_neurons(py::module_& m, bool emulated) {
  m.def(
      "neuron_models",
      [] {
        std::vector<std::tuple<std::string, std::vector<std::string>, int>> models;
        for (int i = 0; i < int(NeuronModel::count); ++i) {
          const NeuronModelInfo info = neuron_model_info(NeuronModel(i));
          models.emplace_back(info.name, parameter_names(info), info.adaptation_constants);
        }
        return models;
      },
      "Name, names of the parameters and constants of each adaptation, by model.");
  m.def(
      "neuron_step",
      [emulated](const std::string& model, py::array voltage_in, py::array refrac_in, py::array inputs,
                 py::array voltage, py::array refrac, py::array_t<uint8_t> spikes, Scalar type, double dt,
                 double refrac_t, const std::map<std::string, double>& parameters, MaybeArray adaptation_in,
                 MaybeArray adaptation, MaybeArray constants, const std::optional<std::string>& reduction,
                 bool refrac_lock, Range range) {
        require(spikes.ndim() == 2, "spikes: [batch, count]");
        for (const py::array* array :
             {&voltage_in, &refrac_in, &inputs, &voltage, &refrac, static_cast<py::array*>(&spikes)})
          require(is_contiguous(*array) && same_shape(*array, spikes), "neuron_step: contiguous arrays of one shape");
        NeuronArgs a{};
        a.type = type;
        a.model = model_of(model);
        a.batch = spikes.shape(0);
        a.count = spikes.shape(1);
        a.voltage_in = voltage_in.data();
        a.refrac_in = refrac_in.data();
        a.inputs = inputs.data();
        a.voltage = voltage.mutable_data();
        a.refrac = refrac.mutable_data();
        a.spikes = spikes.mutable_data();
        a.reduction = reduction_of(reduction);
        a.refrac_lock = refrac_lock;
        a.dt = dt;
        a.refrac_t = refrac_t;
        const NeuronModelInfo info = neuron_model_info(a.model);
        set_parameters(a, info, parameters);
        set_adaptation(a, info, adaptation_in, adaptation, constants);
        run(emulated, {neuron_step_cpu, neuron_step_cuda}, a, neuron_items(a), range);
      },
      "model"_a, "voltage_in"_a, "refrac_in"_a, "inputs"_a, "voltage"_a, "refrac"_a, "spikes"_a.noconvert(),
      py::kw_only(), "type"_a, "dt"_a, "refrac_t"_a, "parameters"_a, "adaptation_in"_a = py::none(),
      "adaptation"_a = py::none(), "constants"_a = py::none(), "reduction"_a = py::none(), "refrac_lock"_a = true,
      "range"_a = py::none());
}
