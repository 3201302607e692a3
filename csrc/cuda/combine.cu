#include "core/combine.h"

#include "cuda/launch.h"

namespace inferno {
namespace {

constexpr int threads = 256;

template <Combination how, class T>
__global__ void __launch_bounds__(threads) combine_kernel(CombineArgs args) {
  for (int64_t i = INFERNO_FIRST_ITEM; i < args.batch * args.count; i += INFERNO_ITEM_STRIDE)
    combine_element<how, T>(args, i / args.count, i % args.count);
}

}  // namespace

void combine_cuda(const CombineArgs& args, void* stream) {
  const int64_t elements = args.batch * args.count;
  if (elements == 0) return;
  dispatch_floating(args.type, [&](auto scalar) {
    using T = decltype(scalar);
    dispatch_combination(args.how, [&](auto how) {
      launch(combine_kernel<decltype(how)::value, T>, grid_for(elements, threads), dim3(threads), 0, stream, args);
    });
  });
}

}  // namespace inferno
