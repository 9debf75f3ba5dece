#include "model/schedule/build_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "model/schedule/assignment.h"
#include "model/schedule/buckets.h"
#include "model/schedule/pipeline.h"
#include "model/schedule/stage_program.h"
#include "model/schedule/stages.h"

namespace rehearse {
namespace {

// A single stage runs each micro-batch forward and backward in turn: gradient accumulation.
const PipelineSchedule* schedule_of(const StrategySpec& strategy) {
  return find_pipeline_schedule(strategy.pipeline ? strategy.pipeline->schedule : "1f1b");
}

struct Split {
  Mesh mesh;
  std::int64_t samples = 1;  // of a micro-batch
  std::int64_t holders = 1;  // of a unit
};

Result<Split> split_of(const StrategySpec& strategy, const Net& net, const Training& training,
                       std::int64_t devices) {
  const Result<Mesh> mesh = resolve_mesh(strategy, devices);
  if (!mesh) return mesh.errors();
  const Status stages = check_stages(*mesh, net.blocks.size());
  if (!stages) return stages.errors();
  if (schedule_of(strategy) == nullptr) {
    return error(fmt::format("there is no pipeline schedule '{}'", strategy.pipeline->schedule));
  }
  const Result<std::int64_t> samples = micro_batch_samples(strategy, *mesh, training.batch);
  if (!samples) return samples.errors();
  Split split{*mesh, *samples, mesh->workers};
  if (!strategy.subnetwork) return split;
  const Result<std::int64_t> holders = holders_of(*strategy.subnetwork, mesh->workers);
  if (!holders) return holders.errors();
  split.holders = *holders;
  return split;
}

class PlanBuilder {
 public:
  PlanBuilder(const StrategySpec& strategy, Net net, const Split& split)
      : strategy_(strategy), net_(std::move(net)), split_(split) {}

  Plan run(const ModelSpec& model, const Training& training, const std::vector<double>& costs) {
    PipelineRequest request;
    request.shape = {split_.mesh.stages, 1, micro_batches_of(strategy_), Placement::loop};
    orders_ = schedule_of(strategy_)->order(request);
    plan_.strategy = strategy_.name;
    plan_.model = model;
    plan_.training = training;
    plan_.mesh = split_.mesh;
    plan_.micro_batch_samples = split_.samples;
    set_scaling();
    cut(costs);
    assign();
    classes_ = holder_classes(net_, workers_, stage_starts_);
    buckets_ = cut_buckets(net_, classes_, strategy_.bucket, state_sizes(training).gradient);
    add_groups();
    add_programs();
    bind_ranks();
    return std::move(plan_);
  }

 private:
  void set_scaling() {
    if (!strategy_.subnetwork) return;
    const auto holders = static_cast<double>(split_.holders);
    const auto workers = static_cast<double>(split_.mesh.workers);
    switch (strategy_.subnetwork->scaling) {
      case Scaling::at_test:
        plan_.branch_scale_at_test = holders / workers;
        break;
      case Scaling::in_training:
        plan_.branch_scale_in_training = workers / holders;
        break;
      case Scaling::none:
        break;
    }
  }

  void cut(const std::vector<double>& costs) {
    if (split_.mesh.stages > 1) plan_.stage_costs = costs;
    const std::vector<double> even(net_.blocks.size(), 1);
    for (const std::size_t block :
         cut_stages(split_.mesh.stages > 1 ? costs : even, split_.mesh.stages)) {
      const bool is_end = block == net_.blocks.size();
      stage_starts_.push_back(is_end ? end_segment(net_) : begin_of(net_, BlockId(block)));
    }
  }

  void assign() {
    if (!strategy_.subnetwork || split_.holders == split_.mesh.workers) {
      workers_.assign(static_cast<std::size_t>(split_.mesh.workers), full_subnetwork(net_));
      return;
    }
    const Assignment assignment =
        assign_units(net_, unit_loads(net_, strategy_.subnetwork->balance), split_.mesh.workers,
                     split_.holders, plan_.training.seed);
    for (std::int64_t w = 0; w < split_.mesh.workers; ++w) {
      workers_.push_back(subnetwork_of(assignment, w));
    }
  }

  // Neighbouring stages on neighbouring ranks, whole pipelines of workers inside data parallelism.
  RankId rank_of(std::int64_t data, std::size_t worker, std::size_t stage) const {
    const auto pipeline = data * split_.mesh.workers + static_cast<std::int64_t>(worker);
    return RankId(pipeline * split_.mesh.stages + static_cast<std::int64_t>(stage));
  }

  void add_groups() {
    for (const HolderClass& holder_class : classes_) {
      Group group;
      for (std::int64_t data = 0; data < split_.mesh.data; ++data) {
        for (std::size_t worker = 0; worker < workers_.size(); ++worker) {
          for (std::size_t stage = 0; stage + 1 < stage_starts_.size(); ++stage) {
            if (holder_class.workers[worker] && holder_class.stages[stage]) {
              group.members.push_back(rank_of(data, worker, stage));
            }
          }
        }
      }
      members_.push_back(group.members.size());
      if (group.members.size() == 1) {
        groups_.push_back(std::nullopt);
        continue;
      }
      groups_.push_back(GroupId(plan_.groups.size()));
      plan_.groups.push_back(std::move(group));
    }
  }

