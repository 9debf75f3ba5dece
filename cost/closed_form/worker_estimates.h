// Estimates of strategies whose replicas hold different parts of the network (subnetworks), or
// train each for itself for several steps (local SGD, DiLoCo). What is found out is kept, as in
// estimator.h.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "cost/closed_form/refusal.h"
#include "cost/closed_form/worker_step.h"
#include "model/cluster/cluster.h"

namespace rehearse {

// Whether a strategy is estimated here.
bool has_workers(const StrategySpec& strategy);

class WorkerEstimates {
 public:
  // All must outlive it. whole: as the model builds it.
  WorkerEstimates(const Net& whole, const Training& training, const Cluster& cluster,
                  Routes& routes, PassOrders& orders, bool has_stand_ins, std::int64_t steps)
      : whole_(whole),
        training_(training),
        cluster_(cluster),
        routes_(routes),
        orders_(orders),
        has_stand_ins_(has_stand_ins),
        steps_(steps) {}

  // A strategy to which resolve_mesh(), check_pipeline() and micro_batch_samples() have no
  // objections, and what these say.
  struct Call {
    const StrategySpec& strategy;
    Mesh mesh;
    const PipelineSchedule* schedule = nullptr;
    PipelineShape shape;
    std::int64_t samples = 1;
  };
  // What is wrong with it; or what of it has no closed form.
  std::optional<Verdict> check(const Call& call);
  std::string why(const Call& call);  // it is wrong

  struct Rank {
    RankPeak peak;
    std::uint32_t rank = 0;  // of the pipeline
    Bytes stand_ins;         // of gradients
    std::int64_t peers = 0;  // whose devices it exchanges messages with, where that takes memory
  };
  // By worker, then rank of the pipeline. states: live_states() of the schedule and shape.
  std::vector<Rank> ranks(const Call& call, const std::vector<LiveStates>& states);
  // Of local steps the mean of a period.
  StepTimes times(const Call& call);
  bool shares_links(const Call& call);
  // Whether a worker has so many kinds of replicas that of each boundary the slowest counts.
  bool merges_replicas(const Call& call);
  Flops flops(const Call& call);  // of a step, without recomputation

 private:
  // A network as ranks of one tensor parallelism run it.
  struct Side {
    Side(Net net, std::int64_t tensor, bool overlaps, const Training& training,
         const Device& device)
        : net(std::move(net)), stages(this->net, tensor, overlaps, training, device) {}
    UnitNet net;
    WorkerStages stages;
    std::map<std::pair<Recomputation, std::int64_t>, std::vector<double>> costs;  // by block
  };
  struct Entry {  // who holds what
    SubnetworkSpec spec;
    Result<Workers> workers;
    Side* side = nullptr;
  };
  // Ranks and who they exchange with, for micro-batches of one size.
  struct Staff {
    const WorkerRanks* ranks = nullptr;
    const MeshCosts* mesh = nullptr;
    const std::vector<WorkerGroup>* groups = nullptr;
    std::vector<std::vector<const WorkerPasses*>> passes;
    PassLinks links;  // of each boundary the slowest replica's
    std::vector<ReplicaLinks> replicas;
    std::vector<std::size_t> replicas_of;  // by worker: which of these
    std::vector<WorkerNorm> norms;
  };

  Result<Side*> side(const Call& call, const UnitRule& units);
  Entry make_entry(const Call& call);
  Entry& entry(const Call& call);
  Mesh mesh_of(const Call& call, const Entry& entry) const;
  const MeshCosts& costs_of(const Mesh& mesh);
  StageCut cut(const Call& call, Side& side);
  const WorkerRanks& ranks_of(const Call& call, Entry& entry);
  const Staff& staff(const Call& call);
  PassLinks links(const Call& call, const Side& side, const StageCut& cut,
                  const MeshCosts::BoundaryWays& ways) const;
  void link_replicas(const Call& call, const Side& side, const StageCut& cut, Staff& made) const;
  std::vector<WorkerNorm> norms(const Call& call, const Mesh& mesh) const;
  WorkerPrices prices(const Call& call, const Staff& staff) const;
  // synchronises: of local steps, at the end of a period.
  WorkerStep step(const Call& call, const Staff& staff, const WorkerPrices& prices,
                  bool synchronises);

  const Net& whole_;
  const Training& training_;
  const Cluster& cluster_;
  Routes& routes_;
  PassOrders& orders_;
  const bool has_stand_ins_;
  const std::int64_t steps_;
  using SideKey = std::tuple<std::int64_t, bool, bool, bool, std::int64_t, std::vector<WidthAxis>,
                             std::vector<BlockId>>;
  std::map<SideKey, std::unique_ptr<Side>> sides_;
  using EntryKey = std::tuple<std::int64_t, std::int64_t, std::int64_t, bool, bool, bool,
                              std::int64_t, std::int64_t, Masking>;
  std::map<EntryKey, std::deque<Entry>> entries_;
  std::map<std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, AxisOrder>, MeshCosts>
      meshes_;
  using RanksKey =
      std::tuple<const Entry*, StageCut, std::int64_t, std::int64_t, Bytes, bool, bool, bool>;
  std::map<RanksKey, WorkerRanks> ranks_;
  std::map<std::pair<const WorkerRanks*, AxisOrder>, std::vector<WorkerGroup>> groups_;
  std::map<std::tuple<const WorkerRanks*, AxisOrder, std::int64_t>, Staff> staffs_;
};

}  // namespace rehearse
