// The stages of a pipeline on their ranks: passes, messages and updates, priced.
#pragma once

#include <map>
#include <tuple>
#include <vector>

#include "cost/closed_form/live_states.h"
#include "cost/closed_form/pass_timeline.h"
#include "cost/closed_form/rank_updates.h"
#include "cost/closed_form/staged_cut.h"

namespace rehearse {

class StagedModel {
 public:
  // All must outlive it.
  StagedModel(NetPasses& passes, const StagedCut& cut, const PipelineShape& shape,
              const Training& training, const Device& device, PassOrders& orders);

  // By rank of the pipeline.
  const std::vector<const RankUpdates*>& updates(const MeshCosts& mesh, Sharding sharding);
  // Of one step that all ranks begin at once; or each when it says.
  const PassTimeline& timeline(const PipelineSchedule& schedule, std::int64_t micro_batches,
                               const MeshCosts& mesh);
  PassTimeline timeline(const PipelineSchedule& schedule, std::int64_t micro_batches,
                        const MeshCosts& mesh, const std::vector<double>& begin);
  // By rank: what is alive above its state when most is. states: live_states() of the schedule and
  // shape, which must outlive it.
  struct RankAbove {
    std::int64_t live = 0;  // while a pass runs, the most
    std::uint32_t stage = 0;
    StageAction action = StageAction::forward;
    // By stage of the rank: when the pass begins in which gradients are complete; below 0: never.
    std::vector<std::int64_t> before_last;
  };
  const std::vector<RankAbove>& above(const std::vector<LiveStates>& states);
  // Seconds of all messages between stages that a rank sends in a step.
  double messages(const MeshCosts& mesh, std::size_t rank, std::int64_t micro_batches);
  // Whether ranks that do the same at the same time meet on a link.
  bool shares_links(const MeshCosts& mesh) const;

  const StagedCut& cut() const { return cut_; }
  const StagePasses& stage(std::size_t number) const { return *stages_[number]; }

 private:
  const PassLinks& links(const MeshCosts& mesh);
  RankAbove above_of(const LiveStates& states) const;

  const StagedCut& cut_;
  const PipelineShape shape_;
  const Training& training_;
  const Device& device_;
  PassOrders& orders_;
  std::vector<const StagePasses*> stages_;
  std::vector<std::array<std::int64_t, kStageActions>> state_bytes_;
  std::vector<const NetPasses::Crossing*> messages_;  // by boundary
  std::map<std::pair<const MeshCosts*, std::size_t>, RankUpdates> rank_updates_[2];
  std::map<std::pair<const MeshCosts*, Sharding>, std::vector<const RankUpdates*>> updates_;
  std::map<const MeshCosts*, PassLinks> links_;
  std::map<const std::vector<LiveStates>*, std::vector<RankAbove>> above_;
  std::map<std::tuple<const PipelineSchedule*, std::int64_t, const MeshCosts*>, PassTimeline>
      timelines_;
};

}  // namespace rehearse
