#include "model/schedule/build_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "model/plan/own_net.h"
#include "model/schedule/buckets.h"
#include "model/schedule/holding.h"
#include "model/schedule/mesh_place.h"
#include "model/schedule/pipeline.h"
#include "model/schedule/rank_program.h"
#include "model/schedule/rendezvous.h"
#include "model/schedule/scatter.h"
#include "model/schedule/stages.h"

namespace rehearse {
namespace {

// ---- the pipeline ------------------------------------------------------------------------------

// Stages and every rank's actions.
struct Pipeline {
  PipelineShape shape;
  std::vector<std::size_t> first_blocks;  // of the stages, and one past the last block
  std::vector<std::vector<Action>> actions;
};

class PipelineBuilder {
 public:
  PipelineBuilder(const StrategySpec& strategy, const PipelineShape& shape, const StageCosts& costs)
      : strategy_(strategy), costs_(costs) {
    result_.shape = shape;
  }

  Pipeline run(const std::optional<StageCut>& cut) {
    result_.first_blocks = cut ? *cut : *cut_stages(total_of(costs_), result_.shape.stages());
    order();
    return std::move(result_);
  }

 private:
  void order() {
    if (strategy_.pipeline && strategy_.pipeline->table) {
      result_.actions = strategy_.pipeline->table->ranks;
      if (!strategy_.pipeline->table->has_messages)
        result_.actions = with_messages(slots_of(strategy_.pipeline->table->ranks));
      return;
    }
    PipelineRequest request;
    request.shape = result_.shape;
    request.costs = costs_of_stages();
    request.live_limit = static_cast<double>(result_.shape.ranks);
    if (strategy_.pipeline && strategy_.pipeline->live)
      request.live_limit = *strategy_.pipeline->live;
    if (strategy_.pipeline) request.kept_after_input = strategy_.pipeline->kept_after_input;
    // A single stage runs each micro-batch forward and backward in turn: gradient accumulation.
    const PipelineSchedule* schedule =
        find_pipeline_schedule(strategy_.pipeline ? strategy_.pipeline->schedule : "1f1b");
    result_.actions = with_messages(schedule->order(request));
  }

  std::vector<std::vector<Action>> with_messages(
      const std::vector<std::vector<Slot>>& passes) const {
    const bool waits = strategy_.pipeline && is_waited_for(strategy_.pipeline->exchange);
    return waits ? add_awaited_messages(result_.shape, passes)
                 : add_messages(result_.shape, passes);
  }

  PipelineCosts costs_of_stages() const {
    PipelineCosts costs;
    costs.transfer = costs_.transfer;
    for (std::size_t s = 0; s + 1 < result_.first_blocks.size(); ++s) {
      const auto sum = [&](const std::vector<double>& by_block) {
        double total = 0;
        for (std::size_t b = result_.first_blocks[s]; b < result_.first_blocks[s + 1]; ++b)
          total += by_block[b];
        return total;
      };
      costs.forward.push_back(sum(costs_.forward));
      costs.backward_input.push_back(sum(costs_.backward_input));
      costs.backward_weight.push_back(sum(costs_.backward_weight));
    }
    return costs;
  }

  const StrategySpec& strategy_;
  const StageCosts& costs_;
  Pipeline result_;
};

// ---- the plan ----------------------------------------------------------------------------------

class PlanBuilder {
 public:
  PlanBuilder(const StrategySpec& strategy, Plan frame, Net net, const Split& split,
              Holding holding, Pipeline pipeline, const CollectiveCosts& collectives)
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
    for (std::int64_t s = 0; s < pipeline_.shape.stages(); ++s)
      ranks_of_stages_.push_back(rank_of(pipeline_.shape, StageId(s)));
    classes_ = holder_classes(net_, workers_, starts_, ranks_of_stages_, holding_.parked);
    buckets_ = cut_buckets(net_, classes_,
                           {strategy_.bucket, state_sizes(plan_.training).gradient,
                            strategy_.sharding == Sharding::parameters});
    add_groups();
    add_reader_groups();
    add_tensor_groups();
    add_norm_groups();
    add_programs();
    bind_ranks();
    return std::move(plan_);
  }

 private:
  using Place = MeshPlace;

  RankId rank_at(const Place& place) const { return rehearse::rank_at(split_.mesh, place); }

