#include <algorithm>
#include <type_traits>
#include <vector>

#include "core/args.h"
#include "core/neuron_models.h"
#include "cpu/clones.h"

namespace inferno {
namespace {

// Neurons side by side in one sample, in the compute type.
template <class C>
struct Row {
  const C *voltage_in, *refrac_in, *inputs;
  C *voltage, *refrac;
  uint8_t* spikes;
};

// Takes a row one step on. `adaptation` is what acts on each neuron; unused by models without.
template <class Model, bool Lock, class C>
INFERNO_HD void step_row(const NeuronArgs& a, const Row<C>& row, int64_t count, const C* adaptation) {
  const Model model = model_from<Model, C>(a.parameters);
  const Refractory<C> waits = refractory<C>(a);
  const Row<C> s = row;
  // Outputs may be the inputs, element for element: no iteration reads what another writes.
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) {
    C v = s.voltage_in[i], r = s.refrac_in[i];
    const C acting = Model::Adaptation::constants ? adaptation[i] : C(0);
    s.spikes[i] = uint8_t(neuron_step<Lock>(v, r, s.inputs[i], acting, model, waits));
    s.voltage[i] = v;
    s.refrac[i] = r;
  }
}

// Adds the adaptations of one kind, as they are after a row's step, to a partial sum of the batch, or begins it.
template <class Model, class C>
INFERNO_HD void add_row(const NeuronArgs& a, const Row<C>& row, int64_t count, int64_t kind, const C* now, bool first,
                        C* sum) {
  using Law = typename Model::Adaptation;
  if constexpr (Law::constants > 0) {
    const Model model = model_from<Model, C>(a.parameters);
    C own[Law::constants];
    for (int c = 0; c < Law::constants; ++c) own[c] = static_cast<const C*>(a.constants)[c * a.kinds + kind];
    const int32_t lock = int32_t(a.refrac_lock);
    const Row<C> s = row;
#pragma GCC ivdep
    for (int64_t i = 0; i < count; ++i) {
      const int32_t hold = lock & int32_t(s.refrac[i] > C(0));
      const C value = Law::update(now[i], hold, int32_t(s.spikes[i]), s.voltage[i] - model.rest_v, own);
      sum[i] = first ? value : sum[i] + value;
    }
  }
}

// Clones cannot be templates.
#define INFERNO_ROWS(M, C)                                                                                           \
  INFERNO_CLONES void step_row_##M(const NeuronArgs& a, const Row<C>& row, int64_t count, const C* adaptation) {     \
    a.refrac_lock ? step_row<M<C>, true>(a, row, count, adaptation)                                                  \
                  : step_row<M<C>, false>(a, row, count, adaptation);                                                \
  }                                                                                                                  \
  INFERNO_CLONES void add_row_##M(const NeuronArgs& a, const Row<C>& row, int64_t count, int64_t kind, const C* now, \
                                  bool first, C* sum) {                                                              \
    add_row<M<C>>(a, row, count, kind, now, first, sum);                                                             \
  }
#define INFERNO_ENTRY(M) INFERNO_ROWS(M, float) INFERNO_ROWS(M, double)
INFERNO_NEURON_MODELS(INFERNO_ENTRY)
#undef INFERNO_ENTRY
#undef INFERNO_ROWS

template <class C>
struct Rows {
  void (*step)(const NeuronArgs&, const Row<C>&, int64_t, const C*);
  void (*add)(const NeuronArgs&, const Row<C>&, int64_t, int64_t, const C*, bool, C*);
};

template <class C>
constexpr Rows<C> rows_of[] = {
#define INFERNO_ENTRY(M) {step_row_##M, add_row_##M},
    INFERNO_NEURON_MODELS(INFERNO_ENTRY)
#undef INFERNO_ENTRY
};

// Neurons handled together: their adaptations and the partial sums of the batch stay in the cache.
constexpr int64_t block = 256;

// Rows of tensors in the compute type as they are; of others, copies of at most a block.
template <class T>
class RowAt {
  using C = Compute<T>;
  static constexpr bool direct = std::is_same_v<T, C>;

 public:
  static constexpr int64_t longest = direct ? INT64_MAX : block;

  RowAt(const NeuronArgs& a, int64_t at, int64_t count)
      : count_(count), voltage_(static_cast<T*>(a.voltage) + at), refrac_(static_cast<T*>(a.refrac) + at) {
    const T* voltage_in = static_cast<const T*>(a.voltage_in) + at;
    const T* refrac_in = static_cast<const T*>(a.refrac_in) + at;
    const T* inputs = static_cast<const T*>(a.inputs) + at;
    if constexpr (direct) {
      row = {voltage_in, refrac_in, inputs, voltage_, refrac_, a.spikes + at};
    } else {
      for (int64_t i = 0; i < count; ++i) buffers_[0][i] = load(voltage_in[i]);
      for (int64_t i = 0; i < count; ++i) buffers_[1][i] = load(refrac_in[i]);
      for (int64_t i = 0; i < count; ++i) buffers_[2][i] = load(inputs[i]);
      row = {buffers_[0], buffers_[1], buffers_[2], buffers_[0], buffers_[1], a.spikes + at};
    }
  }

