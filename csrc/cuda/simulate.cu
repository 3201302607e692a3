#include "core/simulate.h"

#include "core/stimuli.h"
#include "cuda/launch.h"

namespace inferno {
namespace {

constexpr int send_threads = 128, update_threads = 256, lanes = 32;
constexpr int64_t shares = 8;           // warps that share what a spike sends to one range of targets
constexpr unsigned send_blocks = 1024;  // how many spikes there are is known on the device alone

// The arguments of kernels: arrays of structures are in device memory.
struct Tables {
  const RowsPart* parts;
  const PopulationArgs* populations;
};

template <class W>
__device__ void send_segment(const RowsPart& part, int32_t segment, W* sums, int64_t neurons) {
  const int64_t width = part.last - part.first;
  with_synapses<W>(part, [&](const auto synapses) {
    for (int32_t q = part.begin[segment] + int32_t(threadIdx.x % lanes); q < part.begin[segment + 1]; q += lanes) {
      const int64_t slot = synapses.slot(uint32_t(q));
      const int64_t port = slot >= width;
      atomicAdd(sums + port * neurons + part.first + slot - port * width, W(synapses.weight(uint32_t(q))));
    }
  });
}

// Adds what spikes first..last-1 send to the sums of the steps in which it arrives, from step `now` on.
template <class W>
__device__ void send(const SimulateArgs& a, const SimulateDevice& d, const Tables& t, const Spike* spikes,
                     int64_t first, int64_t last, int64_t now) {
  const int64_t items = (last - first) * a.parts_count * shares;
  const int64_t warps = int64_t(gridDim.x) * blockDim.x / lanes;
  for (int64_t item = INFERNO_FIRST_ITEM / lanes; item < items; item += warps) {
    const Spike spike = spikes[first + item / (a.parts_count * shares)];
    const RowsPart& part = t.parts[item / shares % a.parts_count];
    const int32_t end = part.segments[spike.neuron + 1];
    for (int32_t s = part.segments[spike.neuron] + int32_t(item % shares); s < end; s += int32_t(shares)) {
      const int64_t step = int64_t(spike.step) + part.delay[s];
      if (step < now) continue;
      W* sums = static_cast<W*>(d.sums) + (step % d.ring * a.trials + spike.trial) * a.ports * a.neurons;
      send_segment(part, s, sums, a.neurons);
    }
  }
}

template <class W>
__global__ void __launch_bounds__(send_threads) send_flight_kernel(SimulateArgs a, SimulateDevice d, Tables t) {
  send<W>(a, d, t, a.flight, 0, a.flight_count, 0);
}

// What the spikes of the step before send. ends[step] counts on from all spikes so far.
template <class W>
__global__ void __launch_bounds__(send_threads) send_kernel(SimulateArgs a, SimulateDevice d, Tables t, int64_t step) {
  const int64_t first = step > 1 ? int64_t(d.ends[step - 2]) : 0, last = int64_t(d.ends[step - 1]);
  if (INFERNO_FIRST_ITEM == 0) d.ends[step] = d.ends[step - 1];
  if (last <= d.capacity) send<W>(a, d, t, d.spikes, first, last, step);
}

__device__ void emit(const SimulateArgs& a, const SimulateDevice& d, const Spike& spike) {
  const unsigned long long at = atomicAdd(d.ends + spike.step, 1ull);
  if (int64_t(at) < d.capacity) d.spikes[at] = spike;
  auto* counts = reinterpret_cast<unsigned long long*>(a.counts);
  if (counts) atomicAdd(counts + spike.trial * a.neurons + spike.neuron, 1ull);
}

__device__ int32_t count_of(const SimulateArgs& a, const StimulusArgs& s, int64_t step, int64_t trial, int64_t neuron) {
  const uint32_t word = random_word(a.seed, s.stream, trial, a.start + step, a.neurons, neuron);
  return poisson_count(s.table, int32_t(s.entries), word);
}

struct Place {
  int64_t step, trial, neuron;
};

template <class C>
__device__ void stimulate(const SimulateArgs& a, const PopulationArgs& p, const Place& at, C gain, C* arrivals,
                          C& drive) {
  for (int64_t k = 0; k < p.stimuli_count; ++k) {
    const StimulusArgs& s = p.stimuli[k];
    if (s.kind == StimulusKind::poisson) {
      arrivals[s.port] = arrivals[s.port] + C(count_of(a, s, at.step, at.trial, at.neuron)) * C(s.weight);
    } else {
      const int64_t moment = (a.start + at.step) / s.interval;
      const uint32_t word = random_word(a.seed, s.stream, at.trial, moment, a.neurons, at.neuron);
      drive = drive + C(noise_of(word, s.mean, s.std)) * gain;
    }
  }
}

template <class Neuron, class C>
__device__ int32_t step_neuron(const SimulateArgs& a, const PopulationArgs& p, const Place& at, C* arrivals) {
  const int64_t within = at.neuron - p.first;
  const Neuron neuron = spiking_neuron<Neuron>(static_cast<const C*>(p.numbers), p.stride, p.stride == 1 ? 0 : within);
  C drive = static_cast<const C*>(p.drive)[p.drive_each ? within : 0];
  stimulate(a, p, at, neuron.gain, arrivals, drive);
  C x[Neuron::variables];
  C* values = static_cast<C*>(a.values) + at.trial * a.neurons + at.neuron;
  for (int k = 0; k < Neuron::variables; ++k) x[k] = values[k * a.trials * a.neurons];
  int16_t& refrac = a.refrac[at.trial * a.neurons + at.neuron];
  int32_t left = refrac;
  const int32_t fire = neuron.step(x, left, arrivals, drive);
  for (int k = 0; k < Neuron::variables; ++k) values[k * a.trials * a.neurons] = x[k];
  refrac = int16_t(left);
  return fire;
}

// Spikes of a neuron in a step.
template <class C>
__device__ int32_t fire_neuron(const SimulateArgs& a, const PopulationArgs& p, const Place& at, C* arrivals) {
  switch (p.kind) {
#define INFERNO_ENTRY(N) \
  case SpikingKind::N:   \
    return step_neuron<N<C>>(a, p, at, arrivals);
    INFERNO_SPIKING_NEURONS(INFERNO_ENTRY)
#undef INFERNO_ENTRY
    default:
      break;
  }
  int32_t spikes = 0;
  for (int64_t k = 0; k < p.stimuli_count; ++k) spikes += count_of(a, p.stimuli[k], at.step, at.trial, at.neuron);
  return spikes;
}

__device__ const PopulationArgs& population_of(const SimulateArgs& a, const Tables& t, int64_t neuron) {
  int64_t low = 0, high = a.populations_count - 1;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (t.populations[middle].last <= neuron)
      low = middle + 1;
    else
      high = middle;
  }
  return t.populations[low];
}

template <class C, class W>
__device__ void update_neuron(const SimulateArgs& a, const SimulateDevice& d, const Tables& t, const Place& at) {
  W* sums = static_cast<W*>(d.sums) + (at.step % d.ring * a.trials + at.trial) * a.ports * a.neurons + at.neuron;
  C arrivals[max_ports] = {};
  for (int64_t port = 0; port < a.ports; ++port) {
    arrivals[port] = C(sums[port * a.neurons]) * C(a.quantum);
    sums[port * a.neurons] = W(0);
  }
  const int32_t spikes = fire_neuron(a, population_of(a, t, at.neuron), at, arrivals);
  for (int32_t k = 0; k < spikes; ++k) emit(a, d, {int32_t(at.step), int32_t(at.neuron), int32_t(at.trial)});
}

template <class C, class W>
__global__ void __launch_bounds__(update_threads)
    update_kernel(SimulateArgs a, SimulateDevice d, Tables t, int64_t step) {
  for (int64_t i = INFERNO_FIRST_ITEM; i < a.trials * a.neurons; i += INFERNO_ITEM_STRIDE)
    update_neuron<C, W>(a, d, t, {step, i / a.neurons, i % a.neurons});
  const int64_t end = d.given_begin[step + 1];
  for (int64_t k = d.given_begin[step] + INFERNO_FIRST_ITEM; k < end; k += INFERNO_ITEM_STRIDE) emit(a, d, a.given[k]);
}

template <class C>
__global__ void __launch_bounds__(update_threads) probe_kernel(SimulateArgs a, int64_t sample) {
  const C* values = static_cast<const C*>(a.values);
  C* probed = static_cast<C*>(a.probed) + sample * a.trials * a.probe_count;
  for (int64_t i = INFERNO_FIRST_ITEM; i < a.trials * a.probe_count; i += INFERNO_ITEM_STRIDE)
    probed[i] = values[probed_value(a, a.probe[i % a.probe_count], i / a.probe_count)];
}

template <class C, class W>
void run_steps(const SimulateArgs& a, const SimulateDevice& d, const Tables& t, void* stream) {
  const dim3 neurons = grid_for(a.trials * a.neurons, update_threads);
  const int64_t warps = a.flight_count * a.parts_count * shares;
  if (warps > 0)
    launch(send_flight_kernel<W>, grid_for(warps * lanes, send_threads), dim3(send_threads), 0, stream, a, d, t);
  int64_t sample = 0;
  for (int64_t step = 0; step < a.steps; ++step) {
    if (step > 0) launch(send_kernel<W>, dim3(send_blocks), dim3(send_threads), 0, stream, a, d, t, step);
    launch(update_kernel<C, W>, neurons, dim3(update_threads), 0, stream, a, d, t, step);
    if (a.probe_count > 0 && (a.start + step + 1) % a.probe_every == 0)
      launch(probe_kernel<C>, grid_for(a.trials * a.probe_count, update_threads), dim3(update_threads), 0, stream, a,
             sample++);
  }
}

int64_t stimuli_of(const SimulateArgs& a) {
  int64_t count = 0;
  for (int64_t p = 0; p < a.populations_count; ++p) count += a.populations[p].stimuli_count;
  return count;
}

// Copies the host's arrays, with stimuli as places in the copy.
Tables copy_tables(const SimulateArgs& a, void* to, void* stream) {
  auto* parts = static_cast<RowsPart*>(to);
  auto* populations = reinterpret_cast<PopulationArgs*>(parts + a.parts_count);
  auto* stimuli = reinterpret_cast<StimulusArgs*>(populations + a.populations_count);
  copy_to_device(parts, a.parts, size_t(a.parts_count) * sizeof(RowsPart), stream);
  std::vector<PopulationArgs> moved(a.populations, a.populations + a.populations_count);
  for (PopulationArgs& p : moved) {
    copy_to_device(stimuli, p.stimuli, size_t(p.stimuli_count) * sizeof(StimulusArgs), stream);
    p.stimuli = stimuli;
    stimuli += p.stimuli_count;
  }
  copy_to_device(populations, moved.data(), moved.size() * sizeof(PopulationArgs), stream);
  return {parts, populations};
}

}  // namespace

int64_t simulate_tables_bytes(const SimulateArgs& a) {
  return int64_t(sizeof(RowsPart)) * a.parts_count + int64_t(sizeof(PopulationArgs)) * a.populations_count +
         int64_t(sizeof(StimulusArgs)) * stimuli_of(a);
}

void simulate_cuda(const SimulateArgs& a, const SimulateDevice& device, void* stream) {
  if (a.steps == 0 || a.trials * a.neurons == 0) return;
  const Tables tables = copy_tables(a, device.tables, stream);
  if (a.type == Scalar::f32)
    a.wide ? run_steps<float, double>(a, device, tables, stream) : run_steps<float, int32_t>(a, device, tables, stream);
  else
    a.wide ? run_steps<double, double>(a, device, tables, stream)
           : run_steps<double, int32_t>(a, device, tables, stream);
}

}  // namespace inferno
