#include "core/simulate.h"

#include "torch/packed_synapses.h"

namespace inferno {
namespace {

enum RowsTensor { row_segments, row_delay, row_begin, row_slot, row_weight, row_tensors };

RowsPart part_of(const Tensor* t, const Tensor& bounds, int64_t p, const Tensor& values, int64_t ports, bool wide) {
  const int64_t* bound = static_cast<const int64_t*>(bounds.const_data_ptr());
  RowsPart part{};
  part.first = bound[p];
  part.last = bound[p + 1];
  part.slots = ports * (part.last - part.first);
  const int64_t segments = t[row_delay].numel(), synapses = t[row_slot].numel();
  check_array(t[row_segments], "segments", ScalarType::Int, values.size(2) + 1, values);
  check_array(t[row_delay], "delay", ScalarType::Short, segments, values);
  check_array(t[row_begin], "begin", ScalarType::Int, segments + 1, values);
  part.segments = static_cast<const int32_t*>(t[row_segments].const_data_ptr());
  part.delay = static_cast<const uint16_t*>(t[row_delay].const_data_ptr());
  part.begin = static_cast<const int32_t*>(t[row_begin].const_data_ptr());
  if (t[row_weight].scalar_type() == ScalarType::Short) {
    part.both = packed_synapses(t[row_slot], t[row_weight], values);
    return part;
  }
  check_array(t[row_slot], "slot", ScalarType::Short, synapses, values);
  check_array(t[row_weight], "weight", wide ? ScalarType::Double : ScalarType::Int, synapses, values);
  part.slot = static_cast<const uint16_t*>(t[row_slot].const_data_ptr());
  part.weight = t[row_weight].const_data_ptr();
  return part;
}

// kind, port, stream, interval
constexpr size_t stimulus_integers = 4, stimulus_reals = 3;

StimulusArgs stimulus_of(const int64_t* integers, const double* reals, const Tensor& table, const Tensor& values) {
  StimulusArgs s{};
  s.kind = StimulusKind(integers[0]);
  s.port = int32_t(integers[1]);
  s.stream = uint32_t(integers[2]);
  s.interval = integers[3];
  s.weight = reals[0];
  s.mean = reals[1];
  s.std = reals[2];
  check_array(table, "table", ScalarType::Long, table.numel(), values);
  s.table = static_cast<const int64_t*>(table.const_data_ptr());
  s.entries = table.numel();
  return s;
}

// kind, first, last, number of stimuli
constexpr size_t population_integers = 4;

PopulationArgs population_of(const int64_t* integers, const Tensor& numbers, const Tensor& drive,
                             const Tensor& values) {
  PopulationArgs p{};
  p.kind = SpikingKind(integers[0]);
  p.first = integers[1];
  p.last = integers[2];
  check_array(numbers, "numbers", values.scalar_type(), numbers.numel(), values);
  check_array(drive, "drive", values.scalar_type(), drive.numel(), values);
  p.numbers = numbers.const_data_ptr();
  p.stride = numbers.dim() == 2 ? numbers.size(1) : 1;
  STD_TORCH_CHECK(p.kind >= SpikingKind::generator && p.kind < SpikingKind::count, "populations: no such model");
  STD_TORCH_CHECK(numbers.size(0) == spiking_number_count(p.kind), "numbers: wrong number");
  p.drive = drive.const_data_ptr();
  p.drive_each = drive.numel() > 1;
  STD_TORCH_CHECK(p.stride == 1 || p.stride == p.last - p.first, "numbers: wrong shape");
  STD_TORCH_CHECK(drive.numel() == 1 || drive.numel() == p.last - p.first, "drive: wrong shape");
  p.stimuli_count = integers[3];
  return p;
}

const Spike* spikes_of(const Tensor& t, const Tensor& like, const char* name) {
  STD_TORCH_CHECK(t.dim() == 2 && t.size(1) == 3, name, ": must be [spikes, 3]");
  check_array(t, name, ScalarType::Int, t.numel(), like);
  return static_cast<const Spike*>(t.const_data_ptr());
}

Tensor tensor_of(const std::vector<Spike>& spikes, const Tensor& like) {
  Tensor t = empty(like, {int64_t(spikes.size()), 3}, ScalarType::Int);
  if (!spikes.empty()) memcpy(t.mutable_data_ptr(), spikes.data(), spikes.size() * sizeof(Spike));
  return t;
}

template <class T>
T* pointer_of(const std::optional<Tensor>& t, ScalarType dtype, int64_t numel, const char* name, const Tensor& like) {
  if (!t) return nullptr;
  check_array(*t, name, dtype, numel, like);
  return static_cast<T*>(t->mutable_data_ptr());
}

// integers: start, steps, min_delay, max_delay, seed, ports, probe_every, threads
constexpr size_t run_integers = 8;

// The arguments of a run, and the arrays that they point to.
struct Run {
  SimulateArgs a{};
  std::vector<RowsPart> parts;
  std::vector<PopulationArgs> populations;
  std::vector<StimulusArgs> stimuli;
  Tensor probed;

