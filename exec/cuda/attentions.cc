// The library has no function for attention, but finds its kernel in a graph of operations: those
// of exec/cpu/reference/attention.cc, one by one, in the shape that it looks for (as its own C++
// front end makes them, node/scaled_dot_product_flash_attention.h of NVIDIA/cudnn-frontend).
// Dimensions are samples, heads, queries (or keys), and keys (or a head's elements).
#include "exec/cuda/attentions.h"

#include <algorithm>
#include <limits>

#include "exec/cuda/check.h"
#include "model/base/check.h"

namespace rehearse::exec::cuda {
namespace {

using Tensor = DnnGraph::Tensor;
using Dims = DnnGraph::Dims;
constexpr cudnnDataType_t kReal = CUDNN_DATA_BFLOAT16, kWide = CUDNN_DATA_FLOAT;

// What the library may use for several samples at once; for one it gets what it needs. The backward
// pass with its fixed order of sums needs samples x heads x positions^2 x 2 bytes.
constexpr std::size_t kMostWorkspace = std::size_t{256} << 20;

// cuDNN 9.15 and before had a wrong backward pass of positions that are no multiple of 128.
constexpr std::size_t kOldestVersion = 91600;

std::size_t align(std::size_t bytes) {
  return (bytes + 255) / 256 * 256;
}

Dims swap_last(Dims dims) {
  std::swap(dims[2], dims[3]);
  return dims;
}

// What is common to both passes.
class AttentionGraph {
 public:
  AttentionGraph(const FusedAttention& a, std::int64_t samples)
      : a_(a),
        scores_{samples, a.queries.heads, a.positions, a.positions},
        rows_{samples, a.queries.heads, a.positions, 1},
        q_(heads(a.queries)),
        k_transposed_(transposed(a.keys)),
        scale_(graph_.number(static_cast<float>(a.scale))) {}

  DnnGraph take() { return std::move(graph_); }

 protected:
  Tensor heads(const FusedAttention::Layout& layout) {
    return graph_.tensor(kReal, dims(layout), strides(layout));
  }
  Tensor transposed(const FusedAttention::Layout& layout) {
    return graph_.tensor(kReal, swap_last(dims(layout)), swap_last(strides(layout)));
  }
  Dims dims(const FusedAttention::Layout& layout) const {
    return {scores_[0], layout.heads, a_.positions, a_.head_size};
  }
  static Dims strides(const FusedAttention::Layout& layout) {
    return {layout.sample, layout.head, layout.position, 1};
  }
  Tensor row_numbers() {
    return graph_.tensor(kWide, rows_, {rows_[1] * rows_[2], rows_[2], 1, 1});
  }

  Tensor on_scores(cudnnPointwiseMode_t mode, std::initializer_list<Tensor> operands) {
    const Tensor y = graph_.between(kWide, scores_);
    graph_.pointwise(mode, operands, y);
    return y;
  }
  Tensor scaled_scores() {
    const Tensor s = graph_.between(kWide, scores_);
    graph_.multiply(q_, k_transposed_, s);
    return on_scores(CUDNN_POINTWISE_MUL, {s, scale_});
  }
  // Minus infinity at keys that a query does not see.
  Tensor mask(const Tensor& scores) {
    if (!a_.causal) return scores;
    const Tensor query = graph_.between(CUDNN_DATA_INT32, scores_);
    const Tensor key = graph_.between(CUDNN_DATA_INT32, scores_);
    const Tensor sees = graph_.between(CUDNN_DATA_BOOLEAN, scores_);
    graph_.place(2, scores, query);
    graph_.place(3, scores, key);
    graph_.pointwise(CUDNN_POINTWISE_CMP_GE, {query, key}, sees, CUDNN_DATA_BOOLEAN);
    const Tensor nothing = graph_.number(-std::numeric_limits<float>::infinity());
    return on_scores(CUDNN_POINTWISE_BINARY_SELECT, {scores, nothing, sees});
  }

  const FusedAttention& a_;
  DnnGraph graph_;
  Dims scores_, rows_;
  Tensor q_, k_transposed_, scale_;
};

// Everything that a run binds, in the order of places().
struct Operands {
  DnnGraph graph;
  std::vector<Tensor> tensors;
};

class ForwardGraph : AttentionGraph {
 public:
  using AttentionGraph::AttentionGraph;

