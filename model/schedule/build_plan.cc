#include "model/schedule/build_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include "model/plan/own_net.h"
#include "model/schedule/build_plan/own_classes.h"
#include "model/schedule/build_plan/pipeline_actions.h"
#include "model/schedule/build_plan/plan_groups.h"
#include "model/schedule/holding.h"
#include "model/schedule/scatter.h"

namespace rehearse {
namespace {

class PlanBuilder {
 public:
  PlanBuilder(const StrategySpec& strategy, Plan frame, Net net, const Split& split,
              Holding holding, PipelineActions pipeline, const CollectiveCosts& collectives)
      : strategy_(strategy),
        collectives_(collectives),
        net_(std::move(net)),
        split_(split),
        pipeline_(std::move(pipeline)),
        plan_(std::move(frame)),
        holding_(std::move(holding)),
        workers_(holding_.workers) {}

  Plan run() {
    set_scaling();
    for (const std::size_t block : pipeline_.first_blocks) {
      const bool is_end = block == net_.blocks.size();
      starts_.push_back(is_end ? end_segment(net_) : begin_of(net_, BlockId(block)));
    }
    classes_ = holder_classes(net_, workers_, starts_, pipeline_.ranks_of_stages, holding_.parked);
    buckets_ = cut_buckets(net_, classes_,
                           {strategy_.bucket, state_sizes(plan_.training).gradient,
                            strategy_.sharding == Sharding::parameters});
    groups_.emplace(plan_, classes_, collectives_.ranks_per_node);
    plan_.groups = groups_->all();
    add_programs();
    bind_ranks();
    return std::move(plan_);
  }

 private:
  void set_scaling() {
    // Where the whole network runs, nothing is left out that others have to stand for.
    if (!split_.masks || plan_.masking == Masking::backward) return;
    switch (strategy_.subnetwork->scaling) {
      case Scaling::at_test:
        plan_.branch_scale_at_test = holding_.mean.value();
        break;
      case Scaling::in_training:
        if (!shares_differ())
          plan_.branch_scale_in_training = *scale_in_training(strategy_, split_, holding_, 0);
        break;
      case Scaling::none:
        break;
    }
  }
  bool shares_differ() const {
    return std::any_of(holding_.shares.begin(), holding_.shares.end(),
                       [&](const Share& share) { return share.held != holding_.shares[0].held; });
  }
  std::optional<double> own_scale(std::size_t worker) const {
    return shares_differ() ? scale_in_training(strategy_, split_, holding_, worker) : std::nullopt;
  }

  // ---- programs ---------------------------------------------------------------------------------

  // Ranks run the same program if their workers hold the same, the same is parked with them and
  // they stand alike in the pipeline.
  void add_programs() {
    std::map<std::tuple<std::vector<bool>, std::vector<std::size_t>, std::size_t>, RankClassId>
        known;
    const std::size_t replicas = static_cast<std::size_t>(split_.mesh.data) * workers_.size();
    for (std::size_t replica = 0; replica < replicas; ++replica) {
      const std::vector<std::size_t> parked = parked_on(replica);
      const std::vector<bool>& runs = runs_on(replica).holds;
      const bool is_new = known.count({runs, parked, 0}) == 0;
      const auto net = is_new ? std::optional(own_net(replica)) : std::nullopt;
      for (std::size_t rank = 0; rank < static_cast<std::size_t>(split_.mesh.pipeline); ++rank) {
        RankClassId& program = known[{runs, parked, rank}];
        if (is_new) {
          program = RankClassId(plan_.programs.size());
          plan_.programs.push_back(make_program(**net, replica, rank));
        }
        programs_.push_back(program);
      }
    }
  }

  // Units.
  std::vector<std::size_t> parked_on(std::size_t replica) const {
    std::vector<std::size_t> units;
    for (std::size_t unit = 0; unit < holding_.parked.size(); ++unit) {
      if (holding_.parked[unit] == replica) units.push_back(unit);
    }
    return units;
  }

  const Subnetwork& runs_on(std::size_t replica) const {
    return holding_.runs.empty() ? workers_[replica % workers_.size()] : holding_.runs[replica];
  }

