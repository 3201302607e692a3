// AVX2 by hand: compilers do not see that products of 32 bits are enough, and take three times as long.
#include "cpu/philox_pairs.h"

#include <algorithm>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define INFERNO_AVX2 __attribute__((target("avx2")))
#endif

namespace inferno {
namespace {

void pairs_one_by_one(uint64_t seed, uint32_t stream, uint32_t attempt, const int64_t* index, int64_t count,
                      uint64_t* first, uint64_t* second) {
  for (int64_t i = 0; i < count; ++i) {
    const Words w = philox(seed, uint64_t(index[i]), stream, attempt);
    first[i] = pair_of(w.a, w.b);
    if (second) second[i] = pair_of(w.c, w.d);
  }
}

void words_one_by_one(uint64_t seed, uint32_t stream, uint32_t attempt, int64_t first, int64_t count, uint32_t* words) {
  for (int64_t i = 0; i < count; ++i) {
    const Words w = philox(seed, uint64_t(first + i), stream, attempt);
    const uint32_t four[] = {w.a, w.b, w.c, w.d};
    std::copy_n(four, 4, words + 4 * i);
  }
}

void below_one_by_one(const uint64_t* pairs, int64_t count, uint32_t limit, int32_t* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = int32_t(below(pairs[i], limit));
}

#ifdef INFERNO_AVX2
// Four indices, a word in the lower half of each lane; what is in the upper halves is never looked at.
struct FourWords {
  __m256i a, b, c, d;
};

INFERNO_AVX2 inline FourWords round_of(const FourWords& w, __m256i key_0, __m256i key_1) {
  const __m256i first = _mm256_mul_epu32(w.a, _mm256_set1_epi64x(philox_factor_0));
  const __m256i second = _mm256_mul_epu32(w.c, _mm256_set1_epi64x(philox_factor_1));
  return {_mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(second, 32), w.b), key_0), second,
          _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(first, 32), w.d), key_1), first};
}

INFERNO_AVX2 inline __m256i joined(__m256i high, __m256i low) {
  return _mm256_blend_epi32(_mm256_slli_epi64(high, 32), low, 0x55);
}

INFERNO_AVX2 inline void all_rounds(uint64_t seed, FourWords* w) {
  uint32_t key_0 = uint32_t(seed), key_1 = uint32_t(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int half = 0; half < 2; ++half)
      w[half] = round_of(w[half], _mm256_set1_epi64x(key_0), _mm256_set1_epi64x(key_1));
    key_0 += philox_step_0;
    key_1 += philox_step_1;
  }
}

INFERNO_AVX2 inline FourWords counters(__m256i index, uint32_t stream, uint32_t attempt) {
  return {index, _mm256_srli_epi64(index, 32), _mm256_set1_epi64x(stream), _mm256_set1_epi64x(attempt)};
}

INFERNO_AVX2 void words_by_eight(uint64_t seed, uint32_t stream, uint32_t attempt, int64_t first, int64_t count,
                                 uint32_t* words) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    FourWords w[2];
    for (int half = 0; half < 2; ++half) {
      const __m256i begin = _mm256_set1_epi64x(first + i + 4 * half);
      w[half] = counters(_mm256_add_epi64(begin, _mm256_setr_epi64x(0, 1, 2, 3)), stream, attempt);
    }
    all_rounds(seed, w);
    for (int half = 0; half < 2; ++half) {
      const __m256i ab = joined(w[half].b, w[half].a), cd = joined(w[half].d, w[half].c);
      const __m256i even = _mm256_unpacklo_epi64(ab, cd), odd = _mm256_unpackhi_epi64(ab, cd);
      auto* out = reinterpret_cast<__m256i*>(words + 4 * i) + 2 * half;
      _mm256_storeu_si256(out, _mm256_permute2x128_si256(even, odd, 0x20));
      _mm256_storeu_si256(out + 1, _mm256_permute2x128_si256(even, odd, 0x31));
    }
  }
  words_one_by_one(seed, stream, attempt, first + i, count - i, words + 4 * i);
}

INFERNO_AVX2 void pairs_by_eight(uint64_t seed, uint32_t stream, uint32_t attempt, const int64_t* index, int64_t count,
                                 uint64_t* first, uint64_t* second) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    FourWords w[2];
    for (int half = 0; half < 2; ++half)
      w[half] = counters(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(index + i) + half), stream, attempt);
    all_rounds(seed, w);
    for (int half = 0; half < 2; ++half) {
      const int64_t at = i + 4 * half;
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(first + at), joined(w[half].a, w[half].b));
      if (second) _mm256_storeu_si256(reinterpret_cast<__m256i*>(second + at), joined(w[half].c, w[half].d));
    }
  }
  pairs_one_by_one(seed, stream, attempt, index + i, count - i, first + i, second ? second + i : nullptr);
}

INFERNO_AVX2 void below_by_four(const uint64_t* pairs, int64_t count, uint32_t limit, int32_t* out) {
  const __m256i size = _mm256_set1_epi64x(limit), odd = _mm256_setr_epi32(1, 3, 5, 7, 1, 3, 5, 7);
  int64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    const __m256i pair = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(pairs + i));
    const __m256i low = _mm256_srli_epi64(_mm256_mul_epu32(pair, size), 32);
    const __m256i sum = _mm256_add_epi64(_mm256_mul_epu32(_mm256_srli_epi64(pair, 32), size), low);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i),
                     _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(sum, odd)));
  }
  below_one_by_one(pairs + i, count - i, limit, out + i);
}

const bool has_avx2 = __builtin_cpu_supports("avx2");
#endif

}  // namespace

void philox_pairs(uint64_t seed, uint32_t stream, uint32_t attempt, const int64_t* index, int64_t count,
                  uint64_t* first, uint64_t* second) {
#ifdef INFERNO_AVX2
  if (has_avx2) return pairs_by_eight(seed, stream, attempt, index, count, first, second);
#endif
  pairs_one_by_one(seed, stream, attempt, index, count, first, second);
}

void philox_words(uint64_t seed, uint32_t stream, uint32_t attempt, int64_t first, int64_t count, uint32_t* words) {
#ifdef INFERNO_AVX2
  if (has_avx2) return words_by_eight(seed, stream, attempt, first, count, words);
#endif
  words_one_by_one(seed, stream, attempt, first, count, words);
}

void all_below(const uint64_t* pairs, int64_t count, uint32_t limit, int32_t* out) {
#ifdef INFERNO_AVX2
  if (has_avx2) return below_by_four(pairs, count, limit, out);
#endif
  below_one_by_one(pairs, count, limit, out);
}

}  // namespace inferno
