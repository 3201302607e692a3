// The steps of a layer in one call: a program of what its parts do in a step, run for every step of a sequence.
#include <functional>

#include "core/combine.h"
#include "torch/delayed_sum.h"
#include "torch/linear.h"
#include "torch/neuron.h"
#include "torch/synapse.h"

namespace inferno {
namespace {

// Checked and laid out once, called with the number of each step.
using Instruction = std::function<void(int64_t step)>;

// What an instruction reads or writes: the same tensor in every step, or another part of a sequence.
class Operand {
 public:
  Operand(const Tensor& tensor, int64_t first, int64_t steps) : tensor_(tensor), first_(first) {
    if (!moves()) return;
    STD_TORCH_CHECK(tensor.dim() > 0 && tensor.size(0) >= first + steps, "tensors: a sequence is too short");
    stride_ = tensor.stride(0) * int64_t(tensor.element_size());
  }

  Tensor at(int64_t step) const { return moves() ? torch::stable::select(tensor_, 0, first_ + step) : tensor_; }

  // Where that begins in memory.
  void* place(int64_t step) const {
    char* start = static_cast<char*>(const_cast<void*>(tensor_.const_data_ptr()));
    return moves() ? start + (first_ + step) * stride_ : start;
  }

 private:
  Tensor tensor_;
  int64_t first_, stride_ = 0;

  bool moves() const { return first_ >= 0; }
};

// A program as it is handed over: codes of instructions with the numbers of their tensors and their options, and their
// real numbers, all in order.
class Reader {
 public:
  Reader(const std::vector<Tensor>& written, const std::vector<Tensor>& read, const std::vector<int64_t>& code,
         const std::vector<double>& numbers, int64_t steps)
      : written_(written), read_(read), code_(code), numbers_(numbers), steps_(steps) {}

  bool done() const { return place_ == code_.size() && number_ == numbers_.size(); }

  int64_t next() {
    STD_TORCH_CHECK(place_ < code_.size(), "code: ends too early");
    return code_[place_++];
  }

  double number() {
    STD_TORCH_CHECK(number_ < numbers_.size(), "numbers: too few");
    return numbers_[number_++];
  }

  std::vector<double> all_numbers(int64_t count) {
    std::vector<double> all;
    for (int64_t k = 0; k < count; ++k) all.push_back(number());
    return all;
  }

  // Those that are written come first; -1 is none.
  MaybeTensor maybe(bool writes = false) {
    const int64_t index = next(), own = int64_t(written_.size());
    if (index == -1) return {};
    STD_TORCH_CHECK(index >= 0 && index < own + int64_t(read_.size()), "code: there is no tensor of this number");
    STD_TORCH_CHECK(!writes || index < own, "code: writes what is read");
    return index < own ? written_[index] : read_[index - own];
  }

  Tensor tensor(bool writes = false) {
    const MaybeTensor found = maybe(writes);
    STD_TORCH_CHECK(found, "code: a tensor is missing");
    return *found;
  }

  Tensor written() { return tensor(true); }

  // The number of a tensor, and the step of the sequence that it is which comes first; -1 for what is no sequence.
  Operand operand(bool writes = false) {
    const Tensor found = tensor(writes);
    return {found, next(), steps_};
  }

 private:
  const std::vector<Tensor>&written_, &read_;
  const std::vector<int64_t>& code_;
  const std::vector<double>& numbers_;
  int64_t steps_;
  size_t place_ = 0, number_ = 0;
};

struct Cpu {
  static constexpr auto synapse = run_synapse_cpu;
  static constexpr auto neuron = run_neuron_cpu;
  template <class Sum>
  static constexpr auto sum = Sum::run_cpu;

  static void combine(const CombineArgs& a, const Tensor&) {
    parallel(a.count, 1 + 32768 / (a.batch + 1), [&](int64_t begin, int64_t end) { combine_cpu(a, begin, end); });
  }
};

#ifdef INFERNO_WITH_CUDA
struct Cuda {
  static constexpr auto synapse = run_synapse_cuda;
  static constexpr auto neuron = run_neuron_cuda;
  template <class Sum>
  static constexpr auto sum = Sum::run_cuda;

