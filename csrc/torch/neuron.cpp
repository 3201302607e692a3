#include "torch/neuron.h"

namespace inferno {
namespace {

bool is(const Tensor& a, const Tensor& b) { return a.const_data_ptr() == b.const_data_ptr(); }

void check_apart(const Tensor& written, const Tensor& other, const char* names) {
  STD_TORCH_CHECK(!overlap(written, other), names, ": overlap in memory");
}

void set_adaptation(NeuronArgs& a, const NeuronTensors& t, const NeuronModelInfo& info) {
  STD_TORCH_CHECK(t.adaptation && t.constants && t.adaptation_out, info.name, ": needs adaptation and constants");
  const Tensor &adaptation = *t.adaptation, &constants = *t.constants;
  STD_TORCH_CHECK(t.voltage.dim() >= 1 && adaptation.dim() == t.voltage.dim(), "adaptation: wrong shape");
  a.batch = t.voltage.size(0);
  a.count = 1;
  for (int64_t d = 1; d < t.voltage.dim(); ++d) {
    STD_TORCH_CHECK(adaptation.size(d - 1) == t.voltage.size(d), "adaptation: wrong shape");
    a.count *= t.voltage.size(d);
  }
  a.kinds = adaptation.size(adaptation.dim() - 1);
  STD_TORCH_CHECK(a.kinds > 0, "adaptation: must have at least one kind");
  check_array(adaptation, "adaptation", t.voltage.scalar_type(), a.count * a.kinds, t.voltage);
  STD_TORCH_CHECK(constants.dim() == 2 && constants.size(1) == a.kinds, "constants: wrong shape");
  check_array(constants, "constants", a.type == Scalar::f64 ? ScalarType::Double : ScalarType::Float,
              info.adaptation_constants * a.kinds, t.voltage);
  a.adaptation_in = adaptation.const_data_ptr();
  a.adaptation = t.adaptation_out->mutable_data_ptr();
  a.constants = constants.const_data_ptr();
  if (!is(t.voltage, t.voltage_out)) return;
  check_apart(t.voltage, adaptation, "voltage, adaptation");
  check_apart(t.refrac, adaptation, "refrac, adaptation");
  if (a.reduction == BatchReduction::none) return;
  STD_TORCH_CHECK(a.batch > 0, "voltage: a reduction needs at least one sample");
  check_apart(adaptation, t.inputs, "adaptation, inputs");
}

}  // namespace

NeuronArgs neuron_args(const NeuronTensors& t, int64_t model, double dt, double refrac_t, const double* parameters,
                       int64_t parameter_count, int64_t reduction, bool refrac_lock) {
  NeuronArgs a{};
  STD_TORCH_CHECK(model >= 0 && model < int64_t(NeuronModel::count), "model: there is none of this number");
  STD_TORCH_CHECK(reduction >= 0 && reduction <= 2, "reduction: there is none of this number");
  a.model = NeuronModel(model);
  const NeuronModelInfo info = neuron_model_info(a.model);
  STD_TORCH_CHECK(parameter_count == info.parameter_count, "parameters: ", info.name, " has others");
  std::copy_n(parameters, parameter_count, a.parameters);
  a.type = floating_of(t.voltage, "voltage");
  a.batch = 1;
  a.count = t.voltage.numel();
  a.reduction = BatchReduction(reduction);
  a.refrac_lock = refrac_lock;
  a.dt = dt;
  a.refrac_t = refrac_t;
  check_shape(t.refrac, t.voltage, "refrac");
  check_shape(t.inputs, t.voltage, "inputs");
  check_array(t.voltage, "voltage", t.voltage.scalar_type(), a.count, t.voltage);
  check_array(t.refrac, "refrac", t.voltage.scalar_type(), a.count, t.voltage);
  check_array(t.inputs, "inputs", t.voltage.scalar_type(), a.count, t.voltage);
  if (is(t.voltage, t.voltage_out)) {
    check_apart(t.voltage, t.refrac, "voltage, refrac");
    if (!is(t.inputs, t.voltage)) check_apart(t.voltage, t.inputs, "voltage, inputs");
    if (!is(t.inputs, t.refrac)) check_apart(t.refrac, t.inputs, "refrac, inputs");
  }
  if (info.adaptation_constants)
    set_adaptation(a, t, info);
  else
    STD_TORCH_CHECK(!t.adaptation && !t.constants && a.reduction == BatchReduction::none, info.name,
                    ": does not adapt");
  a.voltage_in = t.voltage.const_data_ptr();
  a.refrac_in = t.refrac.const_data_ptr();
  a.inputs = t.inputs.const_data_ptr();
  a.voltage = t.voltage_out.mutable_data_ptr();
  a.refrac = t.refrac_out.mutable_data_ptr();
  a.spikes = static_cast<uint8_t*>(t.spikes.mutable_data_ptr());
  return a;
}

void run_neuron_cpu(const NeuronArgs& a, const Tensor&) {
  const int64_t samples = a.kinds ? a.batch : 1;  // that belong to an item
  parallel(neuron_items(a), 1 + 16383 / std::max(samples, int64_t(1)),
           [&](int64_t begin, int64_t end) { neuron_step_cpu(a, begin, end); });
}

#ifdef INFERNO_WITH_CUDA
void run_neuron_cuda(const NeuronArgs& a, const Tensor& t) {
  on_stream(t, [&](void* stream) { neuron_step_cuda(a, stream); });
}
#endif

namespace {

template <void (*Run)(const NeuronArgs&, const Tensor&)>
Tensor step_inplace(Tensor voltage, Tensor refrac, MaybeTensor adaptation, const Tensor& inputs,
                    const MaybeTensor constants, int64_t model, double dt, double refrac_t,
                    std::vector<double> parameters, int64_t reduction, bool refrac_lock) {
  Tensor spikes = empty(voltage, sizes_of(voltage), ScalarType::Bool);
  Run(neuron_args({voltage, refrac, inputs, adaptation, constants, voltage, refrac, spikes, adaptation}, model, dt,
                  refrac_t, parameters.data(), int64_t(parameters.size()), reduction, refrac_lock),
      voltage);
  return spikes;
}

// The same with all numbers in one tensor, which is quicker than handing them over one by one.
// how: model, dt, refrac_t, reduction, refrac_lock, parameters; float64
Tensor step_packed(Tensor voltage, Tensor refrac, MaybeTensor adaptation, const Tensor& inputs,
                   const MaybeTensor constants, const Tensor& how) {
  check_array(how, "how", ScalarType::Double, how.numel(), voltage);
  STD_TORCH_CHECK(how.numel() >= 5, "how: too short");
  const double* h = static_cast<const double*>(how.const_data_ptr());
  Tensor spikes = empty(voltage, sizes_of(voltage), ScalarType::Bool);
  run_neuron_cpu(neuron_args({voltage, refrac, inputs, adaptation, constants, voltage, refrac, spikes, adaptation},
                             int64_t(h[0]), h[1], h[2], h + 5, how.numel() - 5, int64_t(h[3]), h[4] != 0),
                 voltage);
  return spikes;
}

template <void (*Run)(const NeuronArgs&, const Tensor&)>
std::tuple<Tensor, Tensor, Tensor, Tensor> step_functional(const Tensor& voltage, const Tensor& refrac,
                                                           const MaybeTensor adaptation, const Tensor& inputs,
                                                           const MaybeTensor constants, int64_t model, double dt,
                                                           double refrac_t, std::vector<double> parameters,
                                                           int64_t reduction, bool refrac_lock) {
  const auto sizes = sizes_of(voltage);
  Tensor voltage_out = empty(voltage, sizes, voltage.scalar_type());
  Tensor refrac_out = empty(voltage, sizes, voltage.scalar_type());
  Tensor spikes = empty(voltage, sizes, ScalarType::Bool);
  const bool adapts = adaptation && reduction != int64_t(BatchReduction::none);
  Tensor new_adaptation =
      empty(voltage, adapts ? sizes_of(*adaptation) : std::vector<int64_t>{0}, voltage.scalar_type());
  Run(neuron_args({voltage, refrac, inputs, adaptation, constants, voltage_out, refrac_out, spikes, new_adaptation},
                  model, dt, refrac_t, parameters.data(), int64_t(parameters.size()), reduction, refrac_lock),
      voltage);
  return {voltage_out, refrac_out, spikes, new_adaptation};
}

}  // namespace
}  // namespace inferno