  void set_numbers(const std::vector<int64_t>& integers, double quantum) {
    STD_TORCH_CHECK(integers.size() == run_integers, "integers: wrong number");
    a.quantum = quantum;
    a.start = integers[0];
    a.steps = integers[1];
    a.min_delay = integers[2];
    a.max_delay = integers[3];
    a.seed = uint64_t(integers[4]);
    a.ports = integers[5];
    a.probe_every = integers[6];
    a.threads = int32_t(integers[7]);
    STD_TORCH_CHECK(a.min_delay >= 1 && a.max_delay >= a.min_delay, "delays: must be positive");
    STD_TORCH_CHECK(a.ports >= 1 && a.ports <= max_ports && a.probe_every >= 1, "integers: out of range");
  }

  void set_state(const Tensor& values, const Tensor& refrac) {
    a.type = floating_of(values, "values");
    STD_TORCH_CHECK(a.type == Scalar::f32 || a.type == Scalar::f64, "values: must be float32 or float64");
    STD_TORCH_CHECK(values.dim() == 3 && values.is_contiguous(), "values: must be [variables, trials, neurons]");
    a.variables = values.size(0);
    a.trials = values.size(1);
    a.neurons = values.size(2);
    a.values = values.mutable_data_ptr();
    check_array(refrac, "refrac", ScalarType::Short, a.trials * a.neurons, values);
    a.refrac = static_cast<int16_t*>(refrac.mutable_data_ptr());
  }

  void set_rows(const std::vector<Tensor>& rows, const Tensor& bounds, const Tensor& values) {
    STD_TORCH_CHECK(rows.size() % row_tensors == 0 && !rows.empty(), "rows: wrong number of tensors");
    a.wide = rows[row_weight].scalar_type() == ScalarType::Double;
    check_array(bounds, "bounds", ScalarType::Long, int64_t(rows.size() / row_tensors) + 1, bounds);
    for (size_t p = 0; p < rows.size() / row_tensors; ++p)
      parts.push_back(part_of(&rows[p * row_tensors], bounds, int64_t(p), values, a.ports, a.wide));
    a.parts = parts.data();
    a.parts_count = int64_t(parts.size());
  }

  void set_populations(const std::vector<Tensor>& numbers, const std::vector<int64_t>& integers,
                       const std::vector<Tensor>& tables, const std::vector<int64_t>& stimulus_numbers,
                       const std::vector<double>& reals, const Tensor& values) {
    const size_t count = integers.size() / population_integers;
    STD_TORCH_CHECK(numbers.size() == 2 * count, "numbers: must be two a population");
    STD_TORCH_CHECK(stimulus_numbers.size() == stimulus_integers * tables.size(), "stimuli: wrong number");
    STD_TORCH_CHECK(reals.size() == stimulus_reals * tables.size(), "stimulus_numbers: wrong number");
    for (size_t k = 0; k < tables.size(); ++k)
      stimuli.push_back(
          stimulus_of(&stimulus_numbers[k * stimulus_integers], &reals[k * stimulus_reals], tables[k], values));
    size_t stimulus = 0;
    for (size_t k = 0; k < count; ++k) {
      PopulationArgs p = population_of(&integers[k * population_integers], numbers[2 * k], numbers[2 * k + 1], values);
      p.stimuli = stimuli.data() + stimulus;
      stimulus += size_t(p.stimuli_count);
      populations.push_back(p);
    }
    STD_TORCH_CHECK(stimulus == stimuli.size(), "stimuli: wrong number");
    a.populations = populations.data();
    a.populations_count = int64_t(count);
  }

  void set_spikes(const Tensor& flight, const Tensor& given, const Tensor& values) {
    a.flight = spikes_of(flight, values, "flight");
    a.flight_count = flight.size(0);
    a.given = spikes_of(given, values, "given");
    a.given_count = given.size(0);
  }

