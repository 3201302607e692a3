#include "core/args.h"
#include "cpu/neuron_block.h"

namespace inferno {
namespace {

// Takes the gradients of blocks of neurons back through a sequence. The steps between two marks are run again, of which
// voltages and codes stay in the cache, and then gone through in reverse.
template <class T>
class Backward {
 public:
  using C = Compute<T>;
  static constexpr bool traces = true;

  explicit Backward(const NeuronRunBackwardArgs& args)
      : g(args),
        a(args.run),
        block_(args.run, args.detach_reset),
        width_(block_.width),
        rows_(block_.rows * block_.width),
        longest_(std::min(std::max(a.steps, int64_t(1)), a.interval)),
        parameters_(block_.info.parameter_count * neuron_block),
        adaptations_(a.kinds * width_),
        voltages_((longest_ + 1) * rows_),
        codes_(longest_ * rows_),
        adaptation_((longest_ + 1) * adaptations_),
        acting_(longest_ * width_),
        of_voltage_(rows_),
        of_adaptation_(adaptations_),
        of_constants_(g.constants ? block_.info.adaptation_constants * adaptations_ : 0),
        of_parameters_(learns() ? block_.rows * parameters_ : 0),
        row_(row_names * width_),
        sums_((2 + 2 * block_.lanes) * width_) {}

  int64_t width() const { return width_; }

  void block(int64_t begin, int64_t count) {
    block_.begin(begin, count);
    begin_ = begin;
    load_gradients();
    for (int64_t first = a.steps ? (a.steps - 1) / a.interval * a.interval : -1; first >= 0; first -= a.interval) {
      const int64_t steps = std::min(a.interval, a.steps - first);
      trace(first, steps);
      for (int64_t k = steps - 1; k >= 0; --k) back(first + k, k);
    }
    store_gradients();
  }

  C* code(int64_t sample) { return place_.code + sample * width_; }
  void done(int64_t sample) {
    if (block_.adapts) mark_held_pass(block_.refrac(sample), a.refrac_lock, code(sample), block_.count);
  }

 private:
  // Rows of one step, each of a temporary.
  enum Row {
    zeros,
    inputs,
    of_spikes,
    of_step_voltages,
    of_current,
    pull_of_spike,
    pull_of_above_rest,
    code_row,
    reached,
    slope,
    moving,
    row_names
  };
  struct Place {
    StepPlace<C> at;
    C* code;
  };

  const NeuronRunBackwardArgs& g;
  const NeuronRunArgs& a;
  NeuronBlock<T> block_;
  const int64_t width_, rows_, longest_, parameters_, adaptations_;
  Scratch<C> voltages_, codes_, adaptation_, acting_;  // of the steps between two marks
  Scratch<C> of_voltage_, of_adaptation_, of_constants_, of_parameters_;
  Scratch<C> row_, sums_;
  Place place_{};
  int64_t begin_ = 0;

  bool learns() const {
    return std::any_of(g.parameters, g.parameters + block_.info.parameter_count, [](void* p) { return p; });
  }
  C* row(Row name) { return row_.at(name * width_); }

  Place place_of_step(int64_t k) {
    return {{voltages_.at(k * rows_), voltages_.at((k + 1) * rows_), adaptation_.at(k * adaptations_),
             adaptation_.at((k + 1) * adaptations_), acting_.at(k * width_)},
            codes_.at(k * rows_)};
  }

  // Over the samples: two counts, and the partial sums of what is summed in the order of batch_lanes().
  SampleRows<C> sums(int64_t lane = 0) {
    return {sums_.at(), sums_.at(width_), sums_.at((2 + lane) * width_), sums_.at((2 + block_.lanes + lane) * width_)};
  }