  template <class Visit>
  void each_place(Visit visit) const {
    Place place;
    for (place.data = 0; place.data < split_.mesh.data; ++place.data) {
      for (place.worker = 0; place.worker < split_.mesh.workers; ++place.worker) {
        for (place.pipeline = 0; place.pipeline < split_.mesh.pipeline; ++place.pipeline) {
          for (place.tensor = 0; place.tensor < split_.mesh.tensor; ++place.tensor)
            visit(place);
        }
      }
    }
  }

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

  // ---- groups -----------------------------------------------------------------------------------

  static bool uses(const HolderClass& holder_class, const Place& place) {
    return holder_class.pipeline[static_cast<std::size_t>(place.pipeline)];
  }
  static bool holds(const HolderClass& holder_class, const Place& place) {
    return holder_class.workers[static_cast<std::size_t>(place.worker)] &&
           uses(holder_class, place);
  }
  // Whether workers read a class that they do not hold.
  bool has_readers(const HolderClass& holder_class) const {
    return plan_.masking == Masking::backward &&
           std::count(holder_class.workers.begin(), holder_class.workers.end(), false) > 0;
  }

  // Groups by class, one per slice: what is sliced is reduced slice by slice.
  void add_groups() {
    groups_.assign(classes_.size(), {});
    members_.assign(classes_.size(), 0);
    for (std::size_t c = 0; c < classes_.size(); ++c) {
      std::vector<Group> slices(static_cast<std::size_t>(split_.mesh.tensor));
      each_place([&](const Place& place) {
        if (!holds(classes_[c], place)) return;
        slices[slice_of(classes_[c], place)].members.push_back(rank_at(place));
      });
      members_[c] = slices.front().members.size();
      layouts_.push_back(layout_of(slices, collectives_.ranks_per_node));
      for (Group& slice : slices) {
        groups_[c].push_back(GroupId(plan_.groups.size()));
        if (members_[c] > 1 && !slice.members.empty()) plan_.groups.push_back(std::move(slice));
      }
    }
  }

  // Holders first: they are the ones who broadcast.
  void add_reader_groups() {
    readers_.assign(classes_.size(), {});
    for (std::size_t c = 0; c < classes_.size(); ++c) {
      if (!has_readers(classes_[c])) continue;
      std::vector<Group> slices(static_cast<std::size_t>(split_.mesh.tensor));
      for (const bool held : {true, false}) {
        each_place([&](const Place& place) {
          if (!uses(classes_[c], place) || holds(classes_[c], place) != held) return;
          slices[slice_of(classes_[c], place)].members.push_back(rank_at(place));
        });
      }
      for (Group& slice : slices) {
        readers_[c].push_back(GroupId(plan_.groups.size()));
        if (!slice.members.empty()) plan_.groups.push_back(std::move(slice));
      }
    }
  }

  std::size_t slice_of(const HolderClass& holder_class, const Place& place) const {
    return holder_class.partial ? 0 : static_cast<std::size_t>(place.tensor);
  }

  // By place along the other axes.
  void add_tensor_groups() {
    if (split_.mesh.tensor == 1) return;
    std::vector<Group> groups;
    each_place([&](const Place& place) {
      if (place.tensor > 0) return;
      Group group;
      for (Place member = place; member.tensor < split_.mesh.tensor; ++member.tensor)
        group.members.push_back(rank_at(member));
      tensor_groups_[rank_at(place)] = GroupId(plan_.groups.size());
      groups.push_back(group);
      plan_.groups.push_back(std::move(group));
    });
    tensor_layout_ = layout_of(groups, collectives_.ranks_per_node);
  }

  GroupId tensor_group(Place place) const {
    place.tensor = 0;
    return tensor_groups_.at(rank_at(place));
  }

  // Of all ranks: the norm of the gradients is everybody's. With local steps a replica's ranks have
  // one of their own.
  void add_norm_groups() {
    if (!plan_.training.optimizer.clip) return;
    if (!has_local_steps(plan_)) {
      Group all;
      for (std::int64_t r = 0; r < split_.mesh.ranks(); ++r)
        all.members.emplace_back(r);
      return add_norm_group(std::move(all));
    }
    std::map<std::pair<std::int64_t, std::int64_t>, Group> replicas;
    each_place([&](const Place& place) {
      replicas[{place.data, place.worker}].members.push_back(rank_at(place));
    });
    for (auto& [replica, group] : replicas)
      add_norm_group(std::move(group));
  }