  void set_outputs(const std::optional<Tensor>& counts, const std::optional<Tensor>& probe, const Tensor& values) {
    a.counts = pointer_of<int64_t>(counts, ScalarType::Long, a.trials * a.neurons, "counts", values);
    a.probe_count = probe ? probe->numel() : 0;
    a.probe = pointer_of<int64_t>(probe, ScalarType::Long, a.probe_count, "probe", values);
    const int64_t samples = a.probe ? (a.start + a.steps) / a.probe_every - a.start / a.probe_every : 0;
    probed = empty(values, {samples, a.trials, a.probe_count}, values.scalar_type());
    a.probed = probed.mutable_data_ptr();
  }
};

std::tuple<Tensor, Tensor, Tensor> simulate(const std::vector<Tensor> rows, const Tensor bounds, double quantum,
                                            const std::vector<Tensor> numbers, const std::vector<int64_t> populations,
                                            const std::vector<Tensor> tables, const std::vector<int64_t> stimuli,
                                            const std::vector<double> stimulus_numbers, Tensor values, Tensor refrac,
                                            const Tensor flight, const Tensor given, const std::optional<Tensor> counts,
                                            const std::optional<Tensor> probe, const std::vector<int64_t> integers,
                                            const std::optional<Tensor> record, const std::optional<Tensor> phases) {
  Run run;
  run.set_numbers(integers, quantum);
  run.set_state(values, refrac);
  run.set_rows(rows, bounds, values);
  run.set_populations(numbers, populations, tables, stimuli, stimulus_numbers, values);
  run.set_spikes(flight, given, values);
  run.set_outputs(counts, probe, values);
  run.a.record = pointer_of<uint8_t>(record, ScalarType::Bool, run.a.neurons, "record", values);
  run.a.phases = pointer_of<double>(phases, ScalarType::Double, 3 * int64_t(run.a.threads), "phases", values);
  const SimulateResult result = simulate_cpu(run.a);
  return {tensor_of(result.recorded, values), tensor_of(result.flight, values), run.probed};
}

#ifdef INFERNO_WITH_CUDA
// Returns all spikes, in no order within a step; how many there were before the end of each step, more than `capacity`
// if some were lost; and what was probed.
std::tuple<Tensor, Tensor, Tensor> simulate_device(
    const std::vector<Tensor> rows, const Tensor bounds, double quantum, const std::vector<Tensor> numbers,
    const std::vector<int64_t> populations, const std::vector<Tensor> tables, const std::vector<int64_t> stimuli,
    const std::vector<double> stimulus_numbers, Tensor values, Tensor refrac, const Tensor flight, const Tensor given,
    const std::optional<Tensor> counts, const std::optional<Tensor> probe, const std::vector<int64_t> integers,
    const Tensor given_begin, int64_t capacity) {
  Run run;
  run.set_numbers(integers, quantum);
  run.set_state(values, refrac);
  run.set_rows(rows, bounds, values);
  run.set_populations(numbers, populations, tables, stimuli, stimulus_numbers, values);
  run.set_spikes(flight, given, values);
  run.set_outputs(counts, probe, values);
  const SimulateArgs& a = run.a;
  check_array(given_begin, "given_begin", ScalarType::Long, a.steps + 1, values);
  SimulateDevice device{};
  device.ring = a.max_delay + 1;
  Tensor sums =
      empty(values, {device.ring, a.trials, a.ports * a.neurons}, a.wide ? ScalarType::Double : ScalarType::Int);
  Tensor ends = empty(values, {a.steps + 1}, ScalarType::Long);
  Tensor spikes = empty(values, {capacity, 3}, ScalarType::Int);
  Tensor table = empty(values, {simulate_tables_bytes(a)}, ScalarType::Byte);
  torch::stable::zero_(sums);
  torch::stable::zero_(ends);
  device.sums = sums.mutable_data_ptr();
  device.spikes = static_cast<Spike*>(spikes.mutable_data_ptr());
  device.capacity = capacity;
  device.ends = static_cast<unsigned long long*>(ends.mutable_data_ptr());
  device.given_begin = static_cast<const int64_t*>(given_begin.const_data_ptr());
  device.tables = table.mutable_data_ptr();
  on_stream(values, [&](void* stream) { simulate_cuda(a, device, stream); });
  return {spikes, ends, run.probed};
}
#endif

}  // namespace
}  // namespace inferno

STABLE_TORCH_LIBRARY_FRAGMENT(inferno_cuda, m) {
  m.def(
      "simulate(Tensor[] rows, Tensor bounds, float quantum, Tensor[] numbers, int[] populations, Tensor[] tables, "
      "int[] stimuli, float[] stimulus_numbers, Tensor(a!) values, Tensor(b!) refrac, Tensor flight, Tensor given, "
      "Tensor(c!)? counts, Tensor? probe, int[] integers, Tensor? record, Tensor(d!)? phases) -> "
      "(Tensor, Tensor, Tensor)");
  m.def(
      "simulate_device(Tensor[] rows, Tensor bounds, float quantum, Tensor[] numbers, int[] populations, "
      "Tensor[] tables, int[] stimuli, float[] stimulus_numbers, Tensor(a!) values, Tensor(b!) refrac, Tensor flight, "
      "Tensor given, Tensor(c!)? counts, Tensor? probe, int[] integers, Tensor given_begin, int capacity) -> "
      "(Tensor, Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CPU, m) { m.impl("simulate", TORCH_BOX(&inferno::simulate)); }

#ifdef INFERNO_WITH_CUDA
STABLE_TORCH_LIBRARY_IMPL(inferno_cuda, CUDA, m) { m.impl("simulate_device", TORCH_BOX(&inferno::simulate_device)); }
#endif
