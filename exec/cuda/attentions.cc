#include "exec/cuda/attentions.h"

#include <algorithm>
#include <utility>

#include "exec/cuda/attention_graph.h"
#include "exec/cuda/check.h"

namespace rehearse::exec::cuda {
namespace {

// What the library may use for several samples at once; for one it gets what it needs. The backward
// pass with its fixed order of sums needs samples x heads x positions^2 x 2 bytes.
constexpr std::size_t kMostWorkspace = std::size_t{256} << 20;

// cuDNN 9.15 and before had a wrong backward pass of positions that are no multiple of 128.
constexpr std::size_t kOldestVersion = 91600;

std::size_t align(std::size_t bytes) {
  return (bytes + 255) / 256 * 256;
}

}  // namespace

// So many samples at once, until all are done.
class Attentions::Prepared {
 public:
  Prepared(std::unique_ptr<DnnPlan> plan, std::vector<std::size_t> operands,
           const FusedAttention& a, std::int64_t samples)
      : plan_(std::move(plan)), operands_(std::move(operands)), samples_(samples) {
    if (a.pass == AttentionPass::backward)
      means_bytes_ =
          align(static_cast<std::size_t>(samples * a.queries.heads * a.positions) * sizeof(float));
  }

  std::size_t workspace_bytes() const { return means_bytes_ + plan_->workspace_bytes(); }

  void run(const FusedAttention& a, cudnnHandle_t handle, std::byte* workspace) const {
    for (std::int64_t sample = 0; sample < a.samples; sample += samples_) {
      const std::vector<void*> memory = operands_of(a, sample, workspace);
      std::vector<DnnPlan::Operand> operands;
      for (std::size_t i = 0; i < operands_.size(); ++i)
        operands.push_back({operands_[i], memory[i]});
      plan_->run(handle, operands, workspace + means_bytes_);
    }
  }

 private:
  std::unique_ptr<DnnPlan> plan_;
  std::vector<std::size_t> operands_;
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
    AttentionGraph it = attention_graph(a, samples);
    auto plan = DnnPlan::of(it.graph, target_);
    if (!plan) return nullptr;
    return std::make_unique<Prepared>(std::move(plan), std::move(it.operands), a, samples);
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
