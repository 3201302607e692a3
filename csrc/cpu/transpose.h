// Transposition of small matrices, in squares that fill vector registers: from each line of memory as much is taken at
// once as a register holds, so that many lines are under way at a time.
#pragma once
#include <cstdint>
#include <cstring>
#include <utility>

namespace inferno {
namespace detail {

template <int Size>
struct UnsignedOf;
template <>
struct UnsignedOf<1> {
  using type = uint8_t;
};
template <>
struct UnsignedOf<2> {
  using type = uint16_t;
};
template <>
struct UnsignedOf<4> {
  using type = uint32_t;
};
template <>
struct UnsignedOf<8> {
  using type = uint64_t;
};

template <class U, size_t... K>
inline void interleave(U& a, U& b, std::index_sequence<K...>) {
  constexpr size_t n = sizeof...(K);
  const U low = __builtin_shufflevector(a, b, (K / 2 + K % 2 * n)...);
  b = __builtin_shufflevector(a, b, (n / 2 + K / 2 + K % 2 * n)...);
  a = low;
}

// An n x n square: n registers of n elements.
template <class T>
struct Square {
  static constexpr int size = 16 / sizeof(T);
  using Unsigned = typename UnsignedOf<sizeof(T)>::type;
  typedef Unsigned Register __attribute__((vector_size(16)));

  static inline void transpose(const T* from, int64_t from_row, T* to, int64_t to_row) {
    Register rows[size], shuffled[size];
    for (int i = 0; i < size; ++i) memcpy(&rows[i], from + i * from_row, 16);
    // Each round interleaves the halves; after log2(size) rounds rows are columns.
    for (int round = 1; round < size; round *= 2) {
      for (int i = 0; i < size / 2; ++i) {
        Register low = rows[i], high = rows[i + size / 2];
        interleave(low, high, std::make_index_sequence<size>());
        shuffled[2 * i] = low;
        shuffled[2 * i + 1] = high;
      }
      for (int i = 0; i < size; ++i) rows[i] = shuffled[i];
    }
    for (int i = 0; i < size; ++i) memcpy(to + i * to_row, &rows[i], 16);
  }
};

}  // namespace detail

// to[j][i] = from[i][j] for i < rows, j < cols; the elements of a row are neighbours on either side.
template <class T>
void transpose(const T* from, int64_t from_row, T* to, int64_t to_row, int64_t rows, int64_t cols) {
  constexpr int64_t size = detail::Square<T>::size;
  const int64_t whole_rows = rows / size * size, whole_cols = cols / size * size;
  for (int64_t i = 0; i < whole_rows; i += size)
    for (int64_t j = 0; j < whole_cols; j += size)
      detail::Square<T>::transpose(from + i * from_row + j, from_row, to + j * to_row + i, to_row);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = i < whole_rows ? whole_cols : 0; j < cols; ++j) to[j * to_row + i] = from[i * from_row + j];
}

}  // namespace inferno
