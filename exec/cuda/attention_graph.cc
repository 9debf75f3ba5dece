#include "exec/cuda/attention_graph.h"

#include <limits>
#include <utility>

namespace rehearse::exec::cuda {
namespace {

using Dims = TensorGraph::Dims;
using Type = TensorGraph::Type;
using Lies = TensorGraph::Lies;
using Function = TensorGraph::Function;
using Reduction = TensorGraph::Reduction;
using Layout = FusedAttention::Layout;

Dims dense(const Dims& dims) {
  return {dims[1] * dims[2] * dims[3], dims[2] * dims[3], dims[3], 1};
}
Dims swap_last(Dims dims) {
  std::swap(dims[2], dims[3]);
  return dims;
}

class Builder {
 public:
  Builder(const FusedAttention& a, std::int64_t samples)
      : a_(a),
        scores_{samples, a.queries.heads, a.positions, a.positions},
        rows_{samples, a.queries.heads, a.positions, 1},
        q_(heads(a.queries)),
        k_(transposed(a.keys)),
        scale_(number(static_cast<float>(a.scale))) {}

  AttentionGraph forward() {
    const std::size_t v = heads(a_.keys), o = heads(a_.out), sums = row_numbers();
    const std::size_t s = mask(scores());
    const std::size_t largest = on_rows(TensorGraph::Reduce{Reduction::max}, {s});
    const std::size_t weights =
        on_scores(Function::exp, {on_scores(Function::subtract, {s, largest})});
    const std::size_t sum = on_rows(TensorGraph::Reduce{Reduction::sum}, {weights});
    const std::size_t logarithm = on_rows(TensorGraph::Elementwise{Function::log}, {sum});
    graph_.add(TensorGraph::Elementwise{Function::add}, {largest, logarithm}, sums);
    const std::size_t p = between(Type::real, scores_);
    graph_.add(TensorGraph::Elementwise{Function::divide}, {weights, sum}, p);
    graph_.add(TensorGraph::MatrixProduct{}, {p, v}, o);
    return {std::move(graph_), {q_, k_, v, o, sums}};
  }

  AttentionGraph backward() {
    const std::size_t v = transposed(a_.keys), o = heads(a_.out), d_o = heads(a_.out);
    const std::size_t sums = row_numbers(), means = row_numbers();
    const std::size_t d_q = heads(a_.queries), d_k = heads(a_.keys), d_v = heads(a_.keys);
    average(d_o, o, means);
    const std::size_t below = on_scores(Function::subtract, {scores(), sums});
    const std::size_t p = on_scores(Function::exp, {mask(below)});
    gather(p, d_o, d_v);
    const std::size_t d_p = between(Type::wide, scores_);
    graph_.add(TensorGraph::MatrixProduct{}, {d_o, v}, d_p);
    const std::size_t centred = on_scores(Function::subtract, {d_p, means});
    const std::size_t d_s = on_scores(Function::multiply, {centred, p});
    const std::size_t scaled = on_scores(Function::multiply, {d_s, scale_});
    gather(scaled, q_, d_k);
    const std::size_t k = add({Type::real, dims(a_.keys), strides(a_.keys)});
    graph_.add(TensorGraph::Reshape{}, {k_}, k);
    // Straight into d_q: by way of sums in memory they would be added to in any order.
    graph_.add(TensorGraph::MatrixProduct{}, {scaled, k}, d_q);
    return {std::move(graph_), {q_, k_, v, o, sums, d_o, d_q, d_k, d_v, means}};
  }

 private:
  std::size_t add(const TensorGraph::Tensor& tensor) { return graph_.add(tensor); }
  std::size_t between(Type type, const Dims& dims) { return add({type, dims, dense(dims)}); }
  std::size_t number(float value) {
    return add({Type::wide, {1, 1, 1, 1}, {1, 1, 1, 1}, Lies::as_number, value});
  }
  std::size_t row_numbers() { return add({Type::wide, rows_, dense(rows_), Lies::in_memory}); }
  std::size_t heads(const Layout& layout) {
    return add({Type::real, dims(layout), strides(layout), Lies::in_memory});
  }
  std::size_t transposed(const Layout& layout) {
    return add({Type::real, swap_last(dims(layout)), swap_last(strides(layout)), Lies::in_memory});
  }
  Dims dims(const Layout& layout) const {
    return {scores_[0], layout.heads, a_.positions, a_.head_size};
  }
  static Dims strides(const Layout& layout) {
    return {layout.sample, layout.head, layout.position, 1};
  }

