// Random words against published ones, and the CPU loops and the emulated kernels bit for bit alike.
#include <memory>

#include "check.h"
#include "core/draw.h"
#include "core/generate.h"
#include "cuda_emu.h"

using namespace inferno;

namespace {

// The known answers that Random123 publishes for Philox4x32-10.
void known_words() {
  const auto is = [](Words w, Words known) {
    return w.a == known.a && w.b == known.b && w.c == known.c && w.d == known.d;
  };
  CHECK(is(philox(0, 0, 0, 0), {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  CHECK(is(philox(~uint64_t(0), ~uint64_t(0), ~0u, ~0u), {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  CHECK(is(philox(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x13198a2e, 0x03707344),
           {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

void ends_of_ranges() {
  CHECK(uniform_of(0) == 0x1p-53 && uniform_of(~uint64_t(0)) == 1 - 0x1p-53);
  CHECK(below(0, 7) == 0 && below(~uint64_t(0), 7) == 6 && below(~uint64_t(0), 0x7fffffff) == 0x7ffffffe);
  CHECK(normal_quantile(0.5) == 0 && normal_quantile(0x1p-53) == -normal_quantile(1 - 0x1p-53));
  const int64_t table[] = {10, 20, 30};
  const uint32_t small[] = {10, 20, 30};
  for (const auto& [word, events] : {std::pair(0, 0), {9, 0}, {10, 1}, {29, 2}, {30, 3}, {99, 3}})
    CHECK(poisson_count(table, 3, word) == events && poisson_count_small(small, 3, word) == events);
}

struct Synapses {
  std::vector<int32_t> row, column;
  std::vector<int64_t> index;
  explicit Synapses(int64_t count) : row(count), column(count), index(count) {}
  ConnectArgs into(ConnectArgs a) {
    a.row = row.data();
    a.column = column.data();
    a.index = index.data();
    return a;
  }
  bool operator==(const Synapses& o) const { return row == o.row && column == o.column && index == o.index; }
};

void rules_alike() {
  for (int rule = 0; rule < int(Rule::pairwise_bernoulli); ++rule)
    for (const bool autapses : {true, false})
      for (const bool multapses : {true, false})
        for (const int64_t count : {1, 7, 513, 2000}) {
          ConnectArgs a{};
          a.rule = Rule(rule);
          a.autapses = autapses;
          a.multapses = multapses;
          a.seed = 0x8000000000000001;
          a.stream = 5;
          a.rows = 400;
          a.columns = 400 - !autapses;
          a.per_row = 33;
          a.first = 21;
          Synapses whole(count), parts(count), kernel(count);
          connect_cpu(whole.into(a), 0, count);
          connect_cpu(parts.into(a), count / 3, count);
          connect_cpu(parts.into(a), 0, count / 3);
          connect_cuda(kernel.into(a), count, nullptr);
          CHECK(whole == parts && whole == kernel);
        }
}

void pairs_alike() {
  for (const int64_t first : {0, 1, 2, 3, 4, 1023})
    for (const int64_t threshold : {int64_t(0), int64_t(1) << 30, int64_t(1) << 32}) {
      constexpr int64_t count = 5001;
      const auto whole = std::make_unique<bool[]>(count), kernel = std::make_unique<bool[]>(count);
      ConnectArgs a{};
      a.seed = 3;
      a.threshold = threshold;
      a.first = first;
      a.kept = whole.get();
      bernoulli_cpu(a, 0, 11);
      bernoulli_cpu(a, 11, count);
      a.kept = kernel.get();
      bernoulli_cuda(a, count, nullptr);
      CHECK(std::equal(whole.get(), whole.get() + count, kernel.get()));
    }
}

template <class T>
void draws_alike(Scalar type) {
  std::vector<int64_t> index(1500);
  for (size_t i = 0; i < index.size(); ++i) index[i] = int64_t(i * i * 1000003);
  for (const auto distribution : {Distribution::uniform, Distribution::normal, Distribution::lognormal})
    for (const bool redraw : {true, false}) {
      DrawArgs a{distribution, type, redraw, 7, 9, 0.1, 0.8, 0.2, 0.9, index.data(), nullptr, int64_t(index.size())};
      std::vector<T> on_cpu(index.size()), on_kernel(index.size());
      a.out = on_cpu.data();
      draw_cpu(a, 0, 700);
      draw_cpu(a, 700, a.count);
      a.out = on_kernel.data();
      draw_cuda(a, nullptr);
      CHECK(same_bits(on_cpu, on_kernel));
      for (const T x : on_cpu) CHECK(x >= T(0.2) && x <= T(0.9));
    }
}

}  // namespace

int main() {
  known_words();
  ends_of_ranges();
  rules_alike();
  pairs_alike();
  draws_alike<double>(Scalar::f64);
  draws_alike<float>(Scalar::f32);
  return failed_checks;
}