  Operands build() {
    const Tensor v = heads(a_.keys), o = heads(a_.out), sums = row_numbers();
    const Tensor s = mask(scaled_scores());
    const Tensor largest = row(CUDNN_REDUCE_TENSOR_MAX, s);
    const Tensor below = on_scores(CUDNN_POINTWISE_SUB, {s, largest});
    const Tensor weights = on_scores(CUDNN_POINTWISE_EXP, {below});
    const Tensor sum = row(CUDNN_REDUCE_TENSOR_ADD, weights);
    const Tensor logarithm = graph_.between(kWide, rows_);
    graph_.pointwise(CUDNN_POINTWISE_LOG, {sum}, logarithm);
    graph_.pointwise(CUDNN_POINTWISE_ADD, {largest, logarithm}, sums);
    const Tensor p = graph_.between(kReal, scores_);
    graph_.pointwise(CUDNN_POINTWISE_DIV, {weights, sum}, p);
    graph_.multiply(p, v, o);
    return {take(), {q_, k_transposed_, v, o, sums}};
  }

 private:
  Tensor row(cudnnReduceTensorOp_t op, const Tensor& x) {
    const Tensor y = graph_.between(kWide, rows_);
    graph_.reduce(op, x, y);
    return y;
  }
};

class BackwardGraph : AttentionGraph {
 public:
  using AttentionGraph::AttentionGraph;

  Operands build() {
    const Tensor v_transposed = transposed(a_.keys), o = heads(a_.out), d_o = heads(a_.out);
    const Tensor sums = row_numbers(), means = row_numbers();
    const Tensor d_q = heads(a_.queries), d_k = heads(a_.keys), d_v = heads(a_.keys);
    sum_rows(d_o, o, means);
    const Tensor below = on_scores(CUDNN_POINTWISE_SUB, {scaled_scores(), sums});
    const Tensor p = on_scores(CUDNN_POINTWISE_EXP, {mask(below)});
    gather(p, d_o, d_v);
    const Tensor d_p = graph_.between(kWide, scores_);
    graph_.multiply(d_o, v_transposed, d_p);
    const Tensor centred = on_scores(CUDNN_POINTWISE_SUB, {d_p, means});
    const Tensor d_s = on_scores(CUDNN_POINTWISE_MUL, {centred, p});
    const Tensor scaled = on_scores(CUDNN_POINTWISE_MUL, {d_s, scale_});
    gather(scaled, q_, d_k);
    const Tensor k = graph_.between(kReal, dims(a_.keys), strides(a_.keys));
    graph_.reshape(k_transposed_, k);
    // Straight into d_q, not by way of an fp32 sum in memory: that would be added to in any order.
    graph_.multiply(scaled, k, d_q);
    return {take(), {q_, k_transposed_, v_transposed, o, sums, d_o, d_q, d_k, d_v, means}};
  }

 private:
  // means = sums of d_o o over a head's elements.
  void sum_rows(const Tensor& d_o, const Tensor& o, const Tensor& means) {
    const Tensor products = graph_.between(kWide, dims(a_.out));
    graph_.pointwise(CUDNN_POINTWISE_MUL, {d_o, o}, products);
    const Tensor sum = graph_.between(kWide, rows_);
    graph_.reduce(CUDNN_REDUCE_TENSOR_ADD, products, sum);
    // By what dropout left: the library looks for this factor.
    graph_.pointwise(CUDNN_POINTWISE_MUL, {sum, graph_.number(1)}, means);
  }
  // into = the weights' transpose by the rows, over the heads of a group.
  void gather(const Tensor& weights, const Tensor& rows, const Tensor& into) {
    const Dims dense = {scores_[1] * scores_[2] * scores_[3], scores_[2] * scores_[3], 1,
                        scores_[3]};
    const Tensor transpose = graph_.between(kReal, swap_last(scores_), dense);
    graph_.reshape(weights, transpose);
    if (a_.keys.heads == a_.queries.heads) return graph_.multiply(transpose, rows, into);
    const Tensor all = graph_.between(kReal, dims(a_.queries));
    graph_.multiply(transpose, rows, all);
    graph_.reduce(CUDNN_REDUCE_TENSOR_ADD, all, into);
  }
};

// Of samples from this one on.
std::vector<const void*> places(const FusedAttention& a, std::int64_t sample, const void* means) {
  const auto at = [&](const void* all, const FusedAttention::Layout& layout) -> const void* {
    return static_cast<const std::byte*>(all) + sample * layout.sample * 2;  // bytes of bf16
  };
  const void* const sums =
      static_cast<const float*>(a.sums) + sample * a.queries.heads * a.positions;
  std::vector<const void*> list = {at(a.q, a.queries), at(a.k, a.keys), at(a.v, a.keys),
                                   at(a.o, a.out), sums};
  if (a.pass == AttentionPass::forward) return list;
  const void* const gradients[] = {at(a.d_o, a.out), at(a.d_q, a.queries), at(a.d_k, a.keys),
                                   at(a.d_v, a.keys), means};
  list.insert(list.end(), std::begin(gradients), std::end(gradients));
  return list;
}

}  // namespace

// So many samples at once, until all are done.
class Attentions::Prepared {
 public:
  Prepared(std::unique_ptr<DnnPlan> plan, std::vector<Tensor> operands, const FusedAttention& a,
           std::int64_t samples)
      : plan_(std::move(plan)), operands_(std::move(operands)), samples_(samples) {
    if (a.pass == AttentionPass::backward)
      means_bytes_ =
          align(static_cast<std::size_t>(samples * a.queries.heads * a.positions) * sizeof(float));
  }

