// A block of neurons that goes through a sequence of steps: its numbers, its state, and a step of all its samples.
#pragma once
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <type_traits>

#include "core/neuron_models.h"
#include "cpu/neuron_passes.h"

namespace inferno {

// Memory that is written before it is read.
template <class C>
class Scratch {
 public:
  explicit Scratch(int64_t count) : data_(new C[count]) {}
  C* at(int64_t i = 0) { return data_.get() + i; }

 private:
  std::unique_ptr<C[]> data_;
};

// Elements [at, at + count) of step t, as they lie where they can be read there, or in the buffer.
template <class T, class C>
const C* read_row(const Series& series, int64_t t, int64_t at, int64_t count, C* buffer) {
  const T* row = static_cast<const T*>(series.data) + t * series.step_stride + at * series.item_stride;
  if (series.item_stride == 0) return std::fill_n(buffer, count, load(*row)), buffer;
  if constexpr (std::is_same_v<T, C>) return row;
  for (int64_t i = 0; i < count; ++i) buffer[i] = load(row[i]);
  return buffer;
}

// Rows of a sequence lie far apart: where one ends, the hardware does not foresee the next.
template <bool Written>
void prefetch_row(const void* data, int64_t bytes) {
  constexpr int64_t line = 64;
#if defined(__GNUC__)
  for (int64_t at = 0; at < bytes; at += line) __builtin_prefetch(static_cast<const char*>(data) + at, Written, 3);
#else
  (void)data, (void)bytes, (void)line;
#endif
}

// Asks for elements [at, at + count) of step t.
template <class T>
void prefetch_row(const Series& series, int64_t t, int64_t at, int64_t count) {
  if (series.step_stride && series.item_stride)
    prefetch_row<false>(static_cast<const T*>(series.data) + t * series.step_stride + at, count * int64_t(sizeof(T)));
}

template <class T, class C>
void load_row(const void* from, int64_t at, int64_t count, C* to) {
  const T* row = static_cast<const T*>(from) + at;
  for (int64_t i = 0; i < count; ++i) to[i] = load(row[i]);
}

template <class T, class C>
void store_row(const C* from, void* to, int64_t at, int64_t count) {
  if (!to) return;
  T* row = static_cast<T*>(to) + at;
  for (int64_t i = 0; i < count; ++i) row[i] = store<T>(from[i]);
}

// As a value of type T holds them.
template <class T, class C>
void round_row(C* row, int64_t count) {
  if constexpr (!std::is_same_v<T, C>)
    for (int64_t i = 0; i < count; ++i) row[i] = load(store<T>(row[i]));
}

inline int64_t place_of(const char* names, const std::string& name) {
  const std::string all = names;
  return std::count(all.begin(), all.begin() + int64_t(all.find(name)), ' ');
}

// What a step reads and leaves, for all samples: voltages [rows, width], adaptations [kinds, width], and `acting`,
// [width]. Inputs may be outputs.
template <class C>
struct StepPlace {
  C *voltage_in, *voltage;
  C *adaptation_in, *adaptation, *acting;
};

// Neurons whose samples share adaptations come with all samples, a row each; others with a row over any samples.
template <class T>
class NeuronBlock {
 public:
  using C = Compute<T>;
  static constexpr int64_t look_ahead = 2;  // rows
  const NeuronRunArgs& a;
  const NeuronModelInfo info;
  const NeuronPasses<C>& passes;
  const AdaptationPasses<C>& laws;
  const bool adapts;
  const int64_t rows, width, lanes;  // width: of a row, at most
  NeuronNumbers<C> numbers;
  int64_t count = 0;  // of this block

  NeuronBlock(const NeuronRunArgs& args, bool detach)
      : a(args),
        info(neuron_model_info(args.model)),
        passes(neuron_passes<C>(args.model)),
        laws(adaptation_passes<C>(args.model)),
        adapts(args.reduction != BatchReduction::none),
        rows(args.kinds ? args.batch : 1),
        // As long as a page of memory has room for: rows of a tensor lie pages apart, and finding one takes longer than
        // reading it. Shorter where a block has so many rows that the third cache does not hold what it traces.
        width(std::clamp(64 * neuron_block / std::max(rows, int64_t(1)) / 32 * 32, int64_t(32), neuron_block)),
        lanes(batch_lanes(args.batch)),
        parameters_(info.parameter_count * neuron_block),
        period_(neuron_block),
        refrac_(rows * width),
        inputs_(width),
        sums_(adapts ? args.kinds * lanes * width : 0) {
    numbers = {parameters_.at(), period_.at(), C(args.dt), C(args.dt * 1e-3), args.refrac_lock, detach};
    rest_v_ = parameters_.at(place_of(info.parameters, "rest_v") * neuron_block);
  }

