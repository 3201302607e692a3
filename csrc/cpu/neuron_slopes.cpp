#include "core/neuron_slopes.h"

#include "cpu/neuron_block.h"

namespace inferno {
namespace {

// Takes blocks of neurons through a sequence, and every step back alone: from each of its results.
template <class T>
class Slopes {
 public:
  using C = Compute<T>;

  explicit Slopes(const NeuronSlopesArgs& args)
      : g(args),
        block_(args.run, args.detach_reset),
        rows_(block_.rows * block_.width),
        voltage_in_(rows_),
        voltage_(rows_),
        reached_(rows_),
        above_(rows_),
        adaptation_(args.run.kinds * block_.width),
        acting_(block_.width),
        row_(5 * block_.width) {
    std::fill_n(row(zeros), block_.width, C(0));
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
    const int64_t of = sample * block_.width;
    surrogate_pass(g.surrogate, g.scale, row(codes), at_.above + of, block_.count);
    back(sample, zeros, ones, voltage_by_voltage, voltage_by_input);
    back(sample, ones, zeros, spike_by_voltage, spike_by_input);
  }

 private:
  enum Row { zeros, ones, codes, inputs, of_acting };

  const NeuronSlopesArgs& g;
  NeuronBlock<T> block_;
  const int64_t rows_;
  Scratch<C> voltage_in_, voltage_, reached_, above_, adaptation_, acting_, row_;
  const StepPlace<C> at_{voltage_in_.at(), voltage_.at(),    reached_.at(),    above_.at(),
                         nullptr,          adaptation_.at(), adaptation_.at(), acting_.at()};
  int64_t step_ = 0;

  C* row(Row name) { return row_.at(name * block_.width); }

  void back(int64_t sample, Row of_spike, Row of_result, NeuronSlope by_voltage, NeuronSlope by_input) {
    const int64_t of = sample * block_.width, count = block_.count;
    const int64_t to = step_ * block_.items() + block_.place(sample);
    C* voltages = static_cast<C*>(g.slopes[by_voltage]) + to;
    std::copy_n(row(of_result), count, voltages);
    block_.passes.adjoint({block_.numbers, read_row<T>(g.run.inputs, step_, block_.place(sample), count, row(inputs)),
                           at_.acting, at_.voltage_in + of, at_.reached + of, at_.above + of, row(codes), row(of_spike),
                           row(zeros), voltages, static_cast<C*>(g.slopes[by_input]) + to, row(of_acting)},
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
