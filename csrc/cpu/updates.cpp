#include "core/updates.h"

#include <algorithm>
#include <vector>

#include "cpu/clones.h"

namespace inferno {
namespace {

constexpr int64_t block = 512;

template <class C>
INFERNO_HD void bound_all(const Bound& bound, const C* param, C* update, int64_t count) {
  dispatch_power(bound.power, [&](auto power) {
    for (int64_t i = 0; i < count; ++i) update[i] = bounded<decltype(power)::value>(bound, param[i], update[i]);
  });
}

template <class C>
INFERNO_HD void change_all(const Bound& upper, const Bound& lower, C* param, C* pos, C* neg, int64_t count, bool keep) {
  uint8_t changes[block];
  if (keep)
    for (int64_t i = 0; i < count; ++i) changes[i] = uint8_t(int(pos[i] != C(0)) | int(neg[i] != C(0)));
  bound_all(upper, param, pos, count);
  bound_all(lower, param, neg, count);
  if (keep)
    for (int64_t i = 0; i < count; ++i) param[i] = changes[i] ? param[i] + (pos[i] - neg[i]) : param[i];
  else
    for (int64_t i = 0; i < count; ++i) param[i] = param[i] + (pos[i] - neg[i]);
}

// At most `block` elements; with `keep`, those without an update stay.
#define INFERNO_CHANGE(C)                                                                                     \
  INFERNO_CLONES void change(const Bound& upper, const Bound& lower, C* param, C* pos, C* neg, int64_t count, \
                             bool keep) {                                                                     \
    change_all(upper, lower, param, pos, neg, count, keep);                                                   \
  }
INFERNO_CHANGE(float)
INFERNO_CHANGE(double)
#undef INFERNO_CHANGE

template <class T, class C>
INFERNO_HD void add_line(C value, const T* pre, int64_t count, C* sums) {
  for (int64_t i = 0; i < count; ++i) sums[i] = sums[i] + met(value, load(pre[i]));
}
#define INFERNO_ADD_LINE(T, C)                                                        \
  INFERNO_CLONES void add_contiguous(C value, const T* pre, int64_t count, C* sums) { \
    add_line(value, pre, count, sums);                                                \
  }
INFERNO_ADD_LINE(float, float)
INFERNO_ADD_LINE(double, double)
INFERNO_ADD_LINE(Half, float)
INFERNO_ADD_LINE(BFloat16, float)
#undef INFERNO_ADD_LINE

template <class T, class C>
void load_all(const void* from, int64_t begin, int64_t count, C* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = !from ? C(0) : load(static_cast<const T*>(from)[begin + i]);
}

// Values of a column that are not 0.
template <class C>
struct Column {
  int64_t column;
  std::vector<std::pair<int64_t, C>> values;  // sample and value, ascending
};

// One sum of outer products, whichever side has fewer values leading: of an output all inputs, or of an input all
// outputs.
template <class T>
class Product {
 public:
  using C = Compute<T>;

  Product(const OuterUpdateArgs& a, const Outer& outer) : outer(outer), rows_(a.outputs, 0) {
    int64_t rows = 0;
    for (int64_t b = 0; b < outer.batch; ++b)
      for (int64_t o = 0; o < a.outputs; ++o) {
        const uint8_t set = post(b, o) != C(0);
        rows += set & uint8_t(!rows_[o]);
        rows_[o] |= set;
      }
    std::vector<int64_t> number(a.inputs, -1);
    int64_t found = 0;
    for (int64_t b = 0; b < outer.batch; ++b)
      for (int64_t i = 0; i < a.inputs; ++i)
        if (number[i] < 0 && pre(b, i) != C(0)) number[i] = found++;
    by_column = found * a.outputs < rows * a.inputs;
    if (by_column) list_columns(number, found);
  }

  C post(int64_t b, int64_t o) const { return side_value<T>(outer.post, outer.bool_post, b, o); }
  C pre(int64_t b, int64_t i) const { return side_value<T>(outer.pre, outer.bool_pre, b, i); }
  bool has_row(int64_t o) const { return rows_[o]; }

  // sums[i] of inputs [begin, end) for one output.
  void add_row(int64_t o, int64_t begin, int64_t end, C* sums) const {
    if (by_column) {
      for (const Column<C>& column : columns)
        if (column.column >= begin && column.column < end) sums[column.column - begin] = at(o, column);
      return;
    }
    for (int64_t b = 0; b < outer.batch; ++b) {
      const C value = post(b, o);
      if (value == C(0)) continue;
      if (!outer.bool_pre && outer.pre.rest_stride == 1)
        add_contiguous(value, static_cast<const T*>(outer.pre.data) + b * outer.pre.batch_stride + begin, end - begin,
                       sums);
      else
        for (int64_t i = begin; i < end; ++i) sums[i - begin] = sums[i - begin] + met(value, pre(b, i));
    }
  }

  C at(int64_t o, const Column<C>& column) const {
    C sum = 0;
    for (const auto& [b, value] : column.values) sum = sum + met(post(b, o), value);
    return sum;
  }

  const Outer outer;
  bool by_column;
  std::vector<Column<C>> columns;

