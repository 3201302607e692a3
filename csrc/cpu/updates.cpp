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
template <class T>
INFERNO_HD void mark_line(const T* values, int64_t count, uint8_t* marks) {
  for (int64_t i = 0; i < count; ++i) marks[i] |= uint8_t(load(values[i]) != 0);
}
#define INFERNO_LINES(T, C)                                                             \
  INFERNO_CLONES void add_contiguous(C value, const T* pre, int64_t count, C* sums) {   \
    add_line(value, pre, count, sums);                                                  \
  }                                                                                     \
  INFERNO_CLONES void mark_contiguous(const T* values, int64_t count, uint8_t* marks) { \
    mark_line(values, count, marks);                                                    \
  }
INFERNO_LINES(float, float)
INFERNO_LINES(double, double)
INFERNO_LINES(Half, float)
INFERNO_LINES(BFloat16, float)
#undef INFERNO_LINES

template <class T, class C>
void load_all(const void* from, int64_t begin, int64_t count, C* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = !from ? C(0) : load(static_cast<const T*>(from)[begin + i]);
}

template <class T>
INFERNO_HD int64_t copy_and_count(const T* from, int64_t stride, int64_t count, T* to) {
  int64_t values = 0;
  for (int64_t i = 0; i < count; ++i) {
    to[i] = from[i * stride];
    values += int64_t(load(to[i]) != 0);
  }
  return values;
}

template <class T>
int64_t copy_counting(const T* from, int64_t stride, int64_t count, T* to) {
  return stride == 1 ? copy_and_count(from, 1, count, to) : copy_and_count(from, stride, count, to);
}

// Which of a side's elements have a value that is not 0 in any sample.
template <class T>
std::vector<uint8_t> marked(const Plane& plane, bool is_bool, int64_t batch, int64_t count) {
  std::vector<uint8_t> marks(count, 0);
  for (int64_t b = 0; b < batch; ++b) {
    if (plane.rest_stride != 1 || is_bool)
      for (int64_t i = 0; i < count; ++i) marks[i] |= uint8_t(side_value<T>(plane, is_bool, b, i) != Compute<T>(0));
    else
      mark_contiguous(static_cast<const T*>(plane.data) + b * plane.batch_stride, count, marks.data());
  }
  return marks;
}

std::vector<int64_t> places_of(const std::vector<uint8_t>& marks) {
  std::vector<int64_t> places;
  for (size_t i = 0; i < marks.size(); ++i)
    if (marks[i]) places.push_back(int64_t(i));
  return places;
}

// One sum of outer products, whichever side has fewer values leading: of an output all inputs, or of an input all
// outputs.
template <class T>
class Product {
 public:
  using C = Compute<T>;

  Product(const OuterUpdateArgs& a, const Outer& outer)
      : outer(outer), rows_(marked<T>(outer.post, outer.bool_post, outer.batch, a.outputs)) {
    columns = places_of(marked<T>(outer.pre, outer.bool_pre, outer.batch, a.inputs));
    const int64_t rows = std::count_if(rows_.begin(), rows_.end(), [](uint8_t row) { return row != 0; });
    by_column = int64_t(columns.size()) * a.outputs < rows * a.inputs;
    if (by_column) list_values();
  }

  C post(int64_t b, int64_t o) const { return side_value<T>(outer.post, outer.bool_post, b, o); }
  C pre(int64_t b, int64_t i) const { return side_value<T>(outer.pre, outer.bool_pre, b, i); }
  bool has_row(int64_t o) const { return rows_[o]; }

