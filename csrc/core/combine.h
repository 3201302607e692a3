// What joins the parts of a layer, element by element.
#pragma once
#include <type_traits>

#include "core/scalar.h"

namespace inferno {

enum class Combination : int32_t { sum, difference, product, blend };

struct CombineArgs {
  Combination how;
  Scalar type;
  int64_t batch, count;
  const void* a;     // [batch, count]
  const void* b;     // [batch, count]; of a product [count], the same for every sample
  const void* bias;  // [count], added to a product; or null
  // Of a blend: what a and b are multiplied by before they are added, [batch, count].
  const void *of_a, *of_b;
  void* out;  // [batch, count]
};

void combine_cpu(const CombineArgs& args, int64_t begin, int64_t end);  // elements of a sample
void combine_cuda(const CombineArgs& args, void* stream);

template <Combination how, class T>
INFERNO_HD void combine_element(const CombineArgs& args, int64_t sample, int64_t element) {
  using C = Compute<T>;
  const int64_t at = sample * args.count + element;
  const C a = load(static_cast<const T*>(args.a)[at]);
  const C b = load(static_cast<const T*>(args.b)[how == Combination::product ? element : at]);
  C c;
  if constexpr (how == Combination::sum)
    c = a + b;
  else if constexpr (how == Combination::difference)
    c = a - b;
  else if constexpr (how == Combination::blend)
    c = a * load(static_cast<const T*>(args.of_a)[at]) + b * load(static_cast<const T*>(args.of_b)[at]);
  else
    c = args.bias ? a * b + load(static_cast<const T*>(args.bias)[element]) : a * b;
  static_cast<T*>(args.out)[at] = store<T>(c);
}

// Calls f with a constant of the combination.
template <class F>
void dispatch_combination(Combination how, F&& f) {
  switch (how) {
    case Combination::sum:
      return f(std::integral_constant<Combination, Combination::sum>{});
    case Combination::difference:
      return f(std::integral_constant<Combination, Combination::difference>{});
    case Combination::product:
      return f(std::integral_constant<Combination, Combination::product>{});
    case Combination::blend:
      return f(std::integral_constant<Combination, Combination::blend>{});
  }
}

}  // namespace inferno
