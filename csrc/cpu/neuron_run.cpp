#include "core/args.h"
#include "cpu/neuron_block.h"

namespace inferno {
namespace {

// Takes blocks of neurons through a sequence, and writes what their steps make.
template <class T>
class Run {
 public:
  using C = Compute<T>;
  static constexpr bool traces = false;

  explicit Run(const NeuronRunArgs& args)
      : a(args),
        block_(args, false),
        codes_(block_.width),
        voltage_(block_.rows * block_.width),
        adaptation_(args.kinds * block_.width),
        acting_(block_.width) {}

  int64_t width() const { return block_.width; }

  void block(int64_t begin, int64_t count) {
    const StepPlace<C> at{voltage_.at(), voltage_.at(), adaptation_.at(), adaptation_.at(), acting_.at()};
    block_.begin(begin, count);
    block_.load_state(a.voltage_in, a.refrac_in, a.adaptation_in, at);
    for (int64_t t = 0; t < a.steps; ++t) {
      step_ = t * block_.items();
      block_.step(t, at, *this);
      const int64_t marks = (t + 1) / a.interval;
      if ((t + 1) % a.interval == 0 && t + 1 < a.steps && a.voltage_marks)
        store_state(a.voltage_marks, a.refrac_marks, a.adaptation_marks, begin, marks - 1);
    }
    store_state(a.voltage, a.refrac, a.adaptation, begin, 0);
  }

  C* code(int64_t row) {
    if constexpr (std::is_same_v<T, C>) {
      if (!a.bool_spikes) {
        C* spikes = static_cast<C*>(a.spikes) + step_ + block_.place(row);
        if (step_ < last_) prefetch_row<true>(spikes + block_.items(), block_.count * int64_t(sizeof(C)));
        return spikes;
      }
    }
    return codes_.at();
  }

  void done(int64_t row) {
    const int64_t at = step_ + block_.place(row), count = block_.count;
    if (a.bool_spikes) {
      const C* codes = codes_.at();
      uint8_t* spikes = static_cast<uint8_t*>(a.spikes) + at;
      for (int64_t i = 0; i < count; ++i) spikes[i] = uint8_t(codes[i] > C(0));
    } else if (!std::is_same_v<T, C>) {
      store_row<T>(codes_.at(), a.spikes, at, count);
    }
    store_row<T>(voltage_.at(row * block_.width), a.voltages, at, count);
    store_row<T>(block_.refrac(row), a.refracs, at, count);
  }

 private:
  const NeuronRunArgs& a;
  NeuronBlock<T> block_;
  Scratch<C> codes_, voltage_, adaptation_, acting_;
  int64_t step_ = 0;  // where the results of the step begin
  const int64_t last_ = (a.steps - 1) * block_.items();

  // To place `number` of what may hold the state at several times.
  void store_state(void* voltage, void* refrac, void* adaptation, int64_t begin, int64_t number) {
    const int64_t count = block_.count, first = number * block_.items();
    for (int64_t row = 0; row < block_.rows; ++row) {
      store_row<T>(voltage_.at(row * block_.width), voltage, first + block_.place(row), count);
      store_row<T>(block_.refrac(row), refrac, first + block_.place(row), count);
    }
    T* to = static_cast<T*>(adaptation) + (number * a.count + begin) * a.kinds;
    for (int64_t k = 0; k < a.kinds; ++k)
      for (int64_t i = 0; i < count; ++i) to[i * a.kinds + k] = store<T>(adaptation_.at(k * block_.width)[i]);
  }
};

}  // namespace

void neuron_run_cpu(const NeuronRunArgs& a, int64_t begin, int64_t end) {
  dispatch_floating(a.type, [&](auto scalar) {
    Run<decltype(scalar)> run(a);
    for (int64_t i = begin; i < end; i += run.width()) run.block(i, std::min(run.width(), end - i));
  });
}

}  // namespace inferno
