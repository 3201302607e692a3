#include "bindings.h"
#include "core/integrate_fire.h"

namespace {

using Given = std::tuple<double, std::optional<py::array>, int64_t>;

// A coefficient of these neurons: a number, or an array with one element for each of `size` groups, `inner` apart.
Coefficient coefficient_of(const Given& given) {
  const auto& [value, array, inner] = given;
  if (!array) return {nullptr, value, 1, 1};
  require(is_contiguous(*array), "a coefficient: contiguous");
  return {array->data(), value, inner, array->size()};
}

void* maybe(std::optional<py::array>& array, int64_t size) {
  if (!array) return nullptr;
  require(is_contiguous(*array) && array->size() == size, "an output: contiguous, of the right size");
  return array->mutable_data();
}

}  // namespace

void define_integrate_fire(py::module_& m, bool emulated) {
  m.def(
      "integrate_fire",
      [emulated](int model, int reset, bool delayed, py::array inputs, py::array voltage_in,
                 std::optional<py::array> current_in, py::array spikes, py::array voltage,
                 std::optional<py::array> current, std::optional<py::array> voltages, std::optional<py::array> resets,
                 std::vector<Given> coefficients, double tau, double rest, Scalar type, Range range) {
        IntegrateFireArgs a{};
        a.type = type;
        a.model = ChargeModel(model);
        a.reset = ResetRule(reset);
        a.delayed = delayed;
        require(inputs.ndim() == 2 && is_contiguous(inputs) && same_shape(inputs, spikes), "inputs: [steps, count]");
        a.steps = inputs.shape(0);
        a.count = inputs.shape(1);
        require(voltage_in.size() == a.count && voltage.size() == a.count, "voltage: [count]");
        require(current_in.has_value() == (a.model == ChargeModel::synaptic), "current: of synaptic neurons");
        a.inputs = inputs.data();
        a.voltage_in = voltage_in.data();
        a.current_in = maybe(current_in, a.count);
        a.spikes = spikes.mutable_data();
        a.voltage = voltage.mutable_data();
        a.current = maybe(current, a.count);
        a.voltages = maybe(voltages, a.steps * a.count);
        a.resets = maybe(resets, a.steps * a.count);
        require(coefficients.size() == 5, "coefficients: five");
        Coefficient* const to[] = {&a.decay, &a.current_decay, &a.threshold, &a.amount, &a.factor};
        for (int k = 0; k < 5; ++k) *to[k] = coefficient_of(coefficients[k]);
        a.tau = tau;
        a.rest = rest;
        run(emulated, {integrate_fire_cpu, integrate_fire_cuda}, a, a.count, range);
      },
      py::kw_only(), "model"_a, "reset"_a, "delayed"_a, "inputs"_a, "voltage_in"_a, "current_in"_a = py::none(),
      "spikes"_a, "voltage"_a, "current"_a = py::none(), "voltages"_a = py::none(), "resets"_a = py::none(),
      "coefficients"_a, "tau"_a, "rest"_a, "type"_a, "range"_a = py::none());
}
