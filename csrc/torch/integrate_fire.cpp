#include "core/integrate_fire.h"

#include "torch/common.h"

namespace inferno {
namespace {

using MaybeTensor = std::optional<Tensor>;

// Numbers of a step, in the order that Python packs them in.
struct Numbers {
  double model, reset, delayed, voltages, resets, decay, current_decay, threshold, amount, factor, tau, rest;
};
constexpr int64_t number_count = sizeof(Numbers) / sizeof(double);

// The tensors of a step; coefficients that are tensors take the place of their numbers.
struct Given {
  const Tensor &inputs, &voltage;
  const MaybeTensor &current, &decay, &current_decay, &threshold, &amount, &factor;
};

// A coefficient broadcasts to the voltage, and is not 1 along one run of dimensions at most.
Coefficient coefficient_of(const MaybeTensor& given, double value, const Tensor& voltage, const char* name) {
  if (!given) return {nullptr, value, 1, 1};
  const Tensor& t = *given;
  const bool wide = voltage.scalar_type() == ScalarType::Double;
  STD_TORCH_CHECK(t.scalar_type() == (wide ? ScalarType::Double : ScalarType::Float), name, ": wrong dtype");
  STD_TORCH_CHECK(t.is_contiguous(), name, ": must be contiguous");
  check_device(t, voltage, name);
  const int64_t missing = voltage.dim() - t.dim();
  STD_TORCH_CHECK(missing >= 0, name, ": has more dimensions than voltage");
  int64_t inner = 1, size = 1;
  enum { behind, inside, before } place = behind;  // where a dimension is, from the last on, as seen from the run
  for (int64_t d = t.dim() - 1; d >= 0; --d) {
    const int64_t own = t.size(d), of = voltage.size(d + missing);
    STD_TORCH_CHECK(own == 1 || own == of, name, ": does not broadcast to voltage");
    if (of == 1) continue;
    STD_TORCH_CHECK(own == 1 || place != before, name, ": its dimensions do not merge");
    if (own != 1) {
      place = inside;
      size *= own;
    } else if (place == behind) {
      inner *= of;
    } else {
      place = before;
    }
  }
  return {t.const_data_ptr(), value, inner, size};
}

struct Outputs {
  std::vector<Tensor> all;

