// What joins the parts of a layer: worked numbers, and the CPU loops and the emulated kernels bit for bit alike.
#include "check.h"
#include "core/combine.h"
#include "cuda_emu.h"

using namespace inferno;

namespace {

template <class T>
struct Parts {
  int64_t batch, count;
  std::vector<T> a, b, bias;

  std::vector<T> run(Combination how, bool biased, void (*combine)(const CombineArgs&)) const {
    std::vector<T> out(a.size());
    combine({how, scalar_of<T>(), batch, count, a.data(), b.data(), biased ? bias.data() : nullptr, b.data(), a.data(),
             out.data()});
    return out;
  }
};

void on_cpu(const CombineArgs& args) {
  combine_cpu(args, 0, args.count / 2);
  combine_cpu(args, args.count / 2, args.count);
}

void on_kernel(const CombineArgs& args) { combine_cuda(args, nullptr); }

template <class T>
std::vector<T> stored(const std::vector<double>& values) {
  std::vector<T> out;
  for (const double x : values) out.push_back(store<T>(Compute<T>(x)));
  return out;
}

template <class T>
void worked_numbers() {
  const Parts<T> parts{2, 2, stored<T>({1, -2, 3, 0}), stored<T>({4, 2, 0.5, 8}), stored<T>({1, 10})};
  for (const auto combine : {on_cpu, on_kernel}) {
    CHECK(same_bits(parts.run(Combination::sum, false, combine), stored<T>({5, 0, 3.5, 8})));
    CHECK(same_bits(parts.run(Combination::difference, false, combine), stored<T>({-3, -4, 2.5, -8})));
    // a product with one weight for each element of a sample
    CHECK(same_bits(parts.run(Combination::product, false, combine), stored<T>({4, -4, 12, 0})));
    CHECK(same_bits(parts.run(Combination::product, true, combine), stored<T>({5, 6, 13, 10})));
    // each times the other, and added
    CHECK(same_bits(parts.run(Combination::blend, false, combine), stored<T>({8, -8, 3, 0})));
  }
}

template <class T>
void all_alike() {
  Random random(7);
  for (const int64_t batch : {1, 3})
    for (const int64_t count : {1, 5, 300}) {
      const auto values = [&](int64_t size) { return random.values<T>(size, -3, 3); };
      const Parts<T> parts{batch, count, values(batch * count), values(batch * count), values(count)};
      for (const auto how : {Combination::sum, Combination::difference, Combination::product, Combination::blend})
        for (const bool biased : {false, how == Combination::product})
          CHECK(same_bits(parts.run(how, biased, on_cpu), parts.run(how, biased, on_kernel)));
    }
}

}  // namespace

int main() {
  for_each_type([](auto scalar) {
    worked_numbers<decltype(scalar)>();
    all_alike<decltype(scalar)>();
  });
  return failed_checks;
}
