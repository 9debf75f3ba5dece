// The stages of a pipeline on their ranks: passes, messages and updates, priced.
#pragma once

#include <deque>
#include <map>
#include <tuple>
#include <vector>

#include "cost/closed_form/live_states.h"
#include "cost/closed_form/pass_timeline.h"
#include "cost/closed_form/rank_updates.h"
#include "cost/closed_form/staged_cut.h"

namespace rehearse {

// What the ranks of a pipeline do after their passes.
struct PipelineUpdates {
  std::vector<const RankUpdates*> ranks;
  // By rank: seconds of reductions and gathers of the ranks whose messages its own meet on links.
  std::vector<double> of_others;
};

class StagedModel {
 public:
  // All must outlive it.
  StagedModel(NetPasses& passes, const StagedCut& cut, const PipelineShape& shape,
              StageExchange exchange, PassOrders& orders, ReductionTable& reductions);

  const PipelineUpdates& updates(const MeshCosts& mesh, Sharding sharding);
  // Of one step that all ranks begin at once; or each when it says.
  const PassTimeline& timeline(const PipelineSchedule& schedule, std::int64_t micro_batches,
                               const MeshCosts& mesh);
  PassTimeline timeline(const PipelineSchedule& schedule, std::int64_t micro_batches,
                        const MeshCosts& mesh, const std::vector<double>& begin);
  // What is alive on a rank above its state when most is. states: live_states() of the schedule and
  // shape, which must outlive it.
  struct RankAbove {
    std::int64_t live = -1;  // while a pass runs, the most; below 0: not known
    std::uint32_t stage = 0;
    StageAction action = StageAction::forward;
    // By stage of the rank: when the pass begins in which gradients are complete; below 0: never.
    std::vector<std::int64_t> before_last;
  };
  const RankAbove& above(const std::vector<LiveStates>& states, std::size_t rank);
  // Seconds of all messages between stages that a rank sends in a step.
  double messages(const MeshCosts& mesh, std::size_t rank, std::int64_t micro_batches);
  // Whether ranks that do the same at the same time meet on a link.
  bool shares_links(const MeshCosts& mesh) { return on(mesh).shares_links; }

  const StagedCut& cut() const { return cut_; }
  const StagePasses& stage(std::size_t number) const { return *stages_[number]; }

 private:
  struct OnMesh {
    const MeshCosts* mesh;
    PassLinks links;
    std::vector<double> messages;  // by rank, of one micro-batch
    bool shares_links = false;
  };
  OnMesh& on(const MeshCosts& mesh);
  PassLinks links_of(const MeshCosts& mesh) const;
  bool do_share_links(const MeshCosts& mesh) const;
  RankAbove above_of(const LiveStates& states) const;

  const StagedCut& cut_;
  const PipelineShape shape_;
  const StageExchange exchange_;
  PassOrders& orders_;
  ReductionTable& reductions_;
  const Device& device_;
  std::vector<const StagePasses*> stages_;
  std::vector<std::array<std::int64_t, kStageActions>> state_bytes_;
  std::vector<const NetPasses::Crossing*> messages_;  // by boundary
  std::deque<OnMesh> meshes_;
  std::map<std::pair<const RankReductions*, const RankKind*>, RankUpdates> rank_updates_;
  std::map<std::pair<const MeshCosts*, Sharding>, PipelineUpdates> updates_;
  std::map<const std::vector<LiveStates>*, std::vector<RankAbove>> above_;
  std::map<std::tuple<const PipelineSchedule*, std::int64_t, const MeshCosts*>, PassTimeline>
      timelines_;
};

}  // namespace rehearse