  static void combine(const CombineArgs& a, const Tensor& t) {
    on_stream(t, [&](void* stream) { combine_cuda(a, stream); });
  }
};
#endif

template <class Device>
Instruction synapse(Reader& r) {
  const int64_t model = r.next(), type = r.next();
  const Operand inputs = r.operand();
  const Tensor spikes = r.written(), pointer = r.written();
  const MaybeTensor first = r.maybe(true), first_pointer = r.maybe(true);
  const MaybeTensor second = r.maybe(true), second_pointer = r.maybe(true);
  const Tensor out = r.written(), like = inputs.at(0);
  SynapseStepArgs a = synapse_args(model, type, like, {}, spikes, pointer,
                                   {{first, first_pointer}, {second, second_pointer}}, {"current", "second"});
  check_array(out, "out", floating_types[type], like.numel(), like);
  a.out = out.mutable_data_ptr();
  a.gain = r.number();
  a.decay[0] = r.number();
  a.decay[1] = r.number();
  merge_batch(a);
  return [=](int64_t step) mutable {
    a.inputs.data = inputs.place(step);
    Device::synapse(a, out);
  };
}

template <class Device>
Instruction neuron(Reader& r) {
  const int64_t model = r.next(), reduction = r.next(), refrac_lock = r.next();
  const Tensor voltage = r.written(), refrac = r.written();
  const MaybeTensor adaptation = r.maybe(reduction != int64_t(BatchReduction::none)), constants = r.maybe();
  const Operand inputs = r.operand(), spikes = r.operand(true);
  const double dt = r.number(), refrac_t = r.number();
  const std::vector<double> parameters = r.all_numbers(r.next());
  const Tensor current = inputs.at(0), fired = spikes.at(0);
  NeuronArgs a =
      neuron_args({voltage, refrac, current, adaptation, constants, voltage, refrac, fired, adaptation}, model, dt,
                  refrac_t, parameters.data(), int64_t(parameters.size()), reduction, refrac_lock != 0);
  check_array(fired, "spikes", ScalarType::Bool, voltage.numel(), voltage);
  return [=](int64_t step) mutable {
    a.inputs = inputs.place(step);
    a.spikes = static_cast<uint8_t*>(spikes.place(step));
    Device::neuron(a, voltage);
  };
}

Instruction linear(Reader& r) {
  const Operand inputs = r.operand();
  const Tensor weight = r.tensor();
  const MaybeTensor bias = r.maybe();
  const Tensor out = r.written(), like = inputs.at(0);
  STD_TORCH_CHECK(like.dim() == 2 && weight.dim() == 2 && weight.size(1) == like.size(1), "weight: wrong shape");
  STD_TORCH_CHECK(out.dim() == 2 && out.size(0) == like.size(0) && out.size(1) == weight.size(0), "out: wrong shape");
  floating_of(weight, "weight");
  for (const Tensor& t : {like, out}) {
    STD_TORCH_CHECK(t.scalar_type() == weight.scalar_type(), "weight: wrong dtype");
    check_device(t, weight, "weight");
  }
  if (bias) check_array(*bias, "bias", weight.scalar_type(), weight.size(0), weight);
  return [=](int64_t step) { linear_into(inputs.at(step), weight, bias, out); };
}

template <class Device>
Instruction combine(Reader& r) {
  CombineArgs a{};
  const int64_t how = r.next();
  STD_TORCH_CHECK(how >= 0 && how <= int64_t(Combination::blend), "code: there is no such combination");
  a.how = Combination(how);
  const bool blends = a.how == Combination::blend;
  const Operand left = r.operand(), right = r.operand();
  const Operand of_left = blends ? r.operand() : left, of_right = blends ? r.operand() : right;
  const MaybeTensor bias = r.maybe();
  const Operand outs = r.operand(true);
  const Tensor out = outs.at(0), x = left.at(0), y = right.at(0);
  STD_TORCH_CHECK(out.dim() == 2, "out: must be [batch, elements]");
  STD_TORCH_CHECK(!bias || a.how == Combination::product, "bias: is for products");
  const ScalarType dtype = out.scalar_type();
  a.type = floating_of(out, "out");
  a.batch = out.size(0);
  a.count = out.size(1);
  check_array(out, "out", dtype, out.numel(), out);
  check_array(x, "left", dtype, out.numel(), out);
  check_array(y, "right", dtype, a.how == Combination::product ? a.count : out.numel(), out);
  if (blends) check_array(of_left.at(0), "shares", dtype, out.numel(), out);
  if (blends) check_array(of_right.at(0), "shares", dtype, out.numel(), out);
  if (bias) check_array(*bias, "bias", dtype, a.count, out);
  a.bias = bias ? bias->const_data_ptr() : nullptr;
  return [=](int64_t step) mutable {
    a.a = left.place(step);
    a.b = right.place(step);
    a.of_a = of_left.place(step);
    a.of_b = of_right.place(step);
    a.out = outs.place(step);
    Device::combine(a, out);
  };
}

// data: [slots, batch, inputs]
template <class Device, bool is_dense>
Instruction delayed_sum(Reader& r) {
  const Tensor data = r.tensor(), pointer = r.tensor(), weight = r.tensor();
  const MaybeTensor bias = r.maybe();
  const Tensor slot = r.tensor();
  const MaybeTensor factor = r.maybe();
  const Tensor out = r.written();
  const bool linear = r.next() != 0;
  const double scale = r.number(), overbound = r.number();
  const Ring ring = ring_of(data, pointer);
  STD_TORCH_CHECK(weight.dim() == (is_dense ? 2 : 1) && weight.size(weight.dim() - 1) == ring.rest,
                  "weight: wrong shape");
  check_array(out, "out", weight.scalar_type(), ring.batch * weight.size(0), weight);
  const DelayedSumArgs a = sum_args(data, ring, weight, bias, slot, factor, out, linear, scale, overbound);
  const int64_t work = is_dense ? ring.batch * ring.rest : ring.batch;
  using Sum = std::conditional_t<is_dense, DenseSum, DirectSum>;
  return [=](int64_t) { Device::template sum<Sum>(a, out, a.outputs, work); };
}

// In the order of ops/layer_run.py.
template <class Device>
Instruction instruction(Reader& r) {
  switch (r.next()) {
    case 0:
      return synapse<Device>(r);
    case 1:
      return neuron<Device>(r);
    case 2:
      return linear(r);
    case 3:
      return combine<Device>(r);
    case 4:
      return delayed_sum<Device, true>(r);
    case 5:
      return delayed_sum<Device, false>(r);
    default:
      STD_TORCH_CHECK(false, "code: there is no such instruction");
  }
}

// What is written shares no memory with anything else.
void check_apart(const std::vector<Tensor>& written, const std::vector<Tensor>& read) {
  for (size_t k = 0; k < written.size(); ++k) {
    for (size_t j = 0; j < k; ++j) STD_TORCH_CHECK(!overlap(written[k], written[j]), "written: overlap in memory");
    for (const Tensor& other : read) STD_TORCH_CHECK(!overlap(written[k], other), "written, read: overlap in memory");
  }
}

template <class Device>
void run(std::vector<Tensor> written, const std::vector<Tensor> read, std::vector<int64_t> code,
         std::vector<double> numbers, int64_t steps, bool backwards) {
  STD_TORCH_CHECK(steps >= 0, "steps: must not be negative");
  if (steps == 0) return;
  check_apart(written, read);
  Reader reader(written, read, code, numbers, steps);
  std::vector<Instruction> program;
  while (!reader.done()) program.push_back(instruction<Device>(reader));
  for (int64_t step = 0; step < steps; ++step)
    for (Instruction& instruction : program) instruction(backwards ? steps - 1 - step : step);
}

}  // namespace
}  // namespace inferno

STABLE_TORCH_LIBRARY_FRAGMENT(inferno_cuda, m) {
  m.def(
      "layer_run(Tensor(a!)[] written, Tensor[] read, int[] code, float[] numbers, int steps, "
      "bool backwards=False) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CPU, m) { m.impl("layer_run", TORCH_BOX(&inferno::run<inferno::Cpu>)); }

#ifdef INFERNO_WITH_CUDA
STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CUDA, m) { m.impl("layer_run", TORCH_BOX(&inferno::run<inferno::Cuda>)); }
#endif