 private:
  void list_columns(const std::vector<int64_t>& number, int64_t found) {
    columns.resize(found);
    for (int64_t i = 0; i < int64_t(number.size()); ++i) {
      if (number[i] < 0) continue;
      columns[number[i]].column = i;
      for (int64_t b = 0; b < outer.batch; ++b)
        if (const C value = pre(b, i); value != C(0)) columns[number[i]].values.push_back({b, value});
    }
  }

  std::vector<uint8_t> rows_;
};

template <class T>
class OuterUpdate {
  using C = Compute<T>;

 public:
  explicit OuterUpdate(const OuterUpdateArgs& a) : a_(a) {
    for (int32_t k = 0; k < a.outers; ++k) products_.emplace_back(a, a.outer[k]);
    for (const Product<T>& product : products_)
      if (product.by_column)
        for (const Column<C>& column : product.columns) columns_.push_back(column.column);
    std::sort(columns_.begin(), columns_.end());
    columns_.erase(std::unique(columns_.begin(), columns_.end()), columns_.end());
    lay_out_columns();
  }

  void run(int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      const auto whole = [&](const Product<T>& p) { return !p.by_column && p.has_row(o); };
      std::any_of(products_.begin(), products_.end(), whole) ? change_row(o) : change_columns(o);
    }
  }

 private:
  // Where each product's columns are among all of them.
  void lay_out_columns() {
    for (const Product<T>& product : products_) {
      places_.emplace_back();
      if (product.by_column)
        for (const Column<C>& column : product.columns)
          places_.back().push_back(std::lower_bound(columns_.begin(), columns_.end(), column.column) -
                                   columns_.begin());
    }
    param_.resize(std::max(int64_t(columns_.size()), block));
    pos_.resize(param_.size());
    neg_.resize(param_.size());
    sums_.resize(block);
  }

  void change_row(int64_t o) {
    T* row = static_cast<T*>(a_.param) + o * a_.inputs;
    for (int64_t begin = 0; begin < a_.inputs; begin += block) {
      const int64_t end = std::min(begin + block, a_.inputs), count = end - begin;
      std::fill_n(pos_.begin(), count, C(0));
      std::fill_n(neg_.begin(), count, C(0));
      for (const Product<T>& product : products_) {
        std::fill_n(sums_.begin(), count, C(0));
        product.add_row(o, begin, end, sums_.data());
        C* side = product.outer.negative ? neg_.data() : pos_.data();
        for (int64_t i = 0; i < count; ++i) side[i] = side[i] + sums_[i] * C(product.outer.scale);
      }
      for (int64_t i = 0; i < count; ++i) param_[i] = load(row[begin + i]);
      change(a_.upper, a_.lower, param_.data(), pos_.data(), neg_.data(), count, true);
      for (int64_t i = 0; i < count; ++i) row[begin + i] = store<T>(param_[i]);
    }
  }

  void change_columns(int64_t o) {
    const int64_t count = int64_t(columns_.size());
    if (count == 0) return;
    T* row = static_cast<T*>(a_.param) + o * a_.inputs;
    std::fill_n(pos_.begin(), count, C(0));
    std::fill_n(neg_.begin(), count, C(0));
    for (size_t k = 0; k < products_.size(); ++k) {
      const Product<T>& product = products_[k];
      if (!product.by_column || !product.has_row(o)) continue;
      C* side = product.outer.negative ? neg_.data() : pos_.data();
      for (size_t j = 0; j < product.columns.size(); ++j) {
        C& sum = side[places_[k][j]];
        sum = sum + product.at(o, product.columns[j]) * C(product.outer.scale);
      }
    }
    for (int64_t j = 0; j < count; ++j) param_[j] = load(row[columns_[j]]);
    for (int64_t j = 0; j < count; j += block)
      change(a_.upper, a_.lower, param_.data() + j, pos_.data() + j, neg_.data() + j, std::min(block, count - j), true);
    for (int64_t j = 0; j < count; ++j) row[columns_[j]] = store<T>(param_[j]);
  }

  const OuterUpdateArgs& a_;
  std::vector<Product<T>> products_;
  std::vector<int64_t> columns_;              // with values, of the products that go by column
  std::vector<std::vector<int64_t>> places_;  // of each product's columns in them
  std::vector<C> param_, pos_, neg_, sums_;
};

}  // namespace

void apply_updates_cpu(const UpdateArgs& a, int64_t begin, int64_t end) {
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    using C = Compute<T>;
    C param[block], pos[block], neg[block];
    for (int64_t first = begin; first < end; first += block) {
      const int64_t count = std::min(block, end - first);
      T* to = static_cast<T*>(a.param) + first;
      load_all<T>(a.param, first, count, param);
      load_all<T>(a.pos, first, count, pos);
      load_all<T>(a.neg, first, count, neg);
      change(a.upper, a.lower, param, pos, neg, count, false);
      for (int64_t i = 0; i < count; ++i) to[i] = store<T>(param[i]);
    }
  });
}

void apply_outers_cpu(const OuterUpdateArgs& a, int64_t begin, int64_t end) {
  dispatch_floating(a.type, [&](auto scalar) { OuterUpdate<decltype(scalar)>(a).run(begin, end); });
}

}  // namespace inferno
