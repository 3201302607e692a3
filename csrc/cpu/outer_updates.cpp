#include <algorithm>
#include <type_traits>
#include <vector>

#include "cpu/clones.h"
#include "cpu/nonzero.h"
#include "cpu/updates.h"

namespace inferno {
namespace {

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

#define INFERNO_SCALES(C)                                                          \
  INFERNO_CLONES void scale_all(C* sums, C scale, int64_t count) {                 \
    for (int64_t i = 0; i < count; ++i) sums[i] = sums[i] * scale;                 \
  }                                                                                \
  INFERNO_CLONES void add_scaled(const C* sums, C scale, int64_t count, C* side) { \
    for (int64_t i = 0; i < count; ++i) side[i] = side[i] + sums[i] * scale;       \
  }
INFERNO_SCALES(float)
INFERNO_SCALES(double)
#undef INFERNO_SCALES

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

// Values that are not 0, by the line that they are in: of an output its samples, of a sample its inputs.
template <class C>
struct Lines {
  struct Value {
    int64_t place;
    C value;
  };
  std::vector<size_t> starts;  // of each line; the last is the end
  std::vector<Value> values;

  size_t size(int64_t line) const { return starts[line + 1] - starts[line]; }
  const Value* begin(int64_t line) const { return values.data() + starts[line]; }
  const Value* end(int64_t line) const { return values.data() + starts[line + 1]; }
};

// One sum of outer products. Of an output with values it changes all inputs, or those alone that have values.
template <class T>
class Product {
 public:
  using C = Compute<T>;

  Product(const OuterUpdateArgs& a, const Outer& outer) : outer(outer), inputs_(a.inputs) {
    list_posts(a.outputs);
    columns = marked<T>(outer.pre, outer.bool_pre, outer.batch, a.inputs);
    const auto set = [](uint8_t mark) { return mark != 0; };
    int64_t rows = 0;
    for (int64_t o = 0; o < a.outputs; ++o) rows += has_row(o);
    by_column = std::count_if(columns.begin(), columns.end(), set) * a.outputs < rows * a.inputs;
  }

  C pre(int64_t b, int64_t i) const { return side_value<T>(outer.pre, outer.bool_pre, b, i); }
  bool has_row(int64_t o) const { return posts_.size(o) > 0; }

  // place: of each input that has values, its number among those that are changed
  void list_pres(const std::vector<int64_t>& place) {
    const Plane& side = outer.pre;
    pres_.starts.assign(1, 0);
    for (int64_t b = 0; b < outer.batch; ++b) {
      const int64_t first = b * side.batch_stride;
      const auto list = [&](int64_t i) { pres_.values.push_back({place[i], pre(b, i)}); };
      if (outer.bool_pre)
        for_set(static_cast<const Bool*>(side.data) + first, inputs_, side.rest_stride, list);
      else
        for_set(static_cast<const T*>(side.data) + first, inputs_, side.rest_stride, list);
      pres_.starts.push_back(pres_.values.size());
    }
  }

  // How many pairs of values an output has.
  size_t pairs(int64_t o) const {
    size_t count = 0;
    for (auto post = posts_.begin(o); post != posts_.end(o); ++post) count += pres_.size(post->place);
    return count;
  }

  // Calls f with the place of each pair and its product, samples in ascending order.
  template <class F>
  void each_pair(int64_t o, F&& f) const {
    for (auto post = posts_.begin(o); post != posts_.end(o); ++post)
      for (auto pre = pres_.begin(post->place); pre != pres_.end(post->place); ++pre)
        f(pre->place, met(post->value, pre->value));
  }

  // sums[place][k] of some outputs
  void add_columns(const std::vector<int64_t>& outputs, C* sums) const {
    const int64_t width = int64_t(outputs.size());
    std::vector<C> posts(outer.batch * width, C(0));
    for (int64_t k = 0; k < width; ++k)
      for (auto post = posts_.begin(outputs[k]); post != posts_.end(outputs[k]); ++post)
        posts[post->place * width + k] = post->value;
    for (int64_t b = 0; b < outer.batch; ++b)
      for (auto pre = pres_.begin(b); pre != pres_.end(b); ++pre)
        add_contiguous(pre->value, posts.data() + b * width, width, sums + pre->place * width);
  }