  void load_gradients() {
    for (int64_t row = 0; row < block_.rows; ++row) {
      C* to = of_voltage_.at(row * width_);
      if (g.of_voltage)
        load_row<T>(g.of_voltage, block_.place(row), block_.count, to);
      else
        std::fill_n(to, block_.count, C(0));
    }
    const T* from = static_cast<const T*>(g.of_adaptation);
    for (int64_t k = 0; k < a.kinds; ++k)
      for (int64_t i = 0; i < block_.count; ++i)
        of_adaptation_.at(k * width_)[i] = from ? load(from[(begin_ + i) * a.kinds + k]) : C(0);
    if (g.constants) std::fill_n(of_constants_.at(), block_.info.adaptation_constants * adaptations_, C(0));
    if (learns()) std::fill_n(of_parameters_.at(), block_.rows * parameters_, C(0));
    std::fill_n(row(zeros), width_, C(0));
  }

  void trace(int64_t first, int64_t steps) {
    const int64_t mark = first / a.interval - 1;  // that the steps begin at, or -1: at the state given
    const int64_t state = mark * block_.items();
    const StepPlace<C> start = place_of_step(0).at;
    if (mark < 0)
      block_.load_state(a.voltage_in, a.refrac_in, a.adaptation_in, start);
    else
      block_.load_state(static_cast<const T*>(a.voltage_marks) + state, static_cast<const T*>(a.refrac_marks) + state,
                        static_cast<const T*>(a.adaptation_marks) + mark * a.count * a.kinds, start);
    for (int64_t k = 0; k < steps; ++k) {
      place_ = place_of_step(k);
      block_.step(first + k, place_.at, *this);
    }
  }

  void back(int64_t t, int64_t k) {
    place_ = place_of_step(k);
    if (a.kinds) begin_adaptations();
    for (int64_t sample = 0; sample < block_.rows; ++sample) back_sample(t, sample);
    if (!a.kinds) return;
    lanes_pass(sums().acting, width_, a.batch, block_.count);
    if (g.constants) lanes_pass(sums().above_rest, width_, a.batch, block_.count);
    for (int64_t kind = 0; kind < a.kinds; ++kind) back_adaptation(kind);
  }

  // What the adaptations after the step make of their gradients, the same for all samples.
  void begin_adaptations() {
    std::fill_n(sums_.at(), (2 + 2 * block_.lanes) * width_, C(0));
    for (const Row name : {pull_of_spike, pull_of_above_rest, moving}) std::fill_n(row(name), block_.count, C(0));
    if (!block_.adapts) return;
    for (int64_t kind = 0; kind < a.kinds; ++kind) {
      C own[max_adaptation_constants];
      C* gradient = of_adaptation_.at(kind * width_);
      if (a.reduction == BatchReduction::mean && a.batch > 1)
        for (int64_t i = 0; i < block_.count; ++i) gradient[i] = gradient[i] / C(a.batch);
      block_.constants_of(kind, own);
      block_.laws.pull(block_.count, own, gradient, row(pull_of_spike), row(pull_of_above_rest));
    }
  }

  void back_sample(int64_t t, int64_t sample) {
    const int64_t at = block_.place(sample), count = block_.count;
    C* of_voltage = of_voltage_.at(sample * width_);
    if (g.of_voltages.data) {
      const C* more = read_row<T>(g.of_voltages, t, at, count, row(of_step_voltages));
      for (int64_t i = 0; i < count; ++i) of_voltage[i] += more[i];
    }
    prefetch_ahead(t, sample);
    const C* spikes = row(zeros);
    if (g.of_spikes.data) spikes = read_row<T>(g.of_spikes, t, at, count, row(of_spikes));
    const C* input = read_row<T>(a.inputs, t, at, count, row(inputs));
    C* current = row(of_current);
    if constexpr (std::is_same_v<T, C>)
      if (g.inputs) current = static_cast<C*>(g.inputs) + t * block_.items() + at;
    const C* code = retrace(sample, input);
    const SampleRows<C> to = sums(sample % block_.lanes);
    const AdjointRow<C> s{block_.numbers,
                          input,
                          place_.at.acting,
                          place_.at.voltage_in + sample * width_,
                          code,
                          row(reached),
                          row(slope),
                          row(moving),
                          spikes,
                          row(pull_of_spike),
                          row(pull_of_above_rest),
                          of_voltage,
                          current,
                          to.moving,
                          to.acting};
    if (learns())
      block_.passes.learning_adjoint(s, count, of_parameters_.at(sample * parameters_));
    else
      block_.passes.adjoint(s, count);
    if constexpr (!std::is_same_v<T, C>) store_row<T>(current, g.inputs, t * block_.items() + at, count);
  }

