#include "core/combine.h"

namespace inferno {

void combine_cpu(const CombineArgs& args, int64_t begin, int64_t end) {
  dispatch_floating(args.type, [&](auto scalar) {
    using T = decltype(scalar);
    dispatch_combination(args.how, [&](auto how) {
      for (int64_t sample = 0; sample < args.batch; ++sample)
        for (int64_t element = begin; element < end; ++element)
          combine_element<decltype(how)::value, T>(args, sample, element);
    });
  });
}

}  // namespace inferno