  // sums[i] of all inputs
  void add_row(int64_t o, C* sums) const {
    for (auto post = posts_.begin(o); post != posts_.end(o); ++post) {
      if (!outer.bool_pre && outer.pre.rest_stride == 1)
        add_contiguous(post->value, static_cast<const T*>(outer.pre.data) + post->place * outer.pre.batch_stride,
                       inputs_, sums);
      else
        for (int64_t i = 0; i < inputs_; ++i) sums[i] = sums[i] + met(post->value, pre(post->place, i));
    }
  }

  const Outer outer;
  bool by_column;
  std::vector<uint8_t> columns;  // whether an input has values

 private:
  void list_posts(int64_t outputs) {
    std::vector<size_t> ends(outputs + 1, 0);
    const auto post = [this](int64_t b, int64_t o) { return side_value<T>(outer.post, outer.bool_post, b, o); };
    for (int64_t b = 0; b < outer.batch; ++b)
      for (int64_t o = 0; o < outputs; ++o) ends[o + 1] += size_t(post(b, o) != C(0));
    for (int64_t o = 0; o < outputs; ++o) ends[o + 1] += ends[o];
    posts_.starts = ends;
    posts_.values.resize(ends[outputs]);
    for (int64_t b = 0; b < outer.batch; ++b)
      for (int64_t o = 0; o < outputs; ++o)
        if (const C value = post(b, o); value != C(0)) posts_.values[ends[o]++] = {b, value};
  }

  int64_t inputs_;
  Lines<C> posts_, pres_;
};

template <class T>
class OuterUpdate {
  using C = Compute<T>;

 public:
  explicit OuterUpdate(const OuterUpdateArgs& a) : a_(a) {
    for (int32_t k = 0; k < a.outers; ++k) products_.emplace_back(a, a.outer[k]);
    const std::vector<int64_t> place = list_columns();
    for (Product<T>& product : products_)
      if (product.by_column) product.list_pres(place);
    some_.resize(columns_.size() + 1);
    met_.resize(columns_.size(), 0);
    few_.resize(columns_.size(), C(0));
    for (auto* values : {&param_, &pos_, &neg_, &sums_}) values->resize(a.inputs, C(0));
  }

  void run(int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      const auto has = [o](bool by_column) {
        return [=](const Product<T>& p) { return p.by_column == by_column && p.has_row(o); };
      };
      if (std::any_of(products_.begin(), products_.end(), has(false)))
        change_row(o);
      else if (!std::any_of(products_.begin(), products_.end(), has(true)))
        continue;
      else if (2 * pairs(o) < columns_.size())
        change_some(o);
      else
        dense_.push_back(o);
      if (int64_t(dense_.size()) == lanes) change_columns();
    }
    change_columns();
  }

 private:
  static constexpr int64_t lanes = 16;  // outputs whose columns are changed together

  // Finds the inputs that are changed, and returns of each its number among them.
  std::vector<int64_t> list_columns() {
    std::vector<uint8_t> changed(a_.inputs, 0);
    for (const Product<T>& product : products_)
      if (product.by_column)
        for (int64_t i = 0; i < a_.inputs; ++i) changed[i] |= product.columns[i];
    std::vector<int64_t> place(a_.inputs);
    columns_.resize(a_.inputs);
    int64_t count = 0;
    for (int64_t i = 0; i < a_.inputs; ++i) {
      columns_[count] = i;
      place[i] = count;
      count += changed[i];
    }
    columns_.resize(count);
    return place;
  }

  std::vector<C>& side_of(const Product<T>& product) { return product.outer.negative ? neg_ : pos_; }

  // Makes both sides of what f adds to zeros for each product, of those alone that go by column if so asked. The first
  // sum of a side becomes that side where it is.
  template <class F>
  void each_sum(int64_t count, bool by_column, F&& f) {
    bool begun[2] = {false, false};
    for (const Product<T>& product : products_) {
      if (by_column && !product.by_column) continue;
      bool& first = begun[product.outer.negative];
      C* const side = side_of(product).data();
      C* const sums = first ? sums_.data() : side;
      std::fill_n(sums, count, C(0));
      f(product, sums);
      if (first)
        add_scaled(sums, C(product.outer.scale), count, side);
      else
        scale_all(side, C(product.outer.scale), count);
      first = true;
    }
    if (!begun[0]) std::fill_n(pos_.data(), count, C(0));
    if (!begun[1]) std::fill_n(neg_.data(), count, C(0));
  }

  void change_all(C* param, int64_t count) {
    for (int64_t j = 0; j < count; j += update_block)
      change_block(a_.upper, a_.lower, param + j, pos_.data() + j, neg_.data() + j, std::min(update_block, count - j),
                   true);
  }