  // Stores what a step has made; the row then holds the values as they were rounded.
  void store_step() {
    if constexpr (!direct) {
      for (int64_t i = 0; i < count_; ++i) row.voltage[i] = load(voltage_[i] = store<T>(row.voltage[i]));
      for (int64_t i = 0; i < count_; ++i) row.refrac[i] = load(refrac_[i] = store<T>(row.refrac[i]));
    }
  }

  Row<C> row;

 private:
  int64_t count_;
  T *voltage_, *refrac_;
  C buffers_[3][direct ? 1 : block];
};

// The adaptations of a block of neurons.
template <class T>
struct Adaptations {
  using C = Compute<T>;
  const NeuronArgs& a;
  int64_t lanes;        // 0 if they stay as they are
  std::vector<C> now;   // [kinds, block]
  std::vector<C> sums;  // [kinds, lanes, block]
  C total[block];       // over the kinds

  explicit Adaptations(const NeuronArgs& args)
      : a(args),
        lanes(a.reduction == BatchReduction::none ? 0 : batch_lanes(a.batch)),
        now(a.kinds * block),
        sums(a.kinds * lanes * block) {}

  C* sum(int64_t kind, int64_t lane) { return sums.data() + (kind * lanes + lane) * block; }

  void load_block(int64_t at, int64_t count) {
    const T* from = static_cast<const T*>(a.adaptation_in) + at * a.kinds;
    for (int64_t k = 0; k < a.kinds; ++k) {
      C* kind = now.data() + k * block;
      for (int64_t i = 0; i < count; ++i) kind[i] = load(from[i * a.kinds + k]);
      for (int64_t i = 0; i < count; ++i) total[i] = k ? total[i] + kind[i] : kind[i];
    }
  }

  void add(const Rows<C>& rows, const Row<C>& row, int64_t count, int64_t sample) {
    for (int64_t k = 0; lanes && k < a.kinds; ++k)
      rows.add(a, row, count, k, now.data() + k * block, sample < lanes, sum(k, sample % lanes));
  }

  void store_block(int64_t at, int64_t count) {
    T* to = static_cast<T*>(a.adaptation) + at * a.kinds;
    for (int64_t k = 0; lanes && k < a.kinds; ++k) {
      for (int64_t filled = std::min(a.batch, lanes), half = lanes / 2; half > 0; filled = half, half /= 2)
        for (int64_t lane = half; lane < filled; ++lane) {
          const C* upper = sum(k, lane);
          C* lower = sum(k, lane - half);
          for (int64_t i = 0; i < count; ++i) lower[i] = lower[i] + upper[i];
        }
      C* whole = sum(k, 0);
      if (a.reduction == BatchReduction::mean && a.batch > 1)
        for (int64_t i = 0; i < count; ++i) whole[i] = whole[i] / C(a.batch);
      for (int64_t i = 0; i < count; ++i) to[i * a.kinds + k] = store<T>(whole[i]);
    }
  }
};

template <class T>
void step(const NeuronArgs& a, int64_t begin, int64_t end) {
  const Rows<Compute<T>>& rows = rows_of<Compute<T>>[int(a.model)];
  for (int64_t i = begin, count; i < end; i += count) {
    count = std::min(RowAt<T>::longest, end - i);
    RowAt<T> at(a, i, count);
    rows.step(a, at.row, count, nullptr);
    at.store_step();
  }
}

template <class T>
void adaptive_step(const NeuronArgs& a, int64_t begin, int64_t end) {
  const Rows<Compute<T>>& rows = rows_of<Compute<T>>[int(a.model)];
  Adaptations<T> adaptations(a);
  for (int64_t i = begin; i < end; i += block) {
    const int64_t count = std::min(block, end - i);
    adaptations.load_block(i, count);
    for (int64_t b = 0; b < a.batch; ++b) {
      RowAt<T> at(a, b * a.count + i, count);
      rows.step(a, at.row, count, adaptations.total);
      at.store_step();
      adaptations.add(rows, at.row, count, b);
    }
    adaptations.store_block(i, count);
  }
}

}  // namespace

void neuron_step_cpu(const NeuronArgs& a, int64_t begin, int64_t end) {
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    a.kinds ? adaptive_step<T>(a, begin, end) : step<T>(a, begin, end);
  });
}

}  // namespace inferno