  OwnNet own_net(std::size_t replica) const {
    RankProgram frame;
    frame.subnetwork = runs_on(replica);
    frame.branch_scale_in_training = own_scale(replica % workers_.size());
    return {plan_, net_, frame};
  }

  std::string name_of(std::size_t replica, std::size_t rank) const {
    const std::size_t worker = replica % workers_.size();
    const bool differs = runs_on(replica) != full_subnetwork(net_);
    std::string stages;
    for (const StageId stage : stages_of(pipeline_.shape, rank))
      stages += fmt::format("{}{}", stages.empty() ? "stage" : "+", stage.value());
    if (split_.mesh.pipeline == 1) stages.clear();
    if (!differs) return stages.empty() ? "replica" : stages;
    // Others of this worker's replicas run the same, unless something is parked with one.
    const std::string data =
        replica < workers_.size() ? "" : fmt::format(".replica{}", replica / workers_.size());
    return fmt::format("worker{}{}{}{}", split_.workers[worker], data, stages.empty() ? "" : ".",
                       stages);
  }

  RankProgram make_program(const Net& net, std::size_t replica, std::size_t rank) const {
    const std::size_t worker = replica % workers_.size();
    RankFrame frame;
    frame.name = name_of(replica, rank);
    for (const StageId stage : stages_of(pipeline_.shape, rank))
      frame.stages.push_back({stage, starts_[stage.index()], starts_[stage.index() + 1]});
    frame.starts = starts_;
    frame.subnetwork = runs_on(replica);
    frame.clears = plan_.survival.has_value();
    frame.branch_scale_in_training = own_scale(worker);
    frame.peers = pipeline_.peer_slots(rank);
    frame.actions = pipeline_.ranks[rank];
    frame.micro_batches = pipeline_.shape.micro_batches;
    frame.samples = plan_.micro_batch_samples;
    frame.recomputation = strategy_.recomputation;
    frame.prefetch = strategy_.prefetch;
    // Workers that hold other units reduce at other passes, and the stages of one wait for each
    // other.
    frame.bounds_reductions = split_.mesh.pipeline == 1 || !strategy_.subnetwork;
    frame.is_local = has_local_steps(plan_);
    frame.synchronises = plan_.synchronises;
    frame.outer = plan_.outer;
    frame.overlap = strategy_.overlap;
    if (strategy_.pipeline) frame.exchange = strategy_.pipeline->exchange;
    frame.scatters = scatters(strategy_);
    const OwnClasses own =
        classes_at({static_cast<std::int64_t>(replica / workers_.size()),
                    static_cast<std::int64_t>(worker), static_cast<std::int64_t>(rank), 0});
    frame.tensor_group = own.tensor_group;
    frame.tensor_layout = groups_->tensor_layout();
    frame.overlaps_tensor = strategy_.tensor && strategy_.tensor->overlap;
    frame.collectives = strategy_.collectives;
    frame.collective_costs = &collectives_;
    frame.norm_group = own.norm_group;
    frame.norm_ranks = groups_->norm_ranks();
    return rank_program(net, frame, plan_.training, own.classes, buckets_, own.slots);
  }

  OwnClasses classes_at(const MeshPlace& place) const {
    return own_classes(strategy_, plan_, classes_, *groups_, place);
  }

  void bind_ranks() {
    plan_.ranks.resize(static_cast<std::size_t>(split_.mesh.ranks()));
    for_each_place(split_.mesh, [&](const MeshPlace& place) {
      const std::size_t replica = replica_at(split_.mesh, place);
      RankBinding& binding = plan_.ranks[rank_at(split_.mesh, place).index()];
      binding.program = programs_[replica * static_cast<std::size_t>(split_.mesh.pipeline) +
                                  static_cast<std::size_t>(place.pipeline)];
      for (const std::size_t rank :
           pipeline_.neighbours(static_cast<std::size_t>(place.pipeline))) {
        MeshPlace peer = place;
        peer.pipeline = static_cast<std::int64_t>(rank);
        binding.peers.push_back(rank_at(split_.mesh, peer));
      }
      binding.groups = classes_at(place).groups;
      binding.first_micro_batch =
          static_cast<std::int64_t>(replica) * pipeline_.shape.micro_batches;
      binding.slice = place.tensor;
    });
  }

