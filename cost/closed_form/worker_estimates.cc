#include "cost/closed_form/worker_estimates.h"

#include <algorithm>
#include <set>

#include "cost/closed_form/worker_peaks.h"
#include "cost/closed_form/worker_peers.h"
#include "cost/estimate.h"
#include "model/base/check.h"
#include "model/net/tensor.h"
#include "model/net/width.h"
#include "model/schedule/mesh_place.h"

namespace rehearse {

bool has_workers(const StrategySpec& strategy) {
  return strategy.subnetwork || strategy.local_steps > 1 || strategy.outer;
}

namespace {

bool is_local(const StrategySpec& strategy) {
  return strategy.local_steps > 1;
}

// All that says who holds what, but for the draws, which have no closed form.
auto key_of(const SubnetworkSpec& it) {
  const auto& [numerator, denominator] = it.coverage;
  return std::tie(it.construction, numerator, denominator, it.holders, it.coverages, it.assignment,
                  it.width_units, it.masking, it.scaling, it.balance, it.averaging, it.always_held,
                  it.axes, it.draw, it.lost);
}

}  // namespace

// ---- who holds what ----------------------------------------------------------------------------

Result<WorkerEstimates::Side*> WorkerEstimates::side(const Call& call, const UnitRule& units) {
  const StrategySpec& strategy = call.strategy;
  Plan frame;
  frame.mesh = call.mesh;
  frame.recomputation = strategy.recomputation;
  frame.units = units;
  frame.sequence_parallel =
      strategy.tensor && strategy.tensor->sequence_parallel && call.mesh.tensor > 1;
  const bool overlaps = strategy.tensor && strategy.tensor->overlap && call.mesh.tensor > 1;
  auto& known = sides_[{call.mesh.tensor, frame.sequence_parallel, overlaps,
                        strategy.recomputation == Recomputation::selective, units.of_width,
                        units.axes, units.always_held}];
  if (!known) {
    Result<Net> net = whole_net(frame, whole_);
    if (!net) return net.errors();
    known = std::make_unique<Side>(*std::move(net), call.mesh.tensor, overlaps, training_,
                                   cluster_.device());
  }
  return known.get();
}

WorkerEstimates::Entry WorkerEstimates::make_entry(const Call& call) {
  const StrategySpec& strategy = call.strategy;
  const SubnetworkSpec spec = strategy.subnetwork.value_or(SubnetworkSpec{});
  Result<Split> split =
      split_of(strategy, whole_, training_, static_cast<std::int64_t>(cluster_.rank_count()));
  if (!split) return {spec, split.errors(), nullptr};
  const Result<Side*> side = this->side(call, split->units);
  if (!side) return {spec, side.errors(), nullptr};
  return {spec, workers_of(strategy, training_, (*side)->net, *std::move(split)), *side};
}

WorkerEstimates::Entry& WorkerEstimates::entry(const Call& call) {
  const StrategySpec& strategy = call.strategy;
  const SubnetworkSpec spec = strategy.subnetwork.value_or(SubnetworkSpec{});
  const bool rows = strategy.tensor && strategy.tensor->sequence_parallel && call.mesh.tensor > 1;
  const bool overlaps = strategy.tensor && strategy.tensor->overlap && call.mesh.tensor > 1;
  auto& alike = entries_[{call.mesh.data, call.mesh.workers, call.mesh.tensor, rows, overlaps,
                          strategy.recomputation == Recomputation::selective,
                          spec.coverage.numerator, spec.coverage.denominator, spec.masking}];
  for (Entry& known : alike) {
    if (key_of(known.spec) == key_of(spec)) return known;
  }
  return alike.emplace_back(make_entry(call));
}

std::optional<Verdict> WorkerEstimates::check(const Call& call) {
  const StrategySpec& strategy = call.strategy;
  if (strategy.sharding > Sharding::optimizer_state) return Verdict::sharded_gradients;
  if (check_local_steps(strategy, call.mesh, training_, whole_)) return Verdict::workers;
  const Entry& known = entry(call);
  if (!known.workers) return Verdict::workers;
  const Parking& parked = known.workers->holding.parked;
  if (std::any_of(parked.begin(), parked.end(), [](const auto& place) { return place; }))
    return Verdict::parked_units;
  if (strategy.pipeline && strategy.pipeline->cut == StageRule::layers &&
      !cut_layers(known.side->net.net(), call.shape.stages()))
    return Verdict::pipeline;
  return std::nullopt;
}

std::string WorkerEstimates::why(const Call& call) {
  const auto local = check_local_steps(call.strategy, call.mesh, training_, whole_);
  if (local) return local->message;
  return entry(call).workers.errors().front().message;
}

Mesh WorkerEstimates::mesh_of(const Call& call, const Entry& entry) const {
  Mesh mesh = call.mesh;
  mesh.workers = std::ssize(entry.workers->all);  // without those that are lost
  return mesh;
}

// ---- who stands where --------------------------------------------------------------------------

const MeshCosts& WorkerEstimates::costs_of(const Mesh& mesh) {
  const auto [known, is_new] =
      meshes_.try_emplace({mesh.data, mesh.workers, mesh.pipeline, mesh.tensor, mesh.order});
  if (is_new) known->second = mesh_costs(routes_, mesh);
  return known->second;
}

StageCut WorkerEstimates::cut(const Call& call, Side& side) {
  const Net& net = side.net.net();
  const std::int64_t stages = call.shape.stages();
  if (stages == 1) return {0, net.blocks.size()};
  if (call.strategy.pipeline->cut == StageRule::layers) return *cut_layers(net, stages);
  std::vector<double>& costs = side.costs[{call.strategy.recomputation, call.samples}];
  if (costs.empty())
    costs = total_of(stage_costs(net, call.strategy.recomputation, call.samples, training_,
                                 cluster_.spec(), call.mesh));
  return *cut_stages(costs, stages);
}

const WorkerRanks& WorkerEstimates::ranks_of(const Call& call, Entry& entry) {
  const StrategySpec& strategy = call.strategy;
  RankSettings settings;
  settings.cut = cut(call, *entry.side);
  settings.shape = call.shape;
  settings.bucket = strategy.bucket;
  settings.recomputation = strategy.recomputation;
  settings.splits_backward = call.schedule->splits_backward;
  settings.is_local = is_local(strategy);
  settings.data = call.mesh.data;
  settings.tensor = call.mesh.tensor;
  settings.has_stand_ins = has_stand_ins_;
  const bool full = strategy.recomputation == Recomputation::full;
  const auto [known, is_new] =
      ranks_.try_emplace({&entry, settings.cut, call.shape.ranks, call.shape.chunks,
                          strategy.bucket, full, settings.splits_backward, settings.is_local});
  if (is_new)
    known->second =
        worker_ranks(entry.side->net, *entry.workers, training_, settings, entry.side->stages);
  return known->second;
}

const WorkerEstimates::Staff& WorkerEstimates::staff(const Call& call) {
  Entry& own = entry(call);
  const WorkerRanks& ranks = ranks_of(call, own);
  const auto [known, is_new] = staffs_.try_emplace({&ranks, call.mesh.order, call.samples});
  Staff& made = known->second;
  if (!is_new) return made;
  const Mesh mesh = mesh_of(call, own);
  made.ranks = &ranks;
  made.mesh = &costs_of(mesh);
  const auto [groups, is_first] = groups_.try_emplace({&ranks, call.mesh.order});
  if (is_first) groups->second = worker_groups(ranks, routes_, mesh);
  made.groups = &groups->second;
  made.passes.assign(own.workers->all.size(), {});
  for (auto& of_worker : made.passes)
    of_worker.resize(static_cast<std::size_t>(call.shape.stages()));
  for (const WorkerRank& rank : ranks.ranks) {
    for (std::size_t s = 0; s < rank.stages.size(); ++s)
      made.passes[rank.worker][rank.stages[s]] =
          &own.side->stages.passes(rank.programs[s], call.samples, made.mesh->tensor);
  }
  link_replicas(call, *own.side, cut(call, *own.side), made);
  made.norms = norms(call, mesh);
  return made;
}

void WorkerEstimates::link_replicas(const Call& call, const Side& side, const StageCut& cut,
                                    Staff& made) const {
  const MeshCosts& mesh = *made.mesh;
  made.links = links(call, side, cut, mesh.messages);
  std::vector<PassLinks> kinds;
  for (const MeshCosts::BoundaryWays& ways : mesh.replica_kinds)
    kinds.push_back(links(call, side, cut, ways));
  if (kinds.empty()) kinds.push_back(made.links);
  std::map<std::set<std::size_t>, std::size_t> known;
  const std::size_t workers = made.passes.size();
  for (std::size_t worker = 0; worker < workers; ++worker) {
    std::set<std::size_t> own;
    for (std::size_t at = worker; at < mesh.kind_of_replica.size(); at += workers)
      own.insert(mesh.kind_of_replica[at]);
    const auto [number, is_new] = known.try_emplace(own, made.replicas.size());
    made.replicas_of.push_back(number->second);
    if (!is_new) continue;
    std::vector<PassLinks> of_worker;
    for (const std::size_t kind : own)
      of_worker.push_back(kinds[kind]);
    made.replicas.push_back(slowest_replicas(std::move(of_worker)));
  }
}

// Where steps are local a pipeline's ranks have a norm of their own.
std::vector<WorkerNorm> WorkerEstimates::norms(const Call& call, const Mesh& mesh) const {
  if (!training_.optimizer.clip) return {};
  std::map<std::pair<std::int64_t, std::int64_t>, std::vector<RankId>> groups;
  std::vector<std::size_t> number_of(static_cast<std::size_t>(mesh.ranks()));
  for_each_place(mesh, [&](const MeshPlace& place) {
    const RankId rank = rank_at(mesh, place);
    number_of[rank.index()] =
        static_cast<std::size_t>(place.worker * mesh.pipeline + place.pipeline);
    if (is_local(call.strategy)) groups[{place.data, place.worker}].push_back(rank);
  });
  if (groups.empty()) groups[{0, 0}] = all_ranks(mesh);
  std::vector<WorkerNorm> made;
  for (const auto& [place, members] : groups) {
    WorkerNorm& norm = made.emplace_back(WorkerNorm{{cluster_, members, training_}, {}});
    for (const RankId member : members)
      norm.ranks.push_back(number_of[member.index()]);
  }
  return made;
}

// What crosses has the same size whoever has left something out before it.
PassLinks WorkerEstimates::links(const Call& call, const Side& side, const StageCut& cut,
                                 const MeshCosts::BoundaryWays& ways) const {
  const Net& net = side.net.net();
  const ElementSizes sizes = element_sizes(training_);
  PassLinks links;
  for (std::size_t s = 0; s + 2 < cut.size(); ++s) {
    const std::size_t from = rank_of(call.shape, StageId(s));
    double forward = 0, backward = 0;
    for (const ValueId value : values_across(net, begin_of(net, BlockId(cut[s + 1])))) {
      const Bytes size = size_of(net, value, call.samples, sizes);
      forward += ways.forward[from].message(cluster_.device(), size).seconds();
      if (net.values[value.index()].needs_gradient)
        backward += ways.backward[from].message(cluster_.device(), size).seconds();
    }
    links.forward.push_back(forward);
    links.backward.push_back(backward);
  }
  return links;
}

// ---- steps -------------------------------------------------------------------------------------

WorkerPrices WorkerEstimates::prices(const Call& call, const Staff& staff) const {
  return worker_prices(*staff.ranks, *staff.groups, training_, cluster_.device(),
                       {call.strategy.sharding, is_local(call.strategy), call.strategy.outer});
}

WorkerStep WorkerEstimates::step(const Call& call, const Staff& staff, const WorkerPrices& prices,
                                 bool synchronises) {
  WorkerStep made;
  made.ranks = staff.ranks;
  made.passes = staff.passes;
  made.like = entry(call).workers->like;
  made.order = &orders_.of(*call.schedule, call.shape);
  made.links = staff.links;
  for (const std::size_t list : staff.replicas_of)
    made.replicas.push_back(&staff.replicas[list].kinds);
  made.mesh = staff.mesh;
  made.groups = staff.groups;
  made.prices = &prices;
  made.overlap = call.strategy.overlap;
  made.is_local = is_local(call.strategy);
  made.synchronises = made.is_local && synchronises;
  made.has_outer = call.strategy.outer.has_value();
  made.steps = steps_;
  made.norms = &staff.norms;
  return made;
}

StepTimes WorkerEstimates::times(const Call& call) {
  const Staff& own = staff(call);
  const WorkerPrices all = prices(call, own);
  const StepTimes last = step_times(step(call, own, all, true));
  if (!is_local(call.strategy)) return last;
  const StepTimes local = step_times(step(call, own, all, false));
  const auto steps = static_cast<double>(call.strategy.local_steps);
  StepTimes mean;
  for (const auto figure : {&StepTimes::step_time, &StepTimes::bubble_fraction, &StepTimes::compute,
                            &StepTimes::link, &StepTimes::contention})
    mean.*figure = local.*figure + (last.*figure - local.*figure) / steps;
  return mean;
}

bool WorkerEstimates::shares_links(const Call& call) {
  const Staff& own = staff(call);
  bool shares = own.mesh->tensor.paths.most_shared() > 1;
  for (std::size_t s = 0; s < own.links.forward.size(); ++s) {
    const std::size_t from = rank_of(call.shape, StageId(s));
    shares = shares || own.mesh->messages.forward[from].most_shared() > 1 ||
             own.mesh->messages.backward[from].most_shared() > 1;
  }
  return shares || std::any_of(own.groups->begin(), own.groups->end(),
                               [](const WorkerGroup& group) { return group.shares_links; });
}

bool WorkerEstimates::merges_replicas(const Call& call) {
  const std::vector<ReplicaLinks>& replicas = staff(call).replicas;
  return std::any_of(replicas.begin(), replicas.end(),
                     [](const ReplicaLinks& it) { return it.are_merged; });
}

Flops WorkerEstimates::flops(const Call& call) {
  const Workers& workers = *entry(call).workers;
  Flops sum;
  for (const Worker& worker : workers.all)
    sum += worker.flops;
  return sum * static_cast<double>(call.samples * call.shape.micro_batches * call.mesh.data *
                                   call.mesh.tensor);
}

// ---- memory ------------------------------------------------------------------------------------

std::vector<WorkerEstimates::Rank> WorkerEstimates::ranks(const Call& call,
                                                          const std::vector<LiveStates>& states) {
  const Staff& own = staff(call);
  const WorkerPrices all = prices(call, own);
  const Mesh mesh = mesh_of(call, entry(call));
  const std::int64_t together =
      is_local(call.strategy) ? mesh.pipeline * mesh.tensor : mesh.ranks();
  const std::vector<RankPeak> peaks =
      rank_peaks(step(call, own, all, true), states, norm_bytes(together, training_));
  std::vector<Rank> made;
  for (std::size_t r = 0; r < peaks.size(); ++r) {
    const WorkerRank& rank = own.ranks->ranks[r];
    const bool counts = cluster_.device().communicator > Bytes{};
    made.push_back({peaks[r], static_cast<std::uint32_t>(rank.rank), rank.stand_ins,
                    counts ? worker_peers(mesh, *own.ranks, rank) : 0});
  }
  return made;
}

}  // namespace rehearse