  void* add(const Tensor& like) {
    all.push_back(empty(like, sizes_of(like), like.scalar_type()));
    return all.back().mutable_data_ptr();
  }
};

void check_rule(const IntegrateFireArgs& a) {
  bool known = false;
  dispatch_charge(a.model, [&](auto m) {
    known = dispatch_reset<decltype(m)>(a.reset, a.delayed, [](auto) {});
    STD_TORCH_CHECK(decltype(m)::late || !a.resets, "resets: are of models that reset late");
  });
  STD_TORCH_CHECK(known, "model, reset: there is no such rule");
}

// Spikes, voltage, then what there is of: current, voltages, resets.
template <class Run>
std::vector<Tensor> integrate_fire_with(const Given& g, const Numbers& n, const Run& run) {
  IntegrateFireArgs a{};
  a.type = floating_of(g.voltage, "voltage");
  a.model = ChargeModel(int32_t(n.model));
  a.reset = ResetRule(int32_t(n.reset));
  a.delayed = n.delayed != 0;
  a.count = g.voltage.numel();
  const bool sequence = g.inputs.dim() == g.voltage.dim() + 1;
  STD_TORCH_CHECK(sequence || g.inputs.dim() == g.voltage.dim(), "inputs: wrong number of dimensions");
  a.steps = sequence ? g.inputs.size(0) : 1;
  const auto wanted = g.voltage.sizes(), sizes = g.inputs.sizes();
  STD_TORCH_CHECK(std::equal(wanted.begin(), wanted.end(), sizes.begin() + sequence), "inputs: wrong shape");
  check_array(g.voltage, "voltage", g.voltage.scalar_type(), a.count, g.voltage);
  check_array(g.inputs, "inputs", g.voltage.scalar_type(), a.steps * a.count, g.voltage);
  STD_TORCH_CHECK(g.current.has_value() == (a.model == ChargeModel::synaptic), "current: is of synaptic neurons");
  if (g.current) {
    check_array(*g.current, "current", g.voltage.scalar_type(), a.count, g.voltage);
    check_shape(*g.current, g.voltage, "current");
    a.current_in = g.current->const_data_ptr();
  }
  a.decay = coefficient_of(g.decay, n.decay, g.voltage, "decay");
  a.current_decay = coefficient_of(g.current_decay, n.current_decay, g.voltage, "current_decay");
  a.threshold = coefficient_of(g.threshold, n.threshold, g.voltage, "threshold");
  a.amount = coefficient_of(g.amount, n.amount, g.voltage, "amount");
  a.factor = coefficient_of(g.factor, n.factor, g.voltage, "factor");
  a.tau = n.tau;
  a.rest = n.rest;
  a.resets = n.resets != 0 ? &a : nullptr;  // for the check alone
  check_rule(a);
  a.inputs = g.inputs.const_data_ptr();
  a.voltage_in = g.voltage.const_data_ptr();
  Outputs out;
  a.spikes = out.add(g.inputs);
  a.voltage = out.add(g.voltage);
  if (g.current) a.current = out.add(g.voltage);
  if (n.voltages != 0) a.voltages = out.add(g.inputs);
  if (n.resets != 0) a.resets = out.add(g.inputs);
  run(a);
  return std::move(out.all);
}

void run_cpu(const IntegrateFireArgs& a) {
  parallel(a.count, 1 + 32768 / (a.steps + 1), [&](int64_t begin, int64_t end) { integrate_fire_cpu(a, begin, end); });
}

std::vector<Tensor> on_cpu(const Given& g, const Numbers& n) { return integrate_fire_with(g, n, run_cpu); }

#ifdef INFERNO_WITH_CUDA
std::vector<Tensor> on_cuda(const Given& g, const Numbers& n) {
  return integrate_fire_with(g, n, [&](const IntegrateFireArgs& a) {
    on_stream(g.voltage, [&](void* stream) { integrate_fire_cuda(a, stream); });
  });
}
#endif

Numbers numbers_of(const double* from, int64_t count) {
  STD_TORCH_CHECK(count == number_count, "numbers: there are ", number_count, " of them");
  return {from[0], from[1], from[2], from[3], from[4], from[5], from[6], from[7], from[8], from[9], from[10], from[11]};
}

template <std::vector<Tensor> (*Run)(const Given&, const Numbers&)>
std::vector<Tensor> steps(const Tensor& inputs, const Tensor& voltage, const MaybeTensor current,
                          const MaybeTensor decay, const MaybeTensor current_decay, const MaybeTensor threshold,
                          const MaybeTensor amount, const MaybeTensor factor, std::vector<double> numbers) {
  return Run({inputs, voltage, current, decay, current_decay, threshold, amount, factor},
             numbers_of(numbers.data(), int64_t(numbers.size())));
}

// The same with all numbers in one tensor, which is quicker than handing them over one by one.
std::vector<Tensor> steps_packed(const Tensor& inputs, const Tensor& voltage, const MaybeTensor current,
                                 const MaybeTensor decay, const MaybeTensor current_decay, const MaybeTensor threshold,
                                 const MaybeTensor amount, const MaybeTensor factor, const Tensor& numbers) {
  check_array(numbers, "numbers", ScalarType::Double, number_count, voltage);
  return on_cpu({inputs, voltage, current, decay, current_decay, threshold, amount, factor},
                numbers_of(static_cast<const double*>(numbers.const_data_ptr()), number_count));
}

}  // namespace
}  // namespace inferno

STABLE_TORCH_LIBRARY_FRAGMENT(inferno_cuda, m) {
  m.def(
      "integrate_fire(Tensor inputs, Tensor voltage, Tensor? current, Tensor? decay, Tensor? current_decay, "
      "Tensor? threshold, Tensor? amount, Tensor? factor, float[] numbers) -> Tensor[]");
  m.def(
      "integrate_fire_packed(Tensor inputs, Tensor voltage, Tensor? current, Tensor? decay, Tensor? current_decay, "
      "Tensor? threshold, Tensor? amount, Tensor? factor, Tensor numbers) -> Tensor[]");
}

STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CPU, m) {
  m.impl("integrate_fire", TORCH_BOX(&inferno::steps<inferno::on_cpu>));
  m.impl("integrate_fire_packed", TORCH_BOX(&inferno::steps_packed));
}

#ifdef INFERNO_WITH_CUDA
STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CUDA, m) {
  m.impl("integrate_fire", TORCH_BOX(&inferno::steps<inferno::on_cuda>));
}
#endif