  const StrategySpec& strategy_;
  const CollectiveCosts& collectives_;
  const Net net_;  // all of it
  const Split split_;
  const PipelineActions pipeline_;
  Plan plan_;
  std::vector<SegmentId> starts_;  // of the stages, and the network's end
  const Holding holding_;
  const std::vector<Subnetwork>& workers_;  // holding_'s
  std::vector<HolderClass> classes_;
  std::vector<Bucket> buckets_;
  std::optional<PlanGroups> groups_;   // of classes_
  std::vector<RankClassId> programs_;  // by replica and rank of the pipeline
};

}  // namespace

StageCosts even_costs(std::size_t blocks) {
  const std::vector<double> ones(blocks, 1.0);
  return {ones, ones, ones, 0};
}

Result<Plan> build_plan(const StrategySpec& strategy, const ModelSpec& model,
                        const Training& training, std::int64_t devices, const StageCosts& costs,
                        const std::optional<StageCut>& cut, const CollectiveCosts& collectives) {
  const Result<ModelSpec> resolved = resolve(model);
  if (!resolved) return resolved.errors();
  const Result<Net> net = build_net(*resolved);
  if (!net) return net.errors();
  Result<Plan> plan = build_plan(strategy, *net, training, devices, costs, cut, collectives);
  if (plan) plan->model = *resolved;
  return plan;
}

Result<Plan> build_plan(const StrategySpec& strategy, const Net& model, const Training& training,
                        std::int64_t devices, const StageCosts& costs,
                        const std::optional<StageCut>& cut, const CollectiveCosts& collectives) {
  Plan frame;
  frame.strategy = strategy.name;
  frame.training = training;
  frame.sequence_parallel = strategy.tensor && strategy.tensor->sequence_parallel;
  frame.recomputation = strategy.recomputation;
  if (strategy.subnetwork) frame.redraw = strategy.subnetwork->redraw;
  frame.local_steps = strategy.local_steps;
  frame.synchronises = strategy.synchronises || strategy.local_steps == 1;
  frame.outer = strategy.outer;
  if (strategy.stochastic_depth) frame.survival = strategy.stochastic_depth->keep;
  const Result<Split> split = split_of(strategy, model, training, devices);
  if (!split) return split.errors();
  frame.mesh = split->mesh;
  frame.micro_batch_samples = split->samples;
  // Those that are left go on with their parts of the batch.
  frame.training.batch =
      split->samples * micro_batches_of(strategy) * split->mesh.data * split->mesh.workers;
  frame.units = split->units;
  frame.masking = masking_of(strategy, *split);
  frame.averaging = averaging_of(strategy, *split);
  Result<Net> net = whole_net(frame, model);
  if (!net) return net.errors();
  if (scatters(strategy)) {
    const Status shared = check_shares(*net, split->mesh.tensor);
    if (!shared) return shared.errors();
  }
  const bool is_cut = split->shape.stages() > 1;
  REHEARSE_CHECK(!is_cut || costs.forward.size() == net->blocks.size(), "{} costs for {} blocks",
                 costs.forward.size(), net->blocks.size());
  if (is_cut) frame.stage_costs = costs;
  const StageCosts even = even_costs(net->blocks.size());
  const bool by_layers = is_cut && strategy.pipeline->cut == StageRule::layers;
  PipelineActions pipeline = pipeline_actions(strategy, split->shape, is_cut ? costs : even,
                                              by_layers ? cut_layers(*net, split->shape.stages())
                                              : is_cut  ? cut
                                                        : std::nullopt);
  Result<Holding> holding = holding_of(strategy, training, *net, *split);
  if (!holding) return holding.errors();
  return PlanBuilder(strategy, std::move(frame), std::move(net).value(), *split,
                     std::move(holding).value(), std::move(pipeline), collectives)
      .run();
}

}  // namespace rehearse
