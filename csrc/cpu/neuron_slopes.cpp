#include "core/neuron_slopes.h"

#include "cpu/neuron_block.h"

namespace inferno {
namespace {

// Takes blocks of neurons through a sequence, and every step back alone: from each of its results.
template <class T>
class Slopes {
 public:
  using C = Compute<T>;
  static constexpr bool traces = true;

  explicit Slopes(const NeuronSlopesArgs& args)
      : g(args),
        block_(args.run, args.detach_reset),
        rows_(block_.rows * block_.width),
        voltage_in_(rows_),
        voltage_(rows_),
        adaptation_(args.run.kinds * block_.width),
        acting_(block_.width),
        row_(row_names * block_.width) {
    for (const Row name : {zeros, sum_of_moving, sum_of_acting}) std::fill_n(row(name), block_.width, C(0));
    std::fill_n(row(ones), block_.width, C(1));
  }

  int64_t width() const { return block_.width; }

  void block(int64_t begin, int64_t count) {
    const NeuronRunArgs& a = g.run;
    block_.begin(begin, count);
    block_.load_state(a.voltage_in, a.refrac_in, a.adaptation_in, at_);
    for (step_ = 0; step_ < a.steps; ++step_) {
      block_.step(step_, at_, *this);
      std::copy_n(at_.voltage, rows_, at_.voltage_in);
    }
  }

  C* code(int64_t) { return row(codes); }

  void done(int64_t sample) {
    const int64_t count = block_.count;
    const C* input = read_row<T>(g.run.inputs, step_, block_.place(sample), count, row(inputs));
    block_.passes.retrace({block_.numbers, input, at_.acting, at_.voltage_in + sample * block_.width, row(codes),
                           row(reached), row(slope)},
                          count);
    surrogate_pass(g.surrogate, g.scale, row(codes), row(slope), count);
    back(sample, input, zeros, ones, voltage_by_voltage, voltage_by_input);
    back(sample, input, ones, zeros, spike_by_voltage, spike_by_input);
  }

 private:
  enum Row { zeros, ones, codes, inputs, reached, slope, sum_of_moving, sum_of_acting, row_names };

  const NeuronSlopesArgs& g;
  NeuronBlock<T> block_;
  const int64_t rows_;
  Scratch<C> voltage_in_, voltage_, adaptation_, acting_, row_;
  const StepPlace<C> at_{voltage_in_.at(), voltage_.at(), adaptation_.at(), adaptation_.at(), acting_.at()};
  int64_t step_ = 0;

  C* row(Row name) { return row_.at(name * block_.width); }

  // The sums of adaptations are not looked at: these stand still.
  void back(int64_t sample, const C* input, Row of_spike, Row of_result, NeuronSlope by_voltage, NeuronSlope by_input) {
    const int64_t to = step_ * block_.items() + block_.place(sample), count = block_.count;
    C* voltages = static_cast<C*>(g.slopes[by_voltage]) + to;
    std::copy_n(row(of_result), count, voltages);
    block_.passes.adjoint({block_.numbers, input, at_.acting, at_.voltage_in + sample * block_.width, row(codes),
                           row(reached), row(slope), row(zeros), row(of_spike), row(zeros), row(zeros), voltages,
                           static_cast<C*>(g.slopes[by_input]) + to, row(sum_of_moving), row(sum_of_acting)},
                          count);
  }
};

}  // namespace

void neuron_slopes_cpu(const NeuronSlopesArgs& args, int64_t begin, int64_t end) {
  dispatch_floating(args.run.type, [&](auto scalar) {
    Slopes<decltype(scalar)> slopes(args);
    for (int64_t i = begin; i < end; i += slopes.width()) slopes.block(i, std::min(slopes.width(), end - i));
  });
}

}  // namespace inferno