  // sums[i] of inputs [begin, end) for one output.
  void add_row(int64_t o, int64_t begin, int64_t end, C* sums) const {
    if (by_column) {
      for (size_t j = 0; j < columns.size(); ++j)
        if (columns[j] >= begin && columns[j] < end) sums[columns[j] - begin] = at(o, j);
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

  C at(int64_t o, size_t column) const {
    C sum = 0;
    for (size_t k = starts_[column]; k < starts_[column + 1]; ++k)
      sum = sum + met(post(values_[k].sample, o), values_[k].value);
    return sum;
  }

  // sums[k] of a column for some outputs, whose values of a sample lie side by side from posts[sample * stride] on.
  void add_column(size_t column, const C* posts, int64_t stride, int64_t count, C* sums) const {
    for (size_t k = starts_[column]; k < starts_[column + 1]; ++k)
      add_contiguous(values_[k].value, posts + values_[k].sample * stride, count, sums);
  }

  const Outer outer;
  bool by_column;
  std::vector<int64_t> columns;  // inputs with values, ascending

 private:
  struct Value {
    int64_t sample;
    C value;
  };

  void list_values() {
    starts_.assign(1, 0);
    for (const int64_t i : columns) {
      for (int64_t b = 0; b < outer.batch; ++b)
        if (const C value = pre(b, i); value != C(0)) values_.push_back({b, value});
      starts_.push_back(values_.size());
    }
  }

  std::vector<uint8_t> rows_;
  std::vector<size_t> starts_;  // of each column's values; the last is their end
  std::vector<Value> values_;
};

template <class T>
class OuterUpdate {
  using C = Compute<T>;

 public:
  explicit OuterUpdate(const OuterUpdateArgs& a) : a_(a) {
    for (int32_t k = 0; k < a.outers; ++k) products_.emplace_back(a, a.outer[k]);
    for (const Product<T>& product : products_)
      if (product.by_column) columns_.insert(columns_.end(), product.columns.begin(), product.columns.end());
    std::sort(columns_.begin(), columns_.end());
    columns_.erase(std::unique(columns_.begin(), columns_.end()), columns_.end());
    lay_out_columns();
  }

  void run(int64_t begin, int64_t end) {
    std::vector<int64_t> some;
    for (int64_t o = begin; o < end; ++o) {
      const auto has = [o](bool by_column) {
        return [=](const Product<T>& p) { return p.by_column == by_column && p.has_row(o); };
      };
      if (std::any_of(products_.begin(), products_.end(), has(false)))
        change_row(o);
      else if (std::any_of(products_.begin(), products_.end(), has(true)))
        some.push_back(o);
      if (some.empty() || (int64_t(some.size()) < lanes && o + 1 < end)) continue;
      change_columns(some);
      some.clear();
    }
  }

 private:
  static constexpr int64_t lanes = 16;  // outputs whose columns are changed together

  // Where each product's columns are among all of them.
  void lay_out_columns() {
    for (const Product<T>& product : products_) {
      places_.emplace_back();
      if (product.by_column)
        for (const int64_t column : product.columns)
          places_.back().push_back(std::lower_bound(columns_.begin(), columns_.end(), column) - columns_.begin());
    }
    const size_t count = std::max(int64_t(columns_.size()) * lanes, block);
    param_.resize(count);
    pos_.resize(count);
    neg_.resize(count);
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

  // Of some outputs, [columns, outputs]: vectors go along these, since memory along a column is far apart.
  void change_columns(const std::vector<int64_t>& outputs) {
    const int64_t width = int64_t(outputs.size()), count = int64_t(columns_.size()) * width;
    std::fill_n(pos_.begin(), count, C(0));
    std::fill_n(neg_.begin(), count, C(0));
    for (size_t k = 0; k < products_.size(); ++k)
      if (products_[k].by_column) add_columns(products_[k], places_[k], outputs);
    T* const param = static_cast<T*>(a_.param);
    for (int64_t l = 0; l < width; ++l) {
      const T* row = param + outputs[l] * a_.inputs;
      for (size_t j = 0; j < columns_.size(); ++j) param_[j * width + l] = load(row[columns_[j]]);
    }
    for (int64_t j = 0; j < count; j += block)
      change(a_.upper, a_.lower, param_.data() + j, pos_.data() + j, neg_.data() + j, std::min(block, count - j), true);
    for (int64_t l = 0; l < width; ++l) {
      T* row = param + outputs[l] * a_.inputs;
      for (size_t j = 0; j < columns_.size(); ++j) row[columns_[j]] = store<T>(param_[j * width + l]);
    }
  }

  void add_columns(const Product<T>& product, const std::vector<int64_t>& places, const std::vector<int64_t>& outputs) {
    const int64_t width = int64_t(outputs.size());
    posts_.resize(product.outer.batch * width);
    for (int64_t b = 0; b < product.outer.batch; ++b)
      for (int64_t l = 0; l < width; ++l) posts_[b * width + l] = product.post(b, outputs[l]);
    C* const side = product.outer.negative ? neg_.data() : pos_.data();
    const C scale = C(product.outer.scale);
    for (size_t j = 0; j < product.columns.size(); ++j) {
      C sums[lanes] = {};
      product.add_column(j, posts_.data(), width, width, sums);
      C* line = side + places[j] * width;
      for (int64_t l = 0; l < width; ++l) line[l] = line[l] + sums[l] * scale;
    }
  }

  const OuterUpdateArgs& a_;
  std::vector<Product<T>> products_;
  std::vector<int64_t> columns_;              // with values, of the products that go by column
  std::vector<std::vector<int64_t>> places_;  // of each product's columns in them
  std::vector<C> param_, pos_, neg_, sums_, posts_;
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

int64_t take_newest_cpu(const NewestArgs& a) {
  int64_t count = 0;
  dispatch_floating(a.type, [&](auto scalar) {
    using T = decltype(scalar);
    const Ring& ring = a.ring;
    const T* newest = static_cast<const T*>(a.data) + ring_slot(*ring.pointer, 1, ring.slots) * ring.slot_stride;
    T* out = static_cast<T*>(a.out);
    for (int64_t b = 0; b < ring.batch; ++b)
      count += copy_counting(newest + b * ring.batch_stride, ring.rest_stride, ring.rest, out + b * ring.rest);
  });
  return count;
}

}  // namespace inferno
