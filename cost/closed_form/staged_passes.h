// The passes of a pipeline's stages on their ranks: when they run, what their messages take, and
// what is alive meanwhile.
//
// Nothing of it depends on who holds what: cuts whose programs are the same (of buckets of other
// sizes, mostly) have one of it.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "cost/closed_form/live_states.h"
#include "cost/closed_form/mesh_costs.h"
#include "cost/closed_form/pass_timeline.h"
#include "cost/closed_form/rank_net.h"

namespace rehearse {

// Of which passes, between which messages; by stage, and by boundary.
struct StageSequence {
  std::vector<const StagePasses*> stages;
  std::vector<const NetPasses::Crossing*> messages;
  std::int64_t ranks = 1, chunks = 1;
  StageExchange exchange = StageExchange::overlapped;
  auto operator<=>(const StageSequence&) const = default;
};

class StagedPasses {
 public:
  // Both must outlive it.
  StagedPasses(const StageSequence& sequence, PassOrders& orders, const Device& device);
  StagedPasses(const StagedPasses&) = delete;

  // Of one step that all ranks begin at once; or each when it says. By kind of replicas: those that
  // another kind's messages are nowhere faster than say when all have ended (pass_timeline.h).
  const std::vector<PassTimeline>& timelines(const PipelineSchedule& schedule,
                                             std::int64_t micro_batches, const MeshCosts& mesh);
  std::vector<PassTimeline> timelines(const PipelineSchedule& schedule, std::int64_t micro_batches,
                                      const MeshCosts& mesh, const std::vector<double>& begin);
  // Whether there are so many kinds that of each boundary the slowest replica counts.
  bool merges_replicas(const MeshCosts& mesh) { return on(mesh).replicas.are_merged; }
  // What is alive on a rank above its state when most is. states: live_states() of the schedule and
  // shape, which must outlive it.
  const RankAbove& above(const std::vector<LiveStates>& states, std::size_t rank);
  // Seconds of all messages between stages that a rank sends in a step, in the slowest replica.
  double messages(const MeshCosts& mesh, std::size_t rank, std::int64_t micro_batches);
  // Of the one that leaves when its last pass of a step has run; 0: of the first rank none does.
  double last_message(const MeshCosts& mesh, std::size_t rank);
  // Whether messages that are sent at the same time meet on a link.
  bool shares_links(const MeshCosts& mesh) const;

  StageExchange exchange() const { return sequence_.exchange; }
  const StagePasses& stage(std::size_t number) const { return *sequence_.stages[number]; }

 private:
  struct OnMesh {
    const MeshCosts* mesh;
    ReplicaLinks replicas;
    std::vector<double> messages;  // by rank, of one micro-batch
  };
  const OnMesh& on(const MeshCosts& mesh);
  PassLinks links_of(const MeshCosts::BoundaryWays& ways) const;
  PipelineShape shape(std::int64_t micro_batches) const;
  std::size_t rank_of(std::size_t stage) const;

  const StageSequence& sequence_;
  PassOrders& orders_;
  const Device& device_;
  std::vector<std::array<std::int64_t, kStageActions>> state_bytes_;
  std::deque<OnMesh> meshes_;
  std::map<const std::vector<LiveStates>*, std::vector<RankAbove>> above_;
  std::map<std::tuple<const PipelineSchedule*, std::int64_t, const MeshCosts*>,
           std::vector<PassTimeline>>
      timelines_;
};

// Each made when it is first asked for.
class StagedPassesTable {
 public:
  StagedPassesTable(PassOrders& orders, const Device& device) : orders_(orders), device_(device) {}
  StagedPasses& of(StageSequence sequence);

 private:
  PassOrders& orders_;
  const Device& device_;
  std::map<StageSequence, std::optional<StagedPasses>> known_;
};

}  // namespace rehearse