STABLE_TORCH_LIBRARY_FRAGMENT(inferno_cuda, m) {
  m.def(
      "neuron_step_(Tensor(a!) voltage, Tensor(b!) refrac, Tensor(c!)? adaptation, Tensor inputs, Tensor? constants, "
      "int model, float dt, float refrac_t, float[] parameters, int reduction, bool refrac_lock) -> Tensor");
  m.def(
      "neuron_step(Tensor voltage, Tensor refrac, Tensor? adaptation, Tensor inputs, Tensor? constants, int model, "
      "float dt, float refrac_t, float[] parameters, int reduction, bool refrac_lock) "
      "-> (Tensor, Tensor, Tensor, Tensor)");
  m.def(
      "neuron_step_packed_(Tensor(a!) voltage, Tensor(b!) refrac, Tensor(c!)? adaptation, Tensor inputs, "
      "Tensor? constants, Tensor how) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CPU, m) {
  m.impl("neuron_step_", TORCH_BOX(&inferno::step_inplace<inferno::run_neuron_cpu>));
  m.impl("neuron_step", TORCH_BOX(&inferno::step_functional<inferno::run_neuron_cpu>));
  m.impl("neuron_step_packed_", TORCH_BOX(&inferno::step_packed));
}

#ifdef INFERNO_WITH_CUDA
STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CUDA, m) {
  m.impl("neuron_step_", TORCH_BOX(&inferno::step_inplace<inferno::run_neuron_cuda>));
  m.impl("neuron_step", TORCH_BOX(&inferno::step_functional<inferno::run_neuron_cuda>));
}
#endif