  // First element of a row in a tensor [batch, count].
  int64_t place(int64_t row) const { return row * a.count + at_; }
  int64_t items() const { return a.batch * a.count; }
  const C* rest_v() const { return rest_v_; }
  C* refrac(int64_t row) { return refrac_.at(row * width); }

  void begin(int64_t at, int64_t of) {
    at_ = at;
    count = of;
    for (int p = 0; p < info.parameter_count; ++p) fill(a.parameters[p], parameters_.at(p * neuron_block));
    fill(a.refrac_t, period_.at());
    C* period = period_.at();
    for (int64_t i = 0; i < count; ++i) period[i] = period[i] == C(0) ? C(-0.0) : period[i];
  }

  void load_state(const void* voltage, const void* refrac, const void* adaptation, const StepPlace<C>& to) {
    for (int64_t row = 0; row < rows; ++row) {
      load_row<T>(voltage, place(row), count, to.voltage_in + row * width);
      load_row<T>(refrac, place(row), count, this->refrac(row));
    }
    for (int64_t k = 0; k < a.kinds; ++k)
      for (int64_t i = 0; i < count; ++i)
        to.adaptation_in[k * width + i] = load(static_cast<const T*>(adaptation)[(at_ + i) * a.kinds + k]);
  }

  // `sink` has the row that the codes of a sample are written to, which are as it `traces` or not, and is told when
  // they are.
  template <class Sink>
  void step(int64_t t, const StepPlace<C>& at, Sink& sink) {
    for (int64_t k = 0; k < a.kinds; ++k) {
      const C* kind = at.adaptation_in + k * width;
      for (int64_t i = 0; i < count; ++i) at.acting[i] = k ? at.acting[i] + kind[i] : kind[i];
    }
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t of = row * width;
      C* code = sink.code(row);
      const C* inputs = read_row<T>(a.inputs, t, place(row), count, inputs_.at());
      if (t + 1 < a.steps) prefetch_row<T>(a.inputs, t + 1, place(row), count);
      const StepRow<C> s{numbers, inputs, at.acting, at.voltage_in + of, at.voltage + of, refrac(row), code};
      (Sink::traces ? passes.traced_step : passes.step)(s, count);
      round_row<T>(s.voltage, count);
      round_row<T>(s.refrac, count);
      if (adapts) add_sample(row, s.voltage, code, at.adaptation_in);
      sink.done(row);
    }
    if (adapts) reduce(at.adaptation);
    if (!adapts && at.adaptation != at.adaptation_in) std::copy_n(at.adaptation_in, a.kinds * width, at.adaptation);
  }

  // The constants of one adaptation.
  void constants_of(int64_t kind, C* own) const {
    for (int c = 0; c < info.adaptation_constants; ++c) own[c] = static_cast<const C*>(a.constants)[c * a.kinds + kind];
  }

 private:
  int64_t at_ = 0;
  Scratch<C> parameters_, period_, refrac_, inputs_, sums_;
  const C* rest_v_;

  void fill(const Coefficient& c, C* to) const {
    for (int64_t i = 0; i < count; ++i)
      to[i] = c.data ? static_cast<const C*>(c.data)[(at_ + i) / c.inner % c.size] : C(c.value);
  }

  C* sum(int64_t kind, int64_t lane) { return sums_.at((kind * lanes + lane) * width); }

  void add_sample(int64_t row, const C* voltage, const C* code, const C* adaptation) {
    for (int64_t k = 0; k < a.kinds; ++k) {
      C own[max_adaptation_constants];
      constants_of(k, own);
      laws.add({voltage, rest_v_, code, refrac(row), a.refrac_lock}, count, own, adaptation + k * width, row < lanes,
               sum(k, row % lanes));
    }
  }

  void reduce(C* adaptation) {
    for (int64_t k = 0; k < a.kinds; ++k) {
      lanes_pass(sum(k, 0), width, a.batch, count);
      const C* whole = sum(k, 0);
      const bool mean = a.reduction == BatchReduction::mean && a.batch > 1;
      for (int64_t i = 0; i < count; ++i) adaptation[k * width + i] = mean ? whole[i] / C(a.batch) : whole[i];
      round_row<T>(adaptation + k * width, count);
    }
  }
};

}  // namespace inferno