  // Ranks run the same program if their workers hold the same and their stages are the same.
  void add_programs() {
    std::map<std::pair<std::vector<bool>, std::size_t>, RankClassId> known;
    for (std::size_t worker = 0; worker < workers_.size(); ++worker) {
      const bool is_new = known.count({workers_[worker].holds, 0}) == 0;
      const Net net = is_new ? own_net(worker) : Net{};
      for (std::size_t stage = 0; stage + 1 < stage_starts_.size(); ++stage) {
        if (is_new) {
          known[{workers_[worker].holds, stage}] = RankClassId(plan_.programs.size());
          plan_.programs.push_back(make_program(net, worker, stage));
        }
        programs_.push_back(known[{workers_[worker].holds, stage}]);
      }
    }
  }

  Net own_net(std::size_t worker) const {
    RankProgram frame;
    frame.subnetwork = workers_[worker];
    return net_of(plan_, net_, frame);
  }

  std::string name_of(std::size_t worker, std::size_t stage) const {
    const bool differs = workers_[worker] != full_subnetwork(net_);
    const std::string stage_name = split_.mesh.stages > 1 ? fmt::format("stage{}", stage) : "";
    if (!differs) return stage_name.empty() ? "replica" : stage_name;
    return fmt::format("worker{}{}{}", worker, stage_name.empty() ? "" : ".", stage_name);
  }

  RankProgram make_program(const Net& net, std::size_t worker, std::size_t stage) const {
    StageFrame frame;
    frame.name = name_of(worker, stage);
    frame.begin = stage_starts_[stage];
    frame.end = stage_starts_[stage + 1];
    frame.subnetwork = workers_[worker];
    if (stage > 0) frame.previous = 0;
    if (stage + 2 < stage_starts_.size()) frame.next = stage > 0 ? 1 : 0;
    frame.micro_batches = micro_batches_of(strategy_);
    frame.samples = plan_.micro_batch_samples;
    frame.order = orders_[stage];
    const OwnClasses own = own_classes(worker, stage);
    return stage_program(net, frame, plan_.training, own.classes, buckets_, own.slots);
  }

  struct OwnClasses {
    std::vector<StageClass> classes;
    std::vector<std::optional<std::size_t>> slots;  // by holder class of the plan
    std::vector<GroupId> groups;                    // by slot of the rank's binding
  };
  OwnClasses own_classes(std::size_t worker, std::size_t stage) const {
    OwnClasses own;
    own.slots.resize(classes_.size());
    for (std::size_t number = 0; number < classes_.size(); ++number) {
      const HolderClass& holder_class = classes_[number];
      if (!holder_class.workers[worker] || !holder_class.stages[stage]) continue;
      const auto holders =
          std::count(holder_class.workers.begin(), holder_class.workers.end(), true);
      StageClass entry{&holder_class, std::nullopt, members_[number], split_.mesh.data * holders};
      if (groups_[number]) {
        entry.group = own.groups.size();
        own.groups.push_back(*groups_[number]);
      }
      own.slots[number] = own.classes.size();
      own.classes.push_back(entry);
    }
    return own;
  }

  void bind_ranks() {
    const std::size_t stages = stage_starts_.size() - 1;
    for (std::int64_t data = 0; data < split_.mesh.data; ++data) {
      for (std::size_t worker = 0; worker < workers_.size(); ++worker) {
        for (std::size_t stage = 0; stage < stages; ++stage) {
          RankBinding binding;
          binding.program = programs_[worker * stages + stage];
          if (stage > 0) binding.peers.push_back(rank_of(data, worker, stage - 1));
          if (stage + 1 < stages) binding.peers.push_back(rank_of(data, worker, stage + 1));
          binding.groups = own_classes(worker, stage).groups;
          const auto replica = data * split_.mesh.workers + static_cast<std::int64_t>(worker);
          binding.first_micro_batch = replica * micro_batches_of(strategy_);
          plan_.ranks.push_back(std::move(binding));
        }
      }
    }
  }

  const StrategySpec& strategy_;
  const Net net_;  // all of it
  const Split split_;
  Plan plan_;
  std::vector<SegmentId> stage_starts_;  // and the network's end
  std::vector<Subnetwork> workers_;
  std::vector<HolderClass> classes_;
  std::vector<Bucket> buckets_;
  std::vector<std::optional<GroupId>> groups_;  // by class; none: one member
  std::vector<std::size_t> members_;            // by class
  std::vector<std::vector<Slot>> orders_;       // by stage
  std::vector<RankClassId> programs_;           // by worker and stage
};

}  // namespace

Result<Plan> build_plan(const StrategySpec& strategy, const ModelSpec& model,
                        const Training& training, std::int64_t devices,
                        const std::vector<double>& costs) {
  const Result<ModelSpec> resolved = resolve(model);
  if (!resolved) return resolved.errors();
  Result<Net> net = build_net(*resolved);
  if (!net) return net.errors();
  const Result<Split> split = split_of(strategy, *net, training, devices);
  if (!split) return split.errors();
  REHEARSE_CHECK(split->mesh.stages == 1 || costs.size() == net->blocks.size(),
                 "{} costs for {} blocks", costs.size(), net->blocks.size());
  return PlanBuilder(strategy, std::move(net).value(), *split).run(*resolved, training, costs);
}

}  // namespace rehearse
