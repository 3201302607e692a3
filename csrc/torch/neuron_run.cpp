#include "core/adapting_scratch.h"
#include "core/neuron_models.h"
#include "core/neuron_slopes.h"
#include "torch/common.h"
#include "torch/large_pages.h"

namespace inferno {
namespace {

using MaybeTensor = std::optional<Tensor>;
using Numbers = std::vector<double>;
using Places = std::vector<int64_t>;

// What a sequence starts from. Shapes: inputs [T, B, *shape], voltage and refrac [B, *shape], adaptation [*shape, K],
// constants [constants, K]. Coefficients take the places of numbers: dt, refrac_t, parameters.
struct Given {
  const Tensor &inputs, &voltage, &refrac;
  const MaybeTensor &adaptation, &constants;
  const std::vector<Tensor>& coefficients;
  const Places& places;
  const Numbers& numbers;
  int64_t model, reduction;
  bool refrac_lock;
};

ScalarType compute_type(const Tensor& t) {
  return t.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

bool contiguous_from(const Tensor& t, int64_t first) {
  int64_t stride = 1;
  for (int64_t d = t.dim() - 1; d >= first; --d) {
    if (t.size(d) != 1 && t.stride(d) != stride) return false;
    stride *= t.size(d);
  }
  return true;
}

// A sequence like `inputs`: contiguous, or one step or one number for all.
Series series_of(const Tensor& t, const char* name, const Tensor& inputs) {
  check_shape(t, inputs, name);
  STD_TORCH_CHECK(t.scalar_type() == inputs.scalar_type(), name, ": wrong dtype");
  check_device(t, inputs, name);
  const void* data = t.const_data_ptr();
  const int64_t items = t.size(0) ? t.numel() / t.size(0) : 0;
  if (t.is_contiguous()) return {data, items, 1};
  if (t.stride(0) == 0 && contiguous_from(t, 1)) return {data, 0, 1};
  bool one = true;
  for (int64_t d = 0; d < t.dim(); ++d) one &= t.size(d) == 1 || t.stride(d) == 0;
  STD_TORCH_CHECK(one, name, ": must be contiguous, or one step or number expanded");
  return {data, 0, 0};
}

void set_numbers(NeuronRunArgs& a, const Given& g, const NeuronModelInfo& info) {
  STD_TORCH_CHECK(int64_t(g.numbers.size()) == info.parameter_count + 2, "numbers: ", info.name, " has others");
  STD_TORCH_CHECK(g.places.size() == g.coefficients.size(), "places: one for each coefficient");
  a.dt = g.numbers[0];
  a.refrac_t = {nullptr, g.numbers[1], 1, 1};
  for (int p = 0; p < info.parameter_count; ++p) a.parameters[p] = {nullptr, g.numbers[p + 2], 1, 1};
  for (size_t i = 0; i < g.places.size(); ++i) {
    const Tensor& t = g.coefficients[i];
    STD_TORCH_CHECK(g.places[i] >= 1 && g.places[i] < int64_t(g.numbers.size()),
                    "places: there is none of this number");
    STD_TORCH_CHECK(t.numel() == 1 || t.numel() == a.count, "coefficients: one, or one for each neuron");
    check_array(t, "coefficients", compute_type(g.voltage), t.numel(), g.voltage);
    Coefficient& to = g.places[i] == 1 ? a.refrac_t : a.parameters[g.places[i] - 2];
    to = {t.const_data_ptr(), 0, 1, t.numel()};
  }
}

void set_adaptation(NeuronRunArgs& a, const Given& g, const NeuronModelInfo& info) {
  STD_TORCH_CHECK(g.adaptation && g.constants, info.name, ": needs adaptation and constants");
  const Tensor &adaptation = *g.adaptation, &constants = *g.constants;
  STD_TORCH_CHECK(adaptation.dim() == g.voltage.dim(), "adaptation: wrong shape");
  for (int64_t d = 1; d < g.voltage.dim(); ++d)
    STD_TORCH_CHECK(adaptation.size(d - 1) == g.voltage.size(d), "adaptation: wrong shape");
  a.kinds = adaptation.size(adaptation.dim() - 1);
  STD_TORCH_CHECK(a.kinds > 0, "adaptation: must have at least one kind");
  check_array(adaptation, "adaptation", g.voltage.scalar_type(), a.count * a.kinds, g.voltage);
  STD_TORCH_CHECK(constants.dim() == 2 && constants.size(1) == a.kinds, "constants: wrong shape");
  check_array(constants, "constants", compute_type(g.voltage), info.adaptation_constants * a.kinds, g.voltage);
  STD_TORCH_CHECK(a.batch > 0 || a.reduction == BatchReduction::none, "voltage: a reduction needs at least one sample");
  a.adaptation_in = adaptation.const_data_ptr();
  a.constants = constants.const_data_ptr();
}

NeuronRunArgs run_args(const Given& g, int64_t interval) {
  NeuronRunArgs a{};
  STD_TORCH_CHECK(g.model >= 0 && g.model < int64_t(NeuronModel::count), "model: there is none of this number");
  STD_TORCH_CHECK(g.reduction >= 0 && g.reduction <= 2, "reduction: there is none of this number");
  STD_TORCH_CHECK(interval >= 0, "interval: must not be negative");
  a.type = floating_of(g.voltage, "voltage");
  a.model = NeuronModel(g.model);
  a.reduction = BatchReduction(g.reduction);
  a.refrac_lock = g.refrac_lock;
  STD_TORCH_CHECK(g.voltage.dim() >= 1 && g.inputs.dim() == g.voltage.dim() + 1, "inputs: wrong number of dimensions");
  const auto sizes = g.inputs.sizes(), state = g.voltage.sizes();
  STD_TORCH_CHECK(std::equal(state.begin(), state.end(), sizes.begin() + 1), "inputs: wrong shape");
  a.steps = g.inputs.size(0);
  a.batch = g.voltage.size(0);
  a.count = 1;
  for (int64_t d = 1; d < g.voltage.dim(); ++d) a.count *= g.voltage.size(d);
  check_shape(g.refrac, g.voltage, "refrac");
  check_array(g.voltage, "voltage", g.voltage.scalar_type(), a.batch * a.count, g.voltage);
  check_array(g.refrac, "refrac", g.voltage.scalar_type(), a.batch * a.count, g.voltage);
  STD_TORCH_CHECK(g.inputs.scalar_type() == g.voltage.scalar_type(), "inputs: wrong dtype");
  check_device(g.inputs, g.voltage, "inputs");
  a.inputs = series_of(g.inputs, "inputs", g.inputs);
  a.voltage_in = g.voltage.const_data_ptr();
  a.refrac_in = g.refrac.const_data_ptr();
  const NeuronModelInfo info = neuron_model_info(a.model);
  set_numbers(a, g, info);
  if (info.adaptation_constants)
    set_adaptation(a, g, info);
  else
    STD_TORCH_CHECK(!g.adaptation && !g.constants && !g.reduction, info.name, ": does not adapt");
  a.interval = std::max(interval, int64_t(1));
  return a;
}

int64_t mark_count(const NeuronRunArgs& a) { return a.steps ? (a.steps - 1) / a.interval : 0; }

std::vector<int64_t> with_rows(int64_t rows, const Tensor& t) {
  std::vector<int64_t> sizes = sizes_of(t);
  sizes.insert(sizes.begin(), rows);
  return sizes;
}

struct Outputs {
  const Tensor& like;
  std::vector<Tensor> all;

  void* add(const std::vector<int64_t>& sizes, ScalarType dtype) {
    all.push_back(empty(like, sizes, dtype));
    Tensor& made = all.back();
    void* data = made.mutable_data_ptr();
    if (!made.is_cuda()) ask_for_large_pages(data, size_t(made.numel()) * made.element_size());
    return data;
  }
  void* add(const std::vector<int64_t>& sizes) { return add(sizes, like.scalar_type()); }
};

// Spikes, voltage, refrac, then what there is of: adaptation, voltages, refracs, and marks of the state.
template <class Run>
std::vector<Tensor> run_with(const Given& g, bool bool_spikes, bool voltages, bool refracs, int64_t interval,
                             const Run& run) {
  NeuronRunArgs a = run_args(g, interval);
  Outputs out{g.voltage, {}};
  const auto state = sizes_of(g.voltage), series = sizes_of(g.inputs);
  a.bool_spikes = bool_spikes;
  a.spikes = out.add(series, bool_spikes ? ScalarType::Bool : g.voltage.scalar_type());
  a.voltage = out.add(state);
  a.refrac = out.add(state);
  Tensor unchanged =
      g.adaptation && !g.reduction ? empty(g.voltage, sizes_of(*g.adaptation), g.voltage.scalar_type()) : g.voltage;
  if (g.adaptation) a.adaptation = g.reduction ? out.add(sizes_of(*g.adaptation)) : unchanged.mutable_data_ptr();
  if (voltages) a.voltages = out.add(series);
  if (refracs) a.refracs = out.add(series);
  if (interval) {
    a.voltage_marks = out.add(with_rows(mark_count(a), g.voltage));
    a.refrac_marks = out.add(with_rows(mark_count(a), g.voltage));
    if (g.adaptation) a.adaptation_marks = out.add(with_rows(mark_count(a), *g.adaptation));
  }
  run(a);
  return std::move(out.all);
}

// Gradients of the results, or none.
struct Gradients {
  const MaybeTensor &spikes, &voltage, &adaptation, &voltages;
};

const void* state_of(const MaybeTensor& t, const char* name, const Tensor& like, int64_t count) {
  if (!t) return nullptr;
  check_array(*t, name, like.scalar_type(), count, like);
  return t->const_data_ptr();
}

void set_marks(NeuronRunArgs& a, const Given& g, std::vector<Tensor>& marks) {
  STD_TORCH_CHECK(marks.size() == (a.kinds ? 3 : 2), "marks: of voltage, refrac, and adaptation");
  void** const to[] = {&a.voltage_marks, &a.refrac_marks, &a.adaptation_marks};
  for (size_t i = 0; i < marks.size(); ++i) {
    const int64_t size = i < 2 ? a.batch * a.count : a.count * a.kinds;
    check_array(marks[i], "marks", g.voltage.scalar_type(), mark_count(a) * size, g.voltage);
    *to[i] = const_cast<void*>(marks[i].const_data_ptr());
  }
}

enum Wanted : int64_t { of_inputs = 1, of_voltage = 2, of_adaptation = 4, of_constants = 8 };

struct Rule {
  int64_t surrogate;  // below 0 for none
  double scale;
  bool detach_reset;
};

// The gradients that are wanted, in the order of Wanted, then those of the parameters at the places `learned`, [B,
// *shape] each; those of the constants are [constants, K, *shape].
template <class Run>
std::vector<Tensor> backward_with(const Given& g, std::vector<Tensor>& marks, const Gradients& from, int64_t interval,
                                  const Rule& rule, int64_t wanted, const Places& learned, const Run& run) {
  NeuronRunBackwardArgs b{};
  b.run = run_args(g, interval);
  const NeuronRunArgs& a = b.run;
  STD_TORCH_CHECK(rule.surrogate < int64_t(Surrogate::none), "surrogate: there is none of this number");
  set_marks(b.run, g, marks);
  b.surrogate = rule.surrogate < 0 ? Surrogate::none : Surrogate(rule.surrogate);
  b.scale = rule.scale;
  b.detach_reset = rule.detach_reset;
  if (from.spikes) b.of_spikes = series_of(*from.spikes, "gradient of spikes", g.inputs);
  if (from.voltages) b.of_voltages = series_of(*from.voltages, "gradient of voltages", g.inputs);
  b.of_voltage = state_of(from.voltage, "gradient of voltage", g.voltage, a.batch * a.count);
  b.of_adaptation = state_of(from.adaptation, "gradient of adaptation", g.voltage, a.count * a.kinds);
  STD_TORCH_CHECK(a.kinds || !(wanted & (of_adaptation | of_constants)), "wanted: the model does not adapt");
  Outputs out{g.voltage, {}};
  const ScalarType compute = compute_type(g.voltage);
  if (wanted & of_inputs) b.inputs = out.add(sizes_of(g.inputs));
  if (wanted & of_voltage) b.voltage = out.add(sizes_of(g.voltage));
  if (wanted & of_adaptation) b.adaptation = out.add(sizes_of(*g.adaptation));
  if (wanted & of_constants) {
    std::vector<int64_t> sizes = sizes_of(*g.constants);
    for (int64_t d = 1; d < g.voltage.dim(); ++d) sizes.push_back(g.voltage.size(d));
    b.constants = out.add(sizes, compute);
  }
  for (const int64_t place : learned) {
    STD_TORCH_CHECK(place >= 2 && place < int64_t(g.numbers.size()), "learned: there is no parameter of this number");
    b.parameters[place - 2] = out.add(sizes_of(g.voltage), compute);
  }
  const int64_t bytes = g.voltage.is_cuda() ? adapting_scratch_bytes(b) : 0;
  Tensor scratch = bytes ? empty(g.voltage, {bytes}, ScalarType::Byte) : g.voltage;
  if (bytes) b.scratch = scratch.mutable_data_ptr();
  run(b);
  return std::move(out.all);
}

template <class Args, void (*Kernel)(const Args&, int64_t, int64_t)>
void on_threads(const Args& args, const NeuronRunArgs& a) {
  const int64_t samples = a.kinds ? a.batch : 1;                              // that belong to an item
  const int64_t grain = 1 + 32768 / std::max(samples * a.steps, int64_t(1));  // items worth a thread
  parallel(neuron_items(a), std::max(grain, 64 / std::max(samples, int64_t(1))),
           [&](int64_t begin, int64_t end) { Kernel(args, begin, end); });
}

// The four derivatives of every step, see core/neuron_slopes.h.
std::vector<Tensor> slopes_on_cpu(const Tensor& inputs, const Tensor& voltage, const Tensor& refrac,
                                  const MaybeTensor adaptation, const MaybeTensor constants,
                                  std::vector<Tensor> coefficients, Places places, Numbers numbers, int64_t model,
                                  int64_t reduction, bool refrac_lock, int64_t surrogate, double scale,
                                  bool detach_reset) {
  const Given g{inputs, voltage, refrac, adaptation, constants,  coefficients,
                places, numbers, model,  reduction,  refrac_lock};
  STD_TORCH_CHECK(reduction == 0, "reduction: adaptations must stand still");
  STD_TORCH_CHECK(surrogate >= 0 && surrogate < int64_t(Surrogate::none), "surrogate: there is none of this number");
  NeuronSlopesArgs a{run_args(g, 1), Surrogate(surrogate), scale, detach_reset, {}};
  Outputs out{voltage, {}};
  for (void*& slope : a.slopes) slope = out.add(sizes_of(inputs), compute_type(voltage));
  on_threads<NeuronSlopesArgs, neuron_slopes_cpu>(a, a.run);
  return std::move(out.all);
}

struct OnCpu {
  static void run(const NeuronRunArgs& a, const Tensor&) { on_threads<NeuronRunArgs, neuron_run_cpu>(a, a); }
  static void run(const NeuronRunBackwardArgs& a, const Tensor&) {
    on_threads<NeuronRunBackwardArgs, neuron_run_backward_cpu>(a, a.run);
  }
};

#ifdef INFERNO_WITH_CUDA
struct OnCuda {
  static void run(const NeuronRunArgs& a, const Tensor& t) {
    on_stream(t, [&](void* stream) { neuron_run_cuda(a, stream); });
  }
  static void run(const NeuronRunBackwardArgs& a, const Tensor& t) {
    on_stream(t, [&](void* stream) { neuron_run_backward_cuda(a, stream); });
  }
};
#endif

template <class Device>
std::vector<Tensor> neuron_run(const Tensor& inputs, const Tensor& voltage, const Tensor& refrac,
                               const MaybeTensor adaptation, const MaybeTensor constants,
                               std::vector<Tensor> coefficients, Places places, Numbers numbers, int64_t model,
                               int64_t reduction, bool refrac_lock, bool bool_spikes, bool record_voltage,
                               bool record_refrac, int64_t interval) {
  const Given g{inputs, voltage, refrac, adaptation, constants,  coefficients,
                places, numbers, model,  reduction,  refrac_lock};
  return run_with(g, bool_spikes, record_voltage, record_refrac, interval,
                  [&](const NeuronRunArgs& a) { Device::run(a, voltage); });
}

template <class Device>
std::vector<Tensor> neuron_run_backward(const Tensor& inputs, const Tensor& voltage, const Tensor& refrac,
                                        const MaybeTensor adaptation, const MaybeTensor constants,
                                        std::vector<Tensor> coefficients, Places places, Numbers numbers, int64_t model,
                                        int64_t reduction, bool refrac_lock, std::vector<Tensor> marks,
                                        const MaybeTensor of_spikes, const MaybeTensor of_voltage,
                                        const MaybeTensor of_adaptation, const MaybeTensor of_voltages,
                                        int64_t interval, int64_t surrogate, double scale, bool detach_reset,
                                        int64_t wanted, Places learned) {
  const Given g{inputs, voltage, refrac, adaptation, constants,  coefficients,
                places, numbers, model,  reduction,  refrac_lock};
  return backward_with(g, marks, {of_spikes, of_voltage, of_adaptation, of_voltages}, interval,
                       {surrogate, scale, detach_reset}, wanted, learned,
                       [&](const NeuronRunBackwardArgs& a) { Device::run(a, voltage); });
}

}  // namespace
}  // namespace inferno

STABLE_TORCH_LIBRARY_FRAGMENT(inferno_cuda, m) {
  m.def(
      "neuron_run(Tensor inputs, Tensor voltage, Tensor refrac, Tensor? adaptation, Tensor? constants, "
      "Tensor[] coefficients, int[] places, float[] numbers, int model, int reduction, bool refrac_lock, "
      "bool bool_spikes, bool record_voltage, bool record_refrac, int interval) -> Tensor[]");
  m.def(
      "neuron_run_backward(Tensor inputs, Tensor voltage, Tensor refrac, Tensor? adaptation, Tensor? constants, "
      "Tensor[] coefficients, int[] places, float[] numbers, int model, int reduction, bool refrac_lock, "
      "Tensor[] marks, Tensor? of_spikes, Tensor? of_voltage, Tensor? of_adaptation, Tensor? of_voltages, "
      "int interval, int surrogate, float scale, bool detach_reset, int wanted, int[] learned) -> Tensor[]");
  m.def(
      "neuron_slopes(Tensor inputs, Tensor voltage, Tensor refrac, Tensor? adaptation, Tensor? constants, "
      "Tensor[] coefficients, int[] places, float[] numbers, int model, int reduction, bool refrac_lock, "
      "int surrogate, float scale, bool detach_reset) -> Tensor[]");
}

STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CPU, m) {
  m.impl("neuron_run", TORCH_BOX(&inferno::neuron_run<inferno::OnCpu>));
  m.impl("neuron_run_backward", TORCH_BOX(&inferno::neuron_run_backward<inferno::OnCpu>));
  m.impl("neuron_slopes", TORCH_BOX(&inferno::slopes_on_cpu));
}

#ifdef INFERNO_WITH_CUDA
STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CUDA, m) {
  m.impl("neuron_run", TORCH_BOX(&inferno::neuron_run<inferno::OnCuda>));
  m.impl("neuron_run_backward", TORCH_BOX(&inferno::neuron_run_backward<inferno::OnCuda>));
}
#endif