  std::size_t workspace_bytes() const { return means_bytes_ + plan_->workspace_bytes(); }

  void run(const FusedAttention& a, cudnnHandle_t handle, std::byte* workspace) const {
    std::vector<DnnPlan::Binding> bindings;
    for (std::int64_t sample = 0; sample < a.samples; sample += samples_) {
      const std::vector<const void*> memory = places(a, sample, workspace);
      bindings.clear();
      for (std::size_t i = 0; i < operands_.size(); ++i)
        bindings.push_back({operands_[i].id, memory[i]});
      plan_->run(handle, bindings, workspace + means_bytes_);
    }
  }

 private:
  std::unique_ptr<DnnPlan> plan_;
  std::vector<Tensor> operands_;
  std::int64_t samples_;
  std::size_t means_bytes_ = 0;
};

Attentions::Attentions(DnnTarget target, int major) : target_(std::move(target)), major_(major) {}

Attentions::~Attentions() = default;

std::unique_ptr<Attentions::Prepared> Attentions::prepare(const FusedAttention& a) const {
  // Head sizes as the library documents them; later GPUs have kernels whose order of sums changes
  // from run to run.
  const bool is_served = a.element == Element::bf16 && a.positions > 1 && a.head_size % 8 == 0 &&
                         a.head_size <= 128 && (major_ == 8 || major_ == 9) &&
                         REHEARSE_LAZY(kDnn, cudnnGetVersion)() >= kOldestVersion;
  if (!is_served) return nullptr;
  const auto of = [&](std::int64_t samples) -> std::unique_ptr<Prepared> {
    Operands it = a.pass == AttentionPass::forward ? ForwardGraph(a, samples).build()
                                                   : BackwardGraph(a, samples).build();
    auto plan = DnnPlan::of(std::move(it.graph), target_);
    if (!plan) return nullptr;
    return std::make_unique<Prepared>(std::move(plan), std::move(it.tensors), a, samples);
  };
  std::unique_ptr<Prepared> all = of(a.samples);
  if (!all || all->workspace_bytes() <= kMostWorkspace) return all;
  const std::size_t each = all->workspace_bytes() / static_cast<std::size_t>(a.samples);
  std::int64_t samples =
      std::max<std::int64_t>(1, static_cast<std::int64_t>(kMostWorkspace / each));
  while (a.samples % samples != 0)
    --samples;
  return of(samples);
}

const Attentions::Prepared* Attentions::prepared(const FusedAttention& a) {
  const std::vector<std::int64_t> key = {static_cast<std::int64_t>(a.pass),
                                         static_cast<std::int64_t>(a.element),
                                         a.samples,
                                         a.positions,
                                         a.head_size,
                                         a.queries.heads,
                                         a.keys.heads,
                                         a.causal ? 1 : 0};
  const auto found = prepared_.find(key);
  if (found != prepared_.end()) return found->second.get();
  return prepared_.emplace(key, prepare(a)).first->second.get();
}

bool Attentions::is_possible(const FusedAttention& attention) {
  return prepared(attention) != nullptr;
}

std::size_t Attentions::workspace_bytes(const FusedAttention& attention) {
  return prepared(attention)->workspace_bytes();
}

void Attentions::run(const FusedAttention& attention, std::byte* workspace, cudaStream_t stream) {
  REHEARSE_DNN(cudnnSetStream, target_.handle(), stream);
  prepared(attention)->run(attention, target_.handle(), workspace);
}

}  // namespace rehearse::exec::cuda
