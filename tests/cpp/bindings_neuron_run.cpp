#include <map>
#include <vector>

#include "bindings.h"
#include "core/adapting_scratch.h"
#include "core/neuron_models.h"

namespace {

using Arrays = std::map<std::string, py::array>;

// What a call names, or null.
void* data_of(Arrays& arrays, const char* name) {
  const auto found = arrays.find(name);
  if (found == arrays.end()) return nullptr;
  require(is_contiguous(found->second), "contiguous arrays");
  return found->second.mutable_data();
}

Series series_of(Arrays& arrays, const char* name, int64_t items) { return {data_of(arrays, name), items, 1}; }

// A number, or an array with an element for each neuron.
Coefficient coefficient_of(const py::object& given) {
  if (!py::isinstance<py::array>(given)) return {nullptr, given.cast<double>(), 1, 1};
  const py::array array = given.cast<py::array>();
  return {array.data(), 0, 1, array.size()};
}

// `numbers`: of the model, dt and refrac_t behind. Arrays by the names of the fields, [steps, batch, count] and so on.
NeuronRunArgs run_args(int model, Arrays& arrays, const std::vector<py::object>& numbers, int reduction, bool lock,
                       int64_t interval, Scalar type) {
  NeuronRunArgs a{};
  const py::array& inputs = arrays.at("inputs");
  require(inputs.ndim() == 3, "inputs: [steps, batch, count]");
  a.type = type;
  a.model = NeuronModel(model);
  a.reduction = BatchReduction(reduction);
  a.refrac_lock = lock;
  a.steps = inputs.shape(0);
  a.batch = inputs.shape(1);
  a.count = inputs.shape(2);
  a.kinds = arrays.count("adaptation_in") ? arrays.at("adaptation_in").shape(1) : 0;
  require(int(numbers.size()) == neuron_model_info(a.model).parameter_count + 2, "numbers: as many as the model has");
  for (size_t p = 0; p + 2 < numbers.size(); ++p) a.parameters[p] = coefficient_of(numbers[p]);
  a.dt = numbers[numbers.size() - 2].cast<double>();
  a.refrac_t = coefficient_of(numbers.back());
  a.inputs = series_of(arrays, "inputs", a.batch * a.count);
  a.voltage_in = data_of(arrays, "voltage_in");
  a.refrac_in = data_of(arrays, "refrac_in");
  a.adaptation_in = data_of(arrays, "adaptation_in");
  a.constants = data_of(arrays, "constants");
  a.interval = interval;
  a.voltage_marks = data_of(arrays, "voltage_marks");
  a.refrac_marks = data_of(arrays, "refrac_marks");
  a.adaptation_marks = data_of(arrays, "adaptation_marks");
  return a;
}

}  // namespace

void define_neuron_run(py::module_& m, bool emulated) {
  m.def(
      "neuron_run",
      [emulated](int model, Arrays arrays, std::vector<py::object> numbers, int reduction, bool lock, int64_t interval,
                 bool bool_spikes, Scalar type, Range range) {
        NeuronRunArgs a = run_args(model, arrays, numbers, reduction, lock, interval, type);
        a.bool_spikes = bool_spikes;
        a.spikes = data_of(arrays, "spikes");
        a.voltage = data_of(arrays, "voltage");
        a.refrac = data_of(arrays, "refrac");
        a.adaptation = data_of(arrays, "adaptation");
        a.voltages = data_of(arrays, "voltages");
        a.refracs = data_of(arrays, "refracs");
        run(emulated, {neuron_run_cpu, neuron_run_cuda}, a, neuron_items(a), range);
      },
      py::kw_only(), "model"_a, "arrays"_a, "numbers"_a, "reduction"_a, "lock"_a, "interval"_a, "bool_spikes"_a,
      "type"_a, "range"_a = py::none());
  m.def(
      "neuron_run_backward",
      [emulated](int model, Arrays arrays, std::vector<py::object> numbers, int reduction, bool lock, int64_t interval,
                 int surrogate, double scale, bool detach, Arrays learned, Scalar type, Range range) {
        NeuronRunBackwardArgs g{};
        g.run = run_args(model, arrays, numbers, reduction, lock, interval, type);
        const int64_t items = g.run.batch * g.run.count;
        g.surrogate = Surrogate(surrogate);
        g.scale = scale;
        g.detach_reset = detach;
        g.of_spikes = series_of(arrays, "of_spikes", items);
        g.of_voltages = series_of(arrays, "of_voltages", items);
        g.of_voltage = data_of(arrays, "of_voltage");
        g.of_adaptation = data_of(arrays, "of_adaptation");
        g.inputs = data_of(arrays, "inputs_out");
        g.voltage = data_of(arrays, "voltage_out");
        g.adaptation = data_of(arrays, "adaptation_out");
        g.constants = data_of(arrays, "constants_out");
        for (auto& [place, array] : learned) g.parameters[std::stoi(place)] = array.mutable_data();
        std::vector<uint64_t> scratch((emulated ? adapting_scratch_bytes(g) : 0) / sizeof(uint64_t) + 1);
        g.scratch = scratch.data();
        run(emulated, {neuron_run_backward_cpu, neuron_run_backward_cuda}, g, neuron_items(g.run), range);
      },
      py::kw_only(), "model"_a, "arrays"_a, "numbers"_a, "reduction"_a, "lock"_a, "interval"_a, "surrogate"_a,
      "scale"_a, "detach"_a, "learned"_a, "type"_a, "range"_a = py::none());
}