  std::size_t on_scores(Function function, std::initializer_list<std::size_t> operands) {
    return graph_.add(TensorGraph::Elementwise{function}, operands, between(Type::wide, scores_));
  }
  template <class What>
  std::size_t on_rows(What what, std::initializer_list<std::size_t> operands) {
    return graph_.add(what, operands, between(Type::wide, rows_));
  }
  std::size_t scores() {
    const std::size_t product = between(Type::wide, scores_);
    graph_.add(TensorGraph::MatrixProduct{}, {q_, k_}, product);
    return on_scores(Function::multiply, {product, scale_});
  }
  // Minus infinity at keys that a query does not see.
  std::size_t mask(std::size_t scores) {
    if (!a_.causal) return scores;
    const std::size_t query = between(Type::index, scores_), key = between(Type::index, scores_);
    const std::size_t sees = between(Type::truth, scores_);
    graph_.add(TensorGraph::Place{2}, {scores}, query);
    graph_.add(TensorGraph::Place{3}, {scores}, key);
    graph_.add(TensorGraph::Elementwise{Function::is_at_least}, {query, key}, sees);
    const std::size_t nothing = number(-std::numeric_limits<float>::infinity());
    return on_scores(Function::select, {scores, nothing, sees});
  }

  // means = what a query's probabilities' gradients are on average: sums of d_o o.
  void average(std::size_t d_o, std::size_t o, std::size_t means) {
    const std::size_t products = between(Type::wide, dims(a_.out));
    graph_.add(TensorGraph::Elementwise{Function::multiply}, {d_o, o}, products);
    const std::size_t sum = on_rows(TensorGraph::Reduce{Reduction::sum}, {products});
    // By the part that dropout left: the library looks for such a factor.
    graph_.add(TensorGraph::Elementwise{Function::multiply}, {sum, number(1)}, means);
  }
  // into = the transposed weights by the rows, summed over the heads of a group.
  void gather(std::size_t weights, std::size_t rows, std::size_t into) {
    const std::size_t transpose = add({Type::real, swap_last(scores_), swap_last(dense(scores_))});
    graph_.add(TensorGraph::Reshape{}, {weights}, transpose);
    const bool is_grouped = a_.keys.heads != a_.queries.heads;
    const std::size_t all = is_grouped ? between(Type::real, dims(a_.queries)) : into;
    graph_.add(TensorGraph::MatrixProduct{}, {transpose, rows}, all);
    if (is_grouped) graph_.add(TensorGraph::Reduce{Reduction::sum}, {all}, into);
  }

  const FusedAttention& a_;
  TensorGraph graph_;
  Dims scores_, rows_;
  std::size_t q_, k_, scale_;  // k as d_head x positions
};

std::int64_t bytes_of(Element element) {
  return element == Element::bf16 ? 2 : element == Element::fp32 ? 4 : 8;
}

}  // namespace

AttentionGraph attention_graph(const FusedAttention& attention, std::int64_t samples) {
  Builder builder(attention, samples);
  return attention.pass == AttentionPass::forward ? builder.forward() : builder.backward();
}

std::vector<void*> operands_of(const FusedAttention& a, std::int64_t sample, void* means) {
  const std::int64_t real = bytes_of(a.element), wide = a.element == Element::fp64 ? 8 : 4;
  const auto after = [](const void* all, std::int64_t bytes) -> void* {
    return static_cast<std::byte*>(const_cast<void*>(all)) + bytes;
  };
  const auto at = [&](const void* all, const Layout& layout) {
    return after(all, sample * layout.sample * real);
  };
  void* const sums = after(a.sums, sample * a.queries.heads * a.positions * wide);
  std::vector<void*> list = {at(a.q, a.queries), at(a.k, a.keys), at(a.v, a.keys), at(a.o, a.out),
                             sums};
  if (a.pass == AttentionPass::backward) {
    for (void* const gradient :
         {at(a.d_o, a.out), at(a.d_q, a.queries), at(a.d_k, a.keys), at(a.d_v, a.keys), means})
      list.push_back(gradient);
  }
  return list;
}

}  // namespace rehearse::exec::cuda
