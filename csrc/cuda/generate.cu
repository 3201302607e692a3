#include "core/generate.h"

#include "core/draw.h"
#include "cuda/launch.h"

namespace inferno {
namespace {

constexpr int threads = 256;

__global__ void __launch_bounds__(threads) connect_kernel(ConnectArgs args, Shuffle shuffle, int64_t count) {
  for (int64_t i = INFERNO_FIRST_ITEM; i < count; i += INFERNO_ITEM_STRIDE) {
    const int64_t k = args.first + i;
    const Place place = place_of(args, shuffle, uint64_t(k));
    args.row[i] = int32_t(place.row);
    args.column[i] = int32_t(past_autapse(args, place));
    args.index[i] = k;
  }
}

__global__ void __launch_bounds__(threads) bernoulli_kernel(ConnectArgs args, int64_t count) {
  for (int64_t i = INFERNO_FIRST_ITEM; i < count; i += INFERNO_ITEM_STRIDE)
    args.kept[i] = is_kept(args, uint64_t(args.first + i));
}

template <class T>
__global__ void __launch_bounds__(threads) draw_kernel(DrawArgs args) {
  for (int64_t i = INFERNO_FIRST_ITEM; i < args.count; i += INFERNO_ITEM_STRIDE)
    static_cast<T*>(args.out)[i] = T(drawn(args, args.index[i]));
}

}  // namespace

void connect_cuda(const ConnectArgs& args, int64_t count, void* stream) {
  if (count == 0) return;
  launch(connect_kernel, grid_for(count, threads), dim3(threads), 0, stream, args, shuffle_for(args), count);
}

void bernoulli_cuda(const ConnectArgs& args, int64_t count, void* stream) {
  if (count == 0) return;
  launch(bernoulli_kernel, grid_for(count, threads), dim3(threads), 0, stream, args, count);
}

void draw_cuda(const DrawArgs& args, void* stream) {
  if (args.count == 0) return;
  const auto kernel = args.type == Scalar::f64 ? draw_kernel<double> : draw_kernel<float>;
  launch(kernel, grid_for(args.count, threads), dim3(threads), 0, stream, args);
}

}  // namespace inferno
