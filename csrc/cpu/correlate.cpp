// Correlations of the two sides of synapses. The side with fewer values that are not 0 leads: where the inputs are
// spikes and the outputs are not, lists of the spikes of every input at every age; otherwise a list of the values of an
// output. Sums run over batch and places in ascending order either way.
#include "cpu/correlate_spikes.h"

namespace inferno {
namespace {

constexpr int64_t packed_bytes = 160 << 10;

template <class P>
int64_t count_values(const CorrelateArgs& a, const Span& filters) {
  int64_t count = 0;
  for (int64_t b = 0; b < a.batch; ++b)
    for (int64_t f = filters.begin; f < filters.end; ++f)
      count += sample_value<P, Factor<P>>(static_cast<const P*>(a.post)[b * a.post_batch + f * a.post_filter], 1) != 0;
  return count;
}

// Many values that each look into a ring: tiles of it are copied, so that the samples of an input lie together.
template <class P, class H, class T, class Slot>
void from_packed(const CorrelateArgs& a, const Span& channels, const Span& filters) {
  const int64_t length = a.slots * a.batch;
  const int64_t tile = std::max(packed_bytes / int64_t(sizeof(H)) / length, int64_t(4));
  std::vector<H> packed(std::min(tile, channels.size()) * length);
  CorrelateArgs copy = a;
  copy.pre_slot = a.batch;
  copy.pre_batch = 1;
  copy.pre_channel = length;
  for (int64_t begin = channels.begin; begin < channels.end; begin += tile) {
    const int64_t end = std::min(begin + tile, channels.end);
    for (int64_t line = 0; line < length; ++line) {
      const H* from = static_cast<const H*>(a.pre) + line / a.batch * a.pre_slot + line % a.batch * a.pre_batch;
      for (int64_t c = begin; c < end; ++c) packed[(c - begin) * length + line] = from[c * a.pre_channel];
    }
    copy.pre = packed.data();
    FromPosts<P, H, T, Slot>(copy, begin).run({begin, end}, filters);
  }
}

constexpr int64_t fewest_samples = 4;  // to a value, for the values to be listed

template <class P, class H, class T, class Slot>
void from_posts(const CorrelateArgs& a, const Span& channels, const Span& filters) {
  const bool looks_up = a.slot && !a.direct && !is_image(a);
  if (looks_up && count_values<P>(a, filters) > 2 * a.slots * a.batch) {
    using Listed = FromLeads<P, H, T, Slot>;
    if (Listed::takes(a) && Listed(a).run(channels, filters, fewest_samples)) return;
    if (a.pre_batch != 1) return from_packed<P, H, T, Slot>(a, channels, filters);
  }
  FromPosts<P, H, T, Slot>(a).run(channels, filters);
}

template <class T, class Slot>
void from_spikes(const CorrelateArgs& a, const Span& channels, const Span& filters) {
  using Listed = FromLeads<T, Bool, T, Slot>;
  if (FromWords<T, Slot>::takes(a))
    FromWords<T, Slot>(a).run(channels, filters);
  else if (Listed::takes(a))
    Listed(a).run(channels, filters);
  else
    FromSpikes<T, Slot>(a).run(channels, filters);
}

template <class T, class Slot>
void correlate(const CorrelateArgs& a, const Span& channels, const Span& filters) {
  if (a.bool_pre && !a.bool_post) return from_spikes<T, Slot>(a, channels, filters);
  if (a.bool_pre) return from_posts<Bool, Bool, T, Slot>(a, channels, filters);
  a.bool_post ? from_posts<Bool, T, T, Slot>(a, channels, filters) : from_posts<T, T, T, Slot>(a, channels, filters);
}

}  // namespace

void correlate_cpu(const CorrelateArgs& a, const Span& channels, const Span& filters) {
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    a.byte_slots ? correlate<T, uint8_t>(a, channels, filters) : correlate<T, int32_t>(a, channels, filters);
  });
}

}  // namespace inferno
