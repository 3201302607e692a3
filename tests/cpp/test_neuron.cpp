// The step of the neuron models: worked numbers, and the CPU loops and the emulated kernels bit for bit alike.
#include <map>
#include <sstream>

#include "check.h"
#include "core/neuron_models.h"
#include "cuda_emu.h"

using namespace inferno;

namespace {

using Run = void (*)(const NeuronArgs&);
const Run on_cpu = [](const NeuronArgs& a) { neuron_step_cpu(a, 0, neuron_items(a)); };
const Run on_kernel = [](const NeuronArgs& a) { neuron_step_cuda(a, nullptr); };

void set_parameters(NeuronArgs& a, const std::map<std::string, double>& values) {
  std::istringstream names(neuron_model_info(a.model).parameters);
  std::string name;
  for (double* p = a.parameters; names >> name; ++p) *p = values.at(name);
}

template <class T>
std::vector<T> stored(const std::vector<double>& values) {
  std::vector<T> out;
  for (const double x : values) out.push_back(store<T>(Compute<T>(x)));
  return out;
}

template <class T>
bool holds(const std::vector<T>& values, const std::vector<double>& expected) {
  return same_bits(values, stored<T>(expected));
}

template <class T>
struct Population {
  int64_t batch;
  std::vector<T> voltage, refrac, inputs;
  std::vector<T> adaptation;          // [count, kinds]
  std::vector<Compute<T>> constants;  // [constants of the model, kinds]
  std::vector<uint8_t> spikes;

