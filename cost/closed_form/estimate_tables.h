// All that estimates of one network on one cluster share, each made when it is first asked for.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "cost/closed_form/gradient_norm.h"
#include "cost/closed_form/played_pipeline.h"
#include "cost/closed_form/refusal.h"
#include "cost/closed_form/sharded_step.h"
#include "cost/closed_form/staged_model.h"
#include "cost/closed_form/worker_estimates.h"

namespace rehearse {

// A strategy that can be, resolved.
struct StrategyPoint {
  Mesh mesh;
  const PipelineSchedule* schedule = nullptr;
  PipelineShape shape;
  StageExchange exchange = StageExchange::overlapped;
  std::int64_t samples = 1;  // of a micro-batch
  RankNet* net = nullptr;
};

class EstimateTables {
 public:
  EstimateTables(const ModelSpec& model, Net whole, Training training, Cluster cluster,
                 std::int64_t steps);

  const Net& whole() const { return whole_; }
  const BlockCount& blocks() const { return blocks_; }
  const Training& training() const { return training_; }
  const Cluster& cluster() const { return cluster_; }
  const Device& device() const { return cluster_.device(); }
  std::int64_t ranks() const { return static_cast<std::int64_t>(cluster_.rank_count()); }

  // None: it can be. Checks come from the cheapest on.
  std::optional<Verdict> resolve(const StrategySpec& strategy, StrategyPoint& point);
  // The network as its ranks run it. Errors: its widths cannot be sliced so.
  const Result<std::unique_ptr<RankNet>>& rank_net(const StrategySpec& strategy, const Mesh& mesh);
  const MeshCosts& costs(const Mesh& mesh);
  // None: parameters are shared by more than the first and the last rank of the pipeline.
  StagedModel* staged(const StrategySpec& strategy, const StrategyPoint& point);
  const std::vector<LiveStates>& states(const StrategyPoint& point);
  // Where is_flat().
  const ShardedStep& sharded(const StrategySpec& strategy, const StrategyPoint& point);
  // None: as staged().
  const std::optional<PlayedPipelineStep>& played_pipeline(const StrategySpec& strategy,
                                                           const StrategyPoint& point);
  // Whether it is what this strategy asks for, but where it is_flat().
  bool is_played(const StrategySpec& strategy, const StrategyPoint& point);
  // Of strategies that has_workers().
  WorkerEstimates& workers() { return workers_; }
  static WorkerEstimates::Call call(const StrategySpec& strategy, const StrategyPoint& point) {
    return {strategy, point.mesh, point.schedule, point.shape, point.samples};
  }
  // Of gradients on ranks that have all stages.
  Bytes stand_ins(const RankNet& net) const;
  // Until all ranks have added up their gradients' squares; null: nobody asks.
  const NormTimes* norm(const Mesh& mesh);

 private:
  NetPrograms& programs(const NetVariants& nets, std::int64_t tensor, bool overlaps, bool scatters);
  NetPasses& passes(const StrategySpec& strategy, const StrategyPoint& point,
                    const MeshCosts& mesh);
  static StageSequence sequence(NetPasses& net, const StagedCut& cut, const StrategyPoint& point);

  const Net whole_;
  const BlockCount blocks_;
  const Training training_;
  const Cluster cluster_;
  Routes routes_{cluster_};
  const bool has_stand_ins_;  // of gradients
  const std::optional<Verdict> refused_;
  std::deque<NetVariants> variants_;
  std::deque<NetPrograms> programs_;
  using NetKey = std::tuple<std::int64_t, bool, bool, bool, bool>;
  std::map<NetKey, Result<std::unique_ptr<RankNet>>> nets_;
  std::map<std::tuple<std::int64_t, std::int64_t, std::int64_t, AxisOrder>, MeshCosts> meshes_;
  std::map<std::tuple<RankNet*, std::int64_t, bool, std::size_t>, std::unique_ptr<NetPasses>>
      passes_;  // bool: recomputed in full, which stages are cut by
  std::optional<NormExchange> norm_exchange_;
  std::map<const MeshCosts*, NormTimes> norms_;
  std::map<RankNet*, StagedCuts> rank_cuts_;
  using CutKey = std::tuple<RankNet*, StageCut, std::int64_t, BucketSettings, bool, bool>;
  std::map<CutKey, std::optional<StagedCut>> cuts_;
  std::vector<RingGroup> rings_;  // of tensor-parallel ranks, that differ
  PassOrders orders_;
  ReductionTable reductions_{training_, cluster_.device()};
  StagedPassesTable staged_passes_{orders_, cluster_.device()};
  WorkerEstimates workers_;
  std::map<std::tuple<NetPasses*, std::int64_t, std::int64_t, StageRule, StageExchange, bool, bool,
                      Bytes>,
           std::unique_ptr<StagedModel>>
      staged_;
  std::map<
      std::tuple<const PipelineSchedule*, std::int64_t, std::int64_t, std::int64_t, StageExchange>,
      std::vector<LiveStates>>
      states_;
  using ShardedKey = std::tuple<RankNet*, const MeshCosts*, std::int64_t, std::int64_t, Sharding,
                                bool, std::int64_t, Bytes>;
  std::map<ShardedKey, ShardedStep> sharded_;
  using PlayedPipelineKey =
      std::tuple<NetPasses*, const MeshCosts*, const PipelineSchedule*, std::int64_t, std::int64_t,
                 StageRule, StageExchange, Sharding, bool, std::int64_t, Bytes>;
  std::map<PlayedPipelineKey, std::optional<PlayedPipelineStep>> played_pipelines_;
};

inline bool is_sharded(const StrategySpec& strategy) {
  return strategy.sharding > Sharding::optimizer_state;
}
// Whether each micro-batch goes forward and backward on one rank, its gradients reduced meanwhile.
inline bool is_flat(const StrategySpec& strategy, const StrategyPoint& point) {
  return point.mesh.pipeline == 1 && point.schedule->name == "1f1b" && strategy.overlap;
}

}  // namespace rehearse