  void add_norm_group(Group group) {
    norm_ranks_ = group.members.size();
    if (norm_ranks_ == 1) return;
    for (const RankId member : group.members)
      norm_groups_[member] = GroupId(plan_.groups.size());
    plan_.groups.push_back(std::move(group));
  }

  // Classes that ranks of one pipeline share are gathered by these at different times.
  Sharding sharding_of(std::size_t c) const {
    const auto sharers = std::count(classes_[c].pipeline.begin(), classes_[c].pipeline.end(), true);
    return members_[c] > 1 && sharers == 1 ? strategy_.sharding : Sharding::none;
  }

  // ---- programs ---------------------------------------------------------------------------------

  // Ranks run the same program if their workers hold the same, the same is parked with them and
  // they stand alike in the pipeline.
  void add_programs() {
    std::map<std::tuple<std::vector<bool>, std::vector<std::size_t>, std::size_t>, RankClassId>
        known;
    for (std::size_t replica = 0; replica < replicas(); ++replica) {
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

  // One after the other the workers of a data-parallel replica.
  std::size_t replicas() const {
    return static_cast<std::size_t>(split_.mesh.data) * workers_.size();
  }
  std::size_t replica_at(const Place& place) const {
    return static_cast<std::size_t>(place.data) * workers_.size() +
           static_cast<std::size_t>(place.worker);
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
    frame.peers = peer_slots(rank);
    frame.actions = pipeline_.actions[rank];
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
        own_classes({static_cast<std::int64_t>(replica / workers_.size()),
                     static_cast<std::int64_t>(worker), static_cast<std::int64_t>(rank), 0});
    frame.tensor_group = own.tensor_group;
    frame.tensor_layout = tensor_layout_;
    frame.overlaps_tensor = strategy_.tensor && strategy_.tensor->overlap;
    frame.collectives = strategy_.collectives;
    frame.collective_costs = &collectives_;
    frame.norm_group = own.norm_group;
    frame.norm_ranks = norm_ranks_;
    return rank_program(net, frame, plan_.training, own.classes, buckets_, own.slots);
  }

  // Ranks of the pipeline with which this one exchanges messages, ascending: its peers in order.
  std::vector<std::size_t> neighbours(std::size_t rank) const {
    std::set<std::size_t> found;
    for (const StageId stage : stages_of(pipeline_.shape, rank)) {
      if (stage.index() > 0) found.insert(ranks_of_stages_[stage.index() - 1]);
      if (stage.index() + 1 < ranks_of_stages_.size())
        found.insert(ranks_of_stages_[stage.index() + 1]);
    }
    found.erase(rank);
    return {found.begin(), found.end()};
  }

  std::vector<std::optional<std::size_t>> peer_slots(std::size_t rank) const {
    const std::vector<std::size_t> peers = neighbours(rank);
    std::vector<std::optional<std::size_t>> slots;
    for (const std::size_t other : ranks_of_stages_) {
      const auto found = std::find(peers.begin(), peers.end(), other);
      slots.push_back(found == peers.end() ? std::nullopt
                                           : std::optional<std::size_t>(found - peers.begin()));
    }
    return slots;
  }

  // The classes that a rank holds, and its groups.
  struct OwnClasses {
    std::vector<OwnClass> classes;
    std::vector<std::optional<std::size_t>> slots;        // by class of the plan
    std::vector<GroupId> groups;                          // by slot of the rank's binding
    std::optional<std::size_t> tensor_group, norm_group;  // slots

    std::size_t bind(GroupId group) {
      groups.push_back(group);
      return groups.size() - 1;
    }
  };
  // Whether who holds something after the next draw goes on with the moments that were parked with
  // it, or needs its master copy, which is kept beside them.
  bool parks_state() const {
    const StateSizes sizes = state_sizes(plan_.training);
    const bool has_master = sizes.optimizer > moments_of(plan_.training.optimizer) * sizes.moment;
    return strategy_.subnetwork->redraw &&
           (strategy_.subnetwork->moments == Moments::keep || has_master);
  }

  OwnClasses own_classes(const Place& place) const {
    OwnClasses own;
    own.slots.resize(classes_.size());
    for (std::size_t number = 0; number < classes_.size(); ++number) {
      const HolderClass& holder_class = classes_[number];
      const bool is_held = holds(holder_class, place);
      const bool is_read = has_readers(holder_class) && uses(holder_class, place);
      const bool is_parked = holder_class.parked == replica_at(place) && uses(holder_class, place);
      if (!is_held && !is_read && !is_parked) continue;
      const auto holders =
          std::count(holder_class.workers.begin(), holder_class.workers.end(), true);
      const bool over_all = plan_.averaging == Averaging::all;
      OwnClass entry{&holder_class, std::nullopt, members_[number],
                     split_.mesh.data * (over_all ? split_.mesh.workers : holders),
                     is_held ? sharding_of(number) : Sharding::none};
      entry.layout = layouts_[number];
      entry.is_held = is_held;
      entry.keeps_state = is_held || (is_parked && parks_state());
      if (is_held && members_[number] > 1)
        entry.group = own.bind(groups_[number][slice_of(holder_class, place)]);
      if (is_read) entry.readers = own.bind(readers_[number][slice_of(holder_class, place)]);
      if (is_held) own.slots[number] = own.classes.size();
      own.classes.push_back(entry);
    }
    if (split_.mesh.tensor > 1) own.tensor_group = own.bind(tensor_group(place));
    const auto norm_group = norm_groups_.find(rank_at(place));
    if (norm_group != norm_groups_.end()) own.norm_group = own.bind(norm_group->second);
    return own;
  }

  void bind_ranks() {
    plan_.ranks.resize(static_cast<std::size_t>(split_.mesh.ranks()));
    each_place([&](const Place& place) {
      RankBinding& binding = plan_.ranks[rank_at(place).index()];
      binding.program =
          programs_[replica_at(place) * static_cast<std::size_t>(split_.mesh.pipeline) +
                    static_cast<std::size_t>(place.pipeline)];
      for (const std::size_t rank : neighbours(static_cast<std::size_t>(place.pipeline))) {
        Place peer = place;
        peer.pipeline = static_cast<std::int64_t>(rank);
        binding.peers.push_back(rank_at(peer));
      }
      binding.groups = own_classes(place).groups;
      const std::int64_t replica = place.data * split_.mesh.workers + place.worker;
      binding.first_micro_batch = replica * pipeline_.shape.micro_batches;
      binding.slice = place.tensor;
    });
  }

  const StrategySpec& strategy_;
  const CollectiveCosts& collectives_;
  const Net net_;  // all of it
  const Split split_;
  const Pipeline pipeline_;
  Plan plan_;
  std::vector<SegmentId> starts_;             // of the stages, and the network's end
  std::vector<std::size_t> ranks_of_stages_;  // ranks of the pipeline
  const Holding holding_;
  const std::vector<Subnetwork>& workers_;  // holding_'s
  std::vector<HolderClass> classes_;
  std::vector<Bucket> buckets_;
  std::vector<std::vector<GroupId>> groups_;  // by class and slice; meaningless with one member
  std::vector<std::size_t> members_;          // by class: of each of its groups
  std::vector<CollectiveGroup> layouts_;      // by class: of all of its groups
  CollectiveGroup tensor_layout_;
  std::vector<std::vector<GroupId>> readers_;  // the same, where some read a class that others hold
  std::map<RankId, GroupId> tensor_groups_;    // by first member
  std::map<RankId, GroupId> norm_groups_;      // where gradients are clipped
  std::size_t norm_ranks_ = 1;                 // of each of them
  std::vector<RankClassId> programs_;          // by replica and rank of the pipeline
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
  Pipeline pipeline = PipelineBuilder(strategy, split->shape, is_cut ? costs : even)
                          .run(by_layers ? cut_layers(*net, split->shape.stages())
                               : is_cut  ? cut
                                         : std::nullopt);
  Result<Holding> holding = holding_of(strategy, training, *net, *split);
  if (!holding) return holding.errors();
  return PlanBuilder(strategy, std::move(frame), std::move(net).value(), *split,
                     std::move(holding).value(), std::move(pipeline), collectives)
      .run();
}

}  // namespace rehearse