  // Takes the step of a sample once more, and what the gradients of constants need of it; returns its codes.
  const C* retrace(int64_t sample, const C* input) {
    const int64_t of = sample * width_, count = block_.count;
    const StepPlace<C>& p = place_.at;
    const C* code = place_.code + of;
    if (block_.adapts) {
      split_held_pass(code, row(code_row), row(moving), count);
      code = row(code_row);
    }
    block_.passes.retrace({block_.numbers, input, p.acting, p.voltage_in + of, code, row(reached), row(slope)}, count);
    surrogate_pass(g.surrogate, g.scale, code, row(slope), count);
    if (g.constants && block_.adapts) {
      const SampleRows<C> to = sums(sample % block_.lanes);
      count_pass(code, row(moving), p.voltage + of, block_.rest_v(), to.fired, to.above_rest, count);
    }
    return code;
  }

  // Asks for what comes some rows later.
  void prefetch_ahead(int64_t t, int64_t sample) {
    const int64_t later = sample + block_.look_ahead;
    t -= later / block_.rows;
    if (t < 0) return;
    const int64_t at = block_.place(later % block_.rows);
    prefetch_row<T>(a.inputs, t, at, block_.count);
    if (g.of_spikes.data) prefetch_row<T>(g.of_spikes, t, at, block_.count);
    if (g.inputs)
      prefetch_row<true>(static_cast<T*>(g.inputs) + t * block_.items() + at, block_.count * int64_t(sizeof(T)));
  }

  void back_adaptation(int64_t kind) {
    C* gradient = of_adaptation_.at(kind * width_);
    const SampleRows<C> sum = sums();
    if (!block_.adapts) {
      for (int64_t i = 0; i < block_.count; ++i) gradient[i] += sum.acting[i];
      return;
    }
    C own[max_adaptation_constants];
    block_.constants_of(kind, own);
    C* of_constants = g.constants ? of_constants_.at(kind * width_) : nullptr;
    block_.laws.back(sum, block_.count, a.batch, own, place_.at.adaptation_in + kind * width_, gradient, of_constants,
                     adaptations_);
  }

  void store_gradients() {
    const int64_t count = block_.count;
    for (int64_t row = 0; row < block_.rows; ++row) {
      store_row<T>(of_voltage_.at(row * width_), g.voltage, block_.place(row), count);
      for (int p = 0; p < block_.info.parameter_count; ++p)
        if (g.parameters[p])
          store_row<C>(of_parameters_.at(row * parameters_ + p * neuron_block), g.parameters[p], block_.place(row),
                       count);
    }
    T* to = static_cast<T*>(g.adaptation);
    for (int64_t k = 0; to && k < a.kinds; ++k)
      for (int64_t i = 0; i < count; ++i) to[(begin_ + i) * a.kinds + k] = store<T>(of_adaptation_.at(k * width_)[i]);
    for (int64_t c = 0; g.constants && c < block_.info.adaptation_constants * a.kinds; ++c)
      store_row<C>(of_constants_.at(c * width_), g.constants, c * a.count + begin_, count);
  }
};

}  // namespace

void neuron_run_backward_cpu(const NeuronRunBackwardArgs& a, int64_t begin, int64_t end) {
  dispatch_floating(a.run.type, [&](auto scalar) {
    Backward<decltype(scalar)> backward(a);
    for (int64_t i = begin; i < end; i += backward.width()) backward.block(i, std::min(backward.width(), end - i));
  });
}

}  // namespace inferno
