// Runs of large sparse networks on numpy arrays: the CPU's engine, or the emulated kernels.
#include "bindings.h"
#include "core/simulate.h"

namespace {

using Parts = std::vector<std::tuple<py::array, py::array, py::array, py::array, py::array>>;
// kind, port, stream, interval, weight, mean, std, table
using Stimulus = std::tuple<int, int, uint32_t, int64_t, double, double, double, py::array_t<int64_t>>;
// kind, first, last, numbers, drive, stimuli
using Population = std::tuple<int, int64_t, int64_t, py::array, py::array, std::vector<Stimulus>>;

StimulusArgs stimulus_of(const Stimulus& s) {
  const auto& [kind, port, stream, interval, weight, mean, std, table] = s;
  return {StimulusKind(kind), port, stream, interval, table.data(), table.size(), weight, mean, std};
}

struct Run {
  SimulateArgs a{};
  std::vector<RowsPart> parts;
  std::vector<PopulationArgs> populations;
  std::vector<std::vector<StimulusArgs>> stimuli;

  void set_rows(const Parts& arrays, const std::vector<int64_t>& bounds) {
    for (size_t p = 0; p < arrays.size(); ++p) {
      const auto& [segments, delay, begin, slot, weight] = arrays[p];
      parts.push_back({bounds[p], bounds[p + 1], a.ports * (bounds[p + 1] - bounds[p]),
                       static_cast<const int32_t*>(segments.data()), static_cast<const uint16_t*>(delay.data()),
                       static_cast<const int32_t*>(begin.data()), static_cast<const uint16_t*>(slot.data()),
                       weight.data(), weight.itemsize() == 2 ? static_cast<const uint32_t*>(slot.data()) : nullptr});
      a.wide = weight.itemsize() == 8;
    }
    a.parts = parts.data();
    a.parts_count = int64_t(parts.size());
  }

  void set_populations(const std::vector<Population>& given) {
    for (const auto& [kind, first, last, numbers, drive, inputs] : given) {
      stimuli.emplace_back();
      for (const Stimulus& s : inputs) stimuli.back().push_back(stimulus_of(s));
      const int64_t stride = numbers.ndim() == 2 ? numbers.shape(1) : 1;
      populations.push_back({SpikingKind(kind), first, last, numbers.data(), stride, drive.data(), drive.size() > 1,
                             stimuli.back().data(), int64_t(stimuli.back().size())});
    }
    a.populations = populations.data();
    a.populations_count = int64_t(populations.size());
  }
};

py::array_t<int32_t> array_of(const std::vector<Spike>& spikes, int64_t count) {
  py::array_t<int32_t> out({count, int64_t(3)});
  if (count > 0) memcpy(out.mutable_data(), spikes.data(), size_t(count) * sizeof(Spike));
  return out;
}

// All spikes, in no order within a step.
py::array_t<int32_t> run_emulated(const SimulateArgs& a, int64_t capacity) {
  SimulateDevice d{};
  d.ring = a.max_delay + 1;
  std::vector<double> sums(size_t(d.ring * a.trials * a.ports * a.neurons));  // wide enough for either type
  std::vector<Spike> spikes(static_cast<size_t>(capacity));
  std::vector<unsigned long long> ends(size_t(a.steps) + 1);
  std::vector<int64_t> given_begin(size_t(a.steps) + 1);
  for (int64_t k = 0; k < a.given_count; ++k) ++given_begin[size_t(a.given[k].step) + 1];
  for (int64_t s = 0; s < a.steps; ++s) given_begin[s + 1] += given_begin[s];
  std::vector<char> tables(size_t(simulate_tables_bytes(a)));
  d.sums = sums.data();
  d.spikes = spikes.data();
  d.capacity = capacity;
  d.ends = ends.data();
  d.given_begin = given_begin.data();
  d.tables = tables.data();
  simulate_cuda(a, d, nullptr);
  const int64_t count = int64_t(ends[a.steps - 1]);
  require(count <= capacity, "capacity: too small");
  return array_of(spikes, count);
}

}  // namespace

void define_simulate(py::module_& m, bool emulated) {
  m.def(
      "simulate",
      [emulated](const Parts& parts, const std::vector<int64_t>& bounds, double quantum,
                 const std::vector<Population>& populations, py::array values, py::array_t<int16_t> refrac,
                 py::array_t<int32_t> flight, py::array_t<int32_t> given, py::array_t<int64_t> counts,
                 py::array_t<int64_t> probe, py::array probed, int64_t probe_every, int64_t start, int64_t steps,
                 int64_t min_delay, int64_t max_delay, int64_t ports, uint64_t seed, int threads, int64_t capacity) {
        Run run;
        SimulateArgs& a = run.a;
        a.type = values.itemsize() == 8 ? Scalar::f64 : Scalar::f32;
        a.quantum = quantum;
        a.variables = values.shape(0);
        a.trials = values.shape(1);
        a.neurons = values.shape(2);
        a.ports = ports;
        a.values = values.mutable_data();
        a.refrac = refrac.mutable_data();
        a.flight = reinterpret_cast<const Spike*>(flight.data());
        a.flight_count = flight.shape(0);
        a.given = reinterpret_cast<const Spike*>(given.data());
        a.given_count = given.shape(0);
        a.start = start;
        a.steps = steps;
        a.min_delay = min_delay;
        a.max_delay = max_delay;
        a.seed = seed;
        a.counts = counts.mutable_data();
        a.probe = probe.data();
        a.probe_count = probe.size();
        a.probe_every = probe_every;
        a.probed = probed.mutable_data();
        a.threads = threads;
        run.set_rows(parts, bounds);
        run.set_populations(populations);
        if (emulated) return run_emulated(a, capacity);
        const std::vector<uint8_t> all(size_t(a.neurons), 1);
        a.record = all.data();
        const SimulateResult result = simulate_cpu(a);
        return array_of(result.recorded, int64_t(result.recorded.size()));
      },
      "parts"_a, "bounds"_a, "quantum"_a, "populations"_a, py::kw_only(), "values"_a, "refrac"_a, "flight"_a, "given"_a,
      "counts"_a, "probe"_a, "probed"_a, "probe_every"_a, "start"_a, "steps"_a, "min_delay"_a, "max_delay"_a, "ports"_a,
      "seed"_a, "threads"_a = 1, "capacity"_a = 0);
}