  void change_row(int64_t o) {
    T* row = static_cast<T*>(a_.param) + o * a_.inputs;
    each_sum(a_.inputs, false, [&](const Product<T>& product, C* sums) {
      if (product.by_column)
        product.each_pair(o, [&](int64_t place, C value) {
          C& sum = sums[columns_[place]];
          sum = sum + value;
        });
      else
        product.add_row(o, sums);
    });
    if constexpr (std::is_same_v<T, C>) {
      change_all(row, a_.inputs);
    } else {
      for (int64_t i = 0; i < a_.inputs; ++i) param_[i] = load(row[i]);
      change_all(param_.data(), a_.inputs);
      for (int64_t i = 0; i < a_.inputs; ++i) row[i] = store<T>(param_[i]);
    }
  }

  size_t pairs(int64_t o) const {
    size_t count = 0;
    for (const Product<T>& product : products_)
      if (product.by_column) count += product.pairs(o);
    return count;
  }

  // Of an output the columns that its samples have values in: most outputs have a few pairs alone.
  void change_some(int64_t o) {
    // pointers of their own, which writes to marks cannot change
    int64_t* const some = some_.data();
    uint8_t* const met = met_.data();
    C *const few = few_.data(), *const param = param_.data();
    int64_t count = 0, begun = 0;
    for (const Product<T>& product : products_) {
      if (!product.by_column || !product.has_row(o)) continue;
      product.each_pair(o, [&count, some, met, few](int64_t place, C value) {
        some[count] = place;
        count += 1 - met[place];
        met[place] = 1;
        few[place] = few[place] + value;
      });
      for (; begun < count; ++begun) pos_[begun] = neg_[begun] = C(0);
      C* const side = side_of(product).data();
      const C scale = C(product.outer.scale);
      for (int64_t k = 0; k < count; ++k) {
        side[k] = side[k] + few[some[k]] * scale;
        few[some[k]] = C(0);
      }
    }
    T* const row = static_cast<T*>(a_.param) + o * a_.inputs;
    const int64_t* const columns = columns_.data();
    for (int64_t k = 0; k < count; ++k) {
      met[some[k]] = 0;
      some[k] = columns[some[k]];
      param[k] = load(row[some[k]]);
    }
    change_all(param, count);
    for (int64_t k = 0; k < count; ++k) row[some[k]] = store<T>(param[k]);
  }

  // All columns of the outputs in dense_, [columns, outputs]: vectors go along these.
  void change_columns() {
    const int64_t width = int64_t(dense_.size()), count = int64_t(columns_.size()) * width;
    if (width == 0) return;
    for (auto* values : {&param_, &pos_, &neg_, &sums_})
      if (int64_t(values->size()) < count) values->resize(count);
    each_sum(count, true, [&](const Product<T>& product, C* sums) { product.add_columns(dense_, sums); });
    each_row([](const T& weight, C& value) { value = load(weight); });
    change_all(param_.data(), count);
    each_row([](T& weight, const C& value) { weight = store<T>(value); });
    dense_.clear();
  }

  // Calls f with every weight in the columns of the outputs in dense_ and its place in param_, several rows at once.
  template <class F>
  void each_row(F&& f) {
    constexpr int64_t most = 4;
    const int64_t width = int64_t(dense_.size());
    for (int64_t first = 0; first < width; first += most) {
      const int64_t rows = std::min(most, width - first);
      T* row[most];
      for (int64_t l = 0; l < most; ++l)
        row[l] = static_cast<T*>(a_.param) + dense_[first + std::min(l, rows - 1)] * a_.inputs;
      C* to = param_.data() + first;
      for (const int64_t column : columns_) {
        if (rows == most)
          for (int64_t l = 0; l < most; ++l) f(row[l][column], to[l]);
        else
          for (int64_t l = 0; l < rows; ++l) f(row[l][column], to[l]);
        to += width;
      }
    }
  }

  const OuterUpdateArgs& a_;
  std::vector<Product<T>> products_;
  std::vector<int64_t> columns_;       // inputs with values in products that go by column, ascending
  std::vector<int64_t> some_, dense_;  // places among these, and outputs
  std::vector<uint8_t> met_;           // whether an output has met a place, and what it has there; between outputs 0
  std::vector<C> few_;
  std::vector<C> param_, pos_, neg_, sums_;
};

}  // namespace

void apply_outers_cpu(const OuterUpdateArgs& a, int64_t begin, int64_t end) {
  dispatch_floating(a.type, [&](auto scalar) { OuterUpdate<decltype(scalar)>(a).run(begin, end); });
}

}  // namespace inferno