  // Skips `shift` elements, so that vectors of four do not start at an aligned address.
  NeuronArgs args(NeuronModel model, int64_t shift = 0) {
    NeuronArgs a{};
    a.type = scalar_of<T>();
    a.model = model;
    a.batch = batch;
    a.count = (int64_t(voltage.size()) - shift) / batch;
    a.voltage_in = a.voltage = voltage.data() + shift;
    a.refrac_in = a.refrac = refrac.data() + shift;
    a.inputs = inputs.data() + shift;
    a.spikes = spikes.data() + shift;
    const int rows = neuron_model_info(model).adaptation_constants;
    a.kinds = rows ? int64_t(constants.size()) / rows : 0;
    a.adaptation_in = a.adaptation = adaptation.data();
    a.constants = constants.data();
    a.refrac_lock = true;
    a.dt = 1;
    a.refrac_t = 2;
    return a;
  }
};

// A current of 16 nA through 1 MOhm, half of the way to its end point in every step.
template <class T>
void lif_worked_numbers() {
  const std::vector<double> locked{-52, -65, -65, -54.5, -65, -65, -54.5};
  const std::vector<double> unlocked{-52, -65, -62.5, -53.25, -65, -62.5, -53.25};
  const std::vector<double> countdown{0, 2, 1, 0, 2, 1, 0};
  for (const bool lock : {true, false})
    for (const Run run : {on_cpu, on_kernel}) {
      Population<T> p{1, stored<T>({-60}), stored<T>({0}), stored<T>({16}), {}, {}, {9}};
      NeuronArgs a = p.args(NeuronModel::Lif);
      set_parameters(a, {{"thresh_v", -50}, {"rest_v", -60}, {"resistance", 1}, {"decay", 0.5}, {"reset_v", -65}});
      a.refrac_lock = lock;
      for (size_t step = 0; step < locked.size(); ++step) {
        run(a);
        CHECK(holds(p.voltage, {lock ? locked[step] : unlocked[step]}));
        CHECK(holds(p.refrac, {countdown[step]}));
        CHECK(p.spikes[0] == (step == 1 || step == 4));
      }
    }
}

// One neuron with two adaptations; the first of its two samples fires.
template <class T>
void adapts(NeuronModel model, const std::map<std::string, double>& parameters, Population<T> start,
            const std::vector<double>& voltage) {
  for (const Run run : {on_cpu, on_kernel})
    for (const BatchReduction reduction : {BatchReduction::none, BatchReduction::mean, BatchReduction::sum}) {
      Population<T> p = start;
      NeuronArgs a = p.args(model);
      set_parameters(a, parameters);
      a.reduction = reduction;
      run(a);
      CHECK(holds(p.voltage, voltage));
      CHECK(holds(p.refrac, {2, 0}));
      CHECK(p.spikes == std::vector<uint8_t>{1, 0});
      if (reduction == BatchReduction::none) CHECK(holds(p.adaptation, {2, 4}));
      if (reduction == BatchReduction::mean) CHECK(holds(p.adaptation, {3.5, 6.5}));
      if (reduction == BatchReduction::sum) CHECK(holds(p.adaptation, {7, 13}));
    }
}

// Voltages of -40 and -48 mV against a threshold of -50 + 2 + 4 mV. Adaptations of the first sample, held: 2 + 4, 4 +
// 8; of the second: 2 / 2, 4 / 4.
template <class T>
void alif_worked_numbers() {
  adapts<T>(
      NeuronModel::Alif, {{"thresh_v", -50}, {"rest_v", -60}, {"resistance", 1}, {"decay", 0.5}, {"reset_v", -65}},
      {2, stored<T>({-60, -60}), stored<T>({0, 0}), stored<T>({40, 24}), stored<T>({2, 4}), {0.5, 0.25, 4, 8}, {9, 9}},
      {-65, -48});
}

// Voltages move by (0.25 * 4 * -6 + current - 2 - 4) / 2 mV, from -56 to -37 and -57 mV. Adaptations of the first
// sample, held: 2 + 1, 4 + 3; of the second: 2 + (2 * 3 - 2) / 2, 4 + (4 * 3 - 4) / 4.
template <class T>
void izhikevich_worked_numbers() {
  adapts<T>(NeuronModel::Izhikevich,
            {{"thresh_v", -40},
             {"rest_v", -60},
             {"resistance", 1},
             {"rate", 0.5},
             {"crit_v", -50},
             {"affinity", 0.25},
             {"reset_v", -65}},
            {2,
             stored<T>({-56, -56}),
             stored<T>({0, 0}),
             stored<T>({50, 10}),
             stored<T>({2, 4}),
             {0.5, 0.25, 2, 4, 1, 3},
             {9, 9}},
            {-65, -57});
}

const std::map<std::string, double> plausible{
    {"thresh_v", -50}, {"rest_v", -60},      {"resistance", 1.3}, {"decay", 0.951229424500714},
    {"reset_v", -65},  {"reset_v_mul", 0.1}, {"reset_v_add", 4},  {"rate", 0.05},
    {"crit_v", -54},   {"affinity", 0.07},   {"rheobase_v", -53}, {"sharpness", 1.9}};

// Returns the number of spikes.
template <class T>
int64_t cpu_and_kernel_agree(NeuronModel model, int64_t batch, int64_t count, int64_t shift) {
  const int64_t size = batch * count + shift, kinds = 2;
  Random random{uint32_t(count)};
  Population<T> cpu{batch,
                    random.values<T>(size, -70, -45),
                    random.values<T>(size, -1, 4),
                    {},
                    random.values<T>(count * kinds, -1, 4),
                    random.values<Compute<T>>(neuron_model_info(model).adaptation_constants * kinds, 0, 1),
                    std::vector<uint8_t>(size, 9)};
  Population<T> kernel = cpu;
  int64_t spikes = 0;
  for (int step = 0; step < 6; ++step) {
    cpu.inputs = kernel.inputs = random.values<T>(size, -20, 300);
    NeuronArgs args = cpu.args(model, shift), kernel_args = kernel.args(model, shift);
    for (NeuronArgs* a : {&args, &kernel_args}) {
      set_parameters(*a, plausible);
      a->refrac_lock = step % 2;
      a->reduction = BatchReduction(step % 3);
    }
    const int64_t items = neuron_items(args), middle = random.below(items + 1);
    neuron_step_cpu(args, middle, items);
    neuron_step_cpu(args, 0, middle);
    emu::reversed = step % 4 < 2;
    neuron_step_cuda(kernel_args, nullptr);
    CHECK(same_bits(cpu.voltage, kernel.voltage));
    CHECK(same_bits(cpu.refrac, kernel.refrac));
    CHECK(same_bits(cpu.adaptation, kernel.adaptation));
    CHECK(cpu.spikes == kernel.spikes);
    for (int64_t i = shift; i < size; ++i) spikes += cpu.spikes[i];
  }
  return spikes;
}

template <class T>
void outputs_apart_from_inputs(NeuronModel model) {
  Random random(1);
  Population<T> p{7,
                  random.values<T>(77, -70, -45),
                  random.values<T>(77, -1, 4),
                  random.values<T>(77, -20, 300),
                  random.values<T>(11, -1, 4),
                  random.values<Compute<T>>(neuron_model_info(model).adaptation_constants, 0, 1),
                  std::vector<uint8_t>(77, 9)};
  Population<T> in_place = p, out = p;
  const Population<T> before = p;
  NeuronArgs a = p.args(model), in_place_args = in_place.args(model);
  for (NeuronArgs* args : {&a, &in_place_args}) {
    set_parameters(*args, plausible);
    args->reduction = BatchReduction::mean;
  }
  a.voltage = out.voltage.data();
  a.refrac = out.refrac.data();
  a.adaptation = out.adaptation.data();
  on_kernel(a);
  on_cpu(in_place_args);
  CHECK(same_bits(out.voltage, in_place.voltage));
  CHECK(same_bits(out.refrac, in_place.refrac));
  CHECK(same_bits(out.adaptation, in_place.adaptation));
  CHECK(p.spikes == in_place.spikes);
  CHECK(same_bits(p.voltage, before.voltage) && same_bits(p.refrac, before.refrac) &&
        same_bits(p.adaptation, before.adaptation));
}

}  // namespace

int main() {
  for_each_type([](auto type) {
    using T = decltype(type);
    lif_worked_numbers<T>();
    alif_worked_numbers<T>();
    izhikevich_worked_numbers<T>();
    for (int i = 0; i < int(NeuronModel::count); ++i) {
      outputs_apart_from_inputs<T>(NeuronModel(i));
      int64_t spikes = 0;
      for (const int64_t batch : {1, 3, 40})
        for (const int64_t count : {0, 1, 31, 70})
          for (const int64_t shift : {0, 1}) spikes += cpu_and_kernel_agree<T>(NeuronModel(i), batch, count, shift);
      CHECK(spikes > 3000);
    }
  });
  return failed_checks;
}
