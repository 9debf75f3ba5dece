#include "cost/closed_form/estimator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <set>
#include <tuple>

#include "cost/closed_form/sharded_step.h"
#include "cost/closed_form/staged_model.h"
#include "cost/closed_form/step.h"
#include "cost/estimate.h"
#include "cost/memory.h"
#include "model/base/text.h"
#include "model/net/tensor.h"
#include "model/schedule/mesh_place.h"

namespace rehearse {

std::string_view to_string(Binding binding) {
  switch (binding) {
    case Binding::compute:
      return "compute";
    case Binding::link:
      return "link";
    case Binding::bubble:
      return "bubble";
    case Binding::memory:
      return "memory";
  }
  REHEARSE_UNREACHABLE("binding");
}

namespace {

// Ranks that one exchanges messages with. wraps: whether ranks have several stages, so that the
// last one's go on on the first.
std::int64_t peers_of(const Mesh& mesh, std::int64_t stage, bool wraps) {
  const MeshPlace own{0, 0, stage, 0};
  std::set<RankId> peers;
  const auto ring = [&](std::int64_t size, std::int64_t MeshPlace::*axis) {
    for (const std::int64_t way : {std::int64_t{1}, size - 1}) {
      MeshPlace other = own;
      other.*axis = (own.*axis + way) % size;
      peers.insert(rank_at(mesh, other));
    }
  };
  ring(mesh.tensor, &MeshPlace::tensor);
  ring(mesh.data, &MeshPlace::data);
  for (const std::int64_t way : {-1, 1}) {
    const std::int64_t next = stage + way;
    if (!wraps && (next < 0 || next >= mesh.pipeline)) continue;
    MeshPlace other = own;
    other.pipeline = (next + mesh.pipeline) % mesh.pipeline;
    peers.insert(rank_at(mesh, other));
  }
  peers.erase(rank_at(mesh, own));
  return static_cast<std::int64_t>(peers.size());
}

}  // namespace

class Estimator::Tables {
 public:
  Tables(const ModelSpec& model, Net whole, Training training, Cluster cluster)
      : whole_(std::move(whole)),
        blocks_(count_blocks(whole_)),
        training_(std::move(training)),
        cluster_(std::move(cluster)),
        has_stand_ins_(has_gradient_stand_ins(model, training_)),
        refused_(refuse(cluster_.spec(), training_)) {}

  Estimate estimate(const StrategySpec& strategy, bool only_fitting);
  std::string reason(const StrategySpec& strategy, const Estimate& estimate);
  std::optional<double> mfu(const StrategySpec& strategy, const Estimate& estimate);
  std::vector<std::int64_t> arena_live(const StrategySpec& strategy);
  const Training& training() const { return training_; }
  const Net& whole() const { return whole_; }

 private:
  // A strategy that can be, resolved.
  struct Point {
    Mesh mesh;
    const PipelineSchedule* schedule = nullptr;
    PipelineShape shape;
    std::int64_t samples = 1;
    RankNet* net = nullptr;
  };
  std::optional<Verdict> resolve(const StrategySpec& strategy, Point& point);
  // The parts of its step; none: see the verdict.
  std::optional<StepParts> parts_of(const StrategySpec& strategy, const Point& point);
  std::vector<RankPeak> peaks_of(const Point& point, const StepParts& parts);
  double norm_seconds(const MeshCosts& mesh) const;  // below 0: nobody asks
  bool is_sharded(const StrategySpec& strategy) const {
    return strategy.sharding > Sharding::optimizer_state;
  }
  const ShardedStep& sharded(const StrategySpec& strategy, const Point& point);
  Estimate estimate_sharded(const StrategySpec& strategy, const Point& point, bool only_fitting);
  // With what is beside the arena.
  std::int64_t memory_of(const Mesh& mesh, std::size_t rank, bool wraps, std::int64_t live,
                         Bytes stand_ins) const;
  std::int64_t least_state(const StrategySpec& strategy, const Point& point) const;
  void take_memory(const Point& point, const StepParts& parts, Estimate& estimate);

  using ShardedKey = std::tuple<RankNet*, const MeshCosts*, std::int64_t, std::int64_t, Sharding,
                                bool, std::int64_t, Bytes>;
  std::map<ShardedKey, ShardedStep> sharded_;
  using NetKey = std::tuple<std::int64_t, bool, bool, bool>;
  const Result<std::unique_ptr<RankNet>>& rank_net(const StrategySpec& strategy, const Mesh& mesh);
  NetPrograms& programs_of(const NetVariants& nets, std::int64_t tensor, bool overlaps);
  const MeshCosts& costs_of(const Mesh& mesh);
  NetPasses& passes_of(const StrategySpec& strategy, const Point& point, const MeshCosts& mesh);
  StagedModel* staged(const StrategySpec& strategy, const Point& point, NetPasses& passes);
  const std::vector<LiveStates>& states_of(const Point& point);

  const Net whole_;
  const BlockCount blocks_;
  const Training training_;
  const Cluster cluster_;
  Routes routes_{cluster_};
  const bool has_stand_ins_;  // of gradients
  const std::optional<Verdict> refused_;
  std::deque<NetVariants> variants_;
  std::deque<NetPrograms> programs_;
  std::map<NetKey, Result<std::unique_ptr<RankNet>>> nets_;
  std::map<std::tuple<std::int64_t, std::int64_t, std::int64_t, AxisOrder>, MeshCosts> meshes_;
  std::map<std::tuple<RankNet*, std::int64_t, bool, std::size_t>, std::unique_ptr<NetPasses>>
      passes_;  // bool: recomputed in full, which stages are cut by
  std::map<RankNet*, StagedCuts> rank_cuts_;
  using CutKey = std::tuple<RankNet*, StageCut, std::int64_t, BucketSettings, bool, bool>;
  std::map<CutKey, std::optional<StagedCut>> cuts_;
  std::vector<RingGroup> rings_;  // of tensor-parallel ranks, that differ
  PassOrders orders_;
  std::map<std::tuple<NetPasses*, std::int64_t, std::int64_t, StageRule, bool, bool, Bytes>,
           std::unique_ptr<StagedModel>>
      staged_;
  std::map<std::tuple<const PipelineSchedule*, std::int64_t, std::int64_t, std::int64_t>,
           std::vector<LiveStates>>
      states_;
};

// ---- checks ------------------------------------------------------------------------------------

std::optional<Verdict> Estimator::Tables::resolve(const StrategySpec& strategy, Point& point) {
  if (refused_) return refused_;
  const auto refused = refuse(strategy);
  if (refused) return refused;
  const Result<Mesh> mesh =
      resolve_mesh(strategy, static_cast<std::int64_t>(cluster_.rank_count()));
  if (!mesh) return Verdict::mesh;
  point.mesh = *mesh;
  if (check_pipeline(strategy, *mesh, blocks_)) return Verdict::pipeline;
  const Result<std::int64_t> samples = micro_batch_samples(strategy, *mesh, training_.batch);
  if (!samples) return Verdict::batch;
  point.samples = *samples;
  point.shape = pipeline_shape(strategy, *mesh);
  point.schedule = find_pipeline_schedule(strategy.pipeline ? strategy.pipeline->schedule : "1f1b");
  const bool is_flat = mesh->pipeline == 1 && point.schedule->name == "1f1b" && strategy.overlap;
  if (is_sharded(strategy) && !is_flat) return Verdict::sharded_gradients;
  const auto& net = rank_net(strategy, *mesh);
  if (!net) return Verdict::tensor;
  point.net = net->get();
  return std::nullopt;
}

// Of the rank with most of it, at least.
std::int64_t Estimator::Tables::least_state(const StrategySpec& strategy,
                                            const Point& point) const {
  const StateSizes sizes = state_sizes(training_);
  const auto bytes = [&](Sharding level, std::int64_t each) {
    const bool shards = strategy.sharding >= level;
    return point.net->elements() / (shards ? point.mesh.data * point.mesh.tensor : 1) * each /
           point.mesh.pipeline;
  };
  return bytes(Sharding::parameters, sizes.parameter) + bytes(Sharding::gradients, sizes.gradient) +
         bytes(Sharding::optimizer_state, sizes.optimizer);
}

// ---- tables ------------------------------------------------------------------------------------

const Result<std::unique_ptr<RankNet>>& Estimator::Tables::rank_net(const StrategySpec& strategy,
                                                                    const Mesh& mesh) {
  Plan frame;
  frame.mesh = mesh;
  frame.recomputation = strategy.recomputation;
  frame.sequence_parallel =
      strategy.tensor && strategy.tensor->sequence_parallel && mesh.tensor > 1;
  const bool overlaps = strategy.tensor && strategy.tensor->overlap && mesh.tensor > 1;
  const NetKey key{mesh.tensor, frame.sequence_parallel, overlaps,
                   strategy.recomputation == Recomputation::selective};
  const auto known = nets_.find(key);
  if (known != nets_.end()) return known->second;
  Result<Net> net = whole_net(frame, whole_);
  Result<std::unique_ptr<RankNet>> made = error("");
  if (net) {
    const NetVariants& variants = variants_.emplace_back(*std::move(net));
    made = std::make_unique<RankNet>(variants, mesh.tensor,
                                     programs_of(variants, mesh.tensor, overlaps));
  } else {
    made = net.errors();
  }
  return nets_.emplace(key, std::move(made)).first->second;
}

// Slices of different widths run the same programs.
NetPrograms& Estimator::Tables::programs_of(const NetVariants& nets, std::int64_t tensor,
                                            bool overlaps) {
  for (NetPrograms& known : programs_) {
    const bool same = (known.tensor() > 1) == (tensor > 1) && known.overlaps() == overlaps &&
                      are_alike(known.nets().whole, nets.whole) &&
                      known.nets().run.begin == nets.run.begin &&
                      known.nets().run.end == nets.run.end;
    if (same) return known;
  }
  return programs_.emplace_back(nets, tensor, overlaps, training_);
}

const MeshCosts& Estimator::Tables::costs_of(const Mesh& mesh) {
  const auto [known, is_new] =
      meshes_.try_emplace({mesh.data, mesh.pipeline, mesh.tensor, mesh.order});
  if (is_new) known->second = mesh_costs(routes_, mesh);
  return known->second;
}

NetPasses& Estimator::Tables::passes_of(const StrategySpec& strategy, const Point& point,
                                        const MeshCosts& mesh) {
  auto ring = std::find(rings_.begin(), rings_.end(), mesh.tensor);
  if (ring == rings_.end()) ring = rings_.insert(rings_.end(), mesh.tensor);
  const bool full = strategy.recomputation == Recomputation::full;
  auto& known =
      passes_[{point.net, point.samples, full, static_cast<std::size_t>(ring - rings_.begin())}];
  if (!known) {
    known = std::make_unique<NetPasses>(
        *point.net, point.samples, *ring,
        stage_costs(point.net->nets().few, strategy.recomputation, point.samples, training_,
                    cluster_.spec(), point.mesh),
        training_, cluster_.device());
  }
  return *known;
}

StagedModel* Estimator::Tables::staged(const StrategySpec& strategy, const Point& point,
                                       NetPasses& passes) {
  const bool has_replicas = point.mesh.data > 1;
  const StageRule rule = strategy.pipeline ? strategy.pipeline->cut : StageRule::cost;
  auto& known = staged_[{&passes, point.shape.ranks, point.shape.chunks, rule,
                         point.schedule->splits_backward, has_replicas, strategy.bucket}];
  if (known) return known.get();
  const bool full = strategy.recomputation == Recomputation::full;
  const StageCut* const found = passes.cut(point.shape.stages(), rule);
  if (found == nullptr) return nullptr;
  const StagedSettings settings{point.shape,
                                {strategy.bucket, has_replicas},
                                point.schedule->splits_backward,
                                strategy.recomputation};
  const auto [cut, is_new] = cuts_.try_emplace(
      {point.net, *found, point.shape.ranks, settings.buckets, settings.splits_backward, full});
  if (is_new) {
    auto& cuts =
        rank_cuts_.try_emplace(point.net, *point.net, training_, has_stand_ins_).first->second;
    cut->second = cuts.make(*found, settings);
  }
  if (!cut->second) return nullptr;
  known = std::make_unique<StagedModel>(passes, *cut->second, point.shape, training_,
                                        cluster_.device(), orders_);
  return known.get();
}

// As many micro-batches are kept of many as of a few rounds, but where all of them are.
const std::vector<LiveStates>& Estimator::Tables::states_of(const Point& point) {
  constexpr std::int64_t kRounds = 3;
  PipelineShape shape = point.shape;
  const std::int64_t round = shape.ranks;
  if (point.schedule->name != "gpipe" && shape.micro_batches > (kRounds + 1) * round)
    shape.micro_batches = kRounds * round + shape.micro_batches % round;
  const auto [known, is_new] =
      states_.try_emplace({point.schedule, shape.ranks, shape.chunks, shape.micro_batches});
  if (is_new) known->second = live_states(*point.schedule, shape);
  return known->second;
}

// ---- estimates ---------------------------------------------------------------------------------

std::optional<StepParts> Estimator::Tables::parts_of(const StrategySpec& strategy,
                                                     const Point& point) {
  const MeshCosts& mesh = costs_of(point.mesh);
  StagedModel* const model = staged(strategy, point, passes_of(strategy, point, mesh));
  if (model == nullptr) return std::nullopt;
  StepParts parts;
  parts.model = model;
  parts.schedule = point.schedule;
  parts.micro_batches = point.shape.micro_batches;
  parts.mesh = &mesh;
  parts.sharding = strategy.sharding;
  parts.overlap = strategy.overlap;
  parts.norm = norm_seconds(mesh);
  return parts;
}

double Estimator::Tables::norm_seconds(const MeshCosts& mesh) const {
  if (!training_.optimizer.clip) return -1;
  if (mesh.all.members == 1) return 0;
  const auto numbers = square_numbers(training_);
  const MessageCost cost = mesh.all.paths.exchange(cluster_.device(), Bytes::bytes(8 * numbers));
  const CollectiveShape shape{CollectiveKind::all_reduce, CollectiveAlgorithm::doubling,
                              mesh.all.members};
  return (cluster_.device().messaging.collective + collective_seconds(shape, cost, numbers, 8))
      .seconds();
}

std::vector<RankPeak> Estimator::Tables::peaks_of(const Point& point, const StepParts& parts) {
  std::int64_t squares = 0;
  if (training_.optimizer.clip) {
    squares = 8 * square_numbers(training_);
    const auto ranks = static_cast<std::size_t>(point.mesh.ranks());
    if (ranks > 1)
      squares += 8 * room_for({CollectiveKind::all_reduce, CollectiveAlgorithm::doubling, ranks},
                              square_numbers(training_));
  }
  return rank_peaks(parts, states_of(point), squares);
}

void Estimator::Tables::take_memory(const Point& point, const StepParts& parts,
                                    Estimate& estimate) {
  const StagedCut& cut = parts.model->cut();
  const bool wraps = cut.stages_of.front().size() > 1;
  const std::vector<RankPeak> peaks = peaks_of(point, parts);
  for (std::size_t r = 0; r < peaks.size(); ++r) {
    const std::int64_t memory =
        memory_of(point.mesh, r, wraps, peaks[r].live, cut.kinds[r]->stand_ins);
    estimate.arena_live = std::max(estimate.arena_live, peaks[r].live);
    if (memory <= estimate.memory) continue;
    estimate.memory = memory;
    estimate.worst_rank = static_cast<std::uint32_t>(r);
    estimate.worst_stage = peaks[r].stage;
    estimate.worst_action = peaks[r].action;
  }
  estimate.fits = estimate.memory <= cluster_.device().memory.bytes();
}

std::int64_t Estimator::Tables::memory_of(const Mesh& mesh, std::size_t rank, bool wraps,
                                          std::int64_t live, Bytes stand_ins) const {
  const Device& device = cluster_.device();
  const std::int64_t beside = (device.workspace + device.context + stand_ins).bytes() +
                              std::llround(device.fragmentation * static_cast<double>(live));
  if (device.communicator == Bytes{}) return live + beside;
  return live + beside +
         device.communicator.bytes() * peers_of(mesh, static_cast<std::int64_t>(rank), wraps);
}

const ShardedStep& Estimator::Tables::sharded(const StrategySpec& strategy, const Point& point) {
  const MeshCosts& mesh = costs_of(point.mesh);
  const bool full = strategy.recomputation == Recomputation::full;
  const auto [known, is_new] =
      sharded_.try_emplace({point.net, &mesh, point.samples, point.shape.micro_batches,
                            strategy.sharding, full, strategy.prefetch, strategy.bucket});
  if (is_new)
    known->second =
        sharded_step(*point.net,
                     {strategy, mesh, point.mesh.data, point.samples, point.shape.micro_batches,
                      norm_seconds(mesh), training_.optimizer.clip ? point.mesh.ranks() : 1},
                     training_, cluster_.device());
  return known->second;
}

Estimate Estimator::Tables::estimate_sharded(const StrategySpec& strategy, const Point& point,
                                             bool only_fitting) {
  const ShardedStep& step = sharded(strategy, point);
  const MeshCosts& mesh = costs_of(point.mesh);
  const Net& net = point.net->net();
  const Bytes stand_ins =
      has_stand_ins_
          ? gradient_stand_ins(net, {{StageId(0), SegmentId(0), end_segment(net)}}, training_)
          : Bytes{};
  Estimate estimate;
  estimate.arena_live = step.live;
  estimate.memory = memory_of(point.mesh, 0, false, step.live, stand_ins);
  estimate.worst_action = step.is_backward ? StageAction::backward : StageAction::forward;
  estimate.fits = estimate.memory <= cluster_.device().memory.bytes();
  if (!estimate.fits) estimate.binding = Binding::memory;
  if (!estimate.fits && only_fitting) {
    estimate.verdict = Verdict::memory;
    return estimate;
  }
  estimate.step_time = step.step;
  estimate.bubble_fraction = std::max(0.0, 1 - step.busy / step.span);  // rounded
  estimate.compute = step.busy + step.optimizer;
  estimate.link = step.step - estimate.compute;
  // Gathers and reductions beside each other, half of them at most.
  const bool are_beside = strategy.sharding == Sharding::parameters;
  if (are_beside && !mesh.holders.front().paths.are_alike()) estimate.contention = step.shared / 2;
  if (mesh.reductions_meet_exchanges) estimate.contention = step.shared;
  estimate.shares_links =
      mesh.tensor.paths.most_shared() > 1 || mesh.holders.front().paths.most_shared() > 1;
  if (estimate.fits && estimate.link > estimate.compute) estimate.binding = Binding::link;
  return estimate;
}

Estimate Estimator::Tables::estimate(const StrategySpec& strategy, bool only_fitting) {
  Estimate estimate;
  Point point;
  const auto refused = resolve(strategy, point);
  const auto refusal = [&](Verdict verdict) {
    estimate.verdict = verdict;
    return estimate;
  };
  if (refused) return refusal(*refused);
  if (only_fitting) {
    const std::int64_t least = least_state(strategy, point);
    if (least > cluster_.device().memory.bytes()) {
      estimate.memory = least;
      estimate.fits = false;
      estimate.binding = Binding::memory;
      return refusal(Verdict::memory);
    }
  }
  if (is_sharded(strategy)) return estimate_sharded(strategy, point, only_fitting);
  const auto parts = parts_of(strategy, point);
  if (!parts) return refusal(Verdict::shared_parameters);
  take_memory(point, *parts, estimate);
  if (!estimate.fits) estimate.binding = Binding::memory;
  if (!estimate.fits && only_fitting) return refusal(Verdict::memory);
  const StepTimes times = step_times(*parts);
  estimate.step_time = times.step_time;
  estimate.bubble_fraction = times.bubble_fraction;
  estimate.compute = times.compute;
  estimate.link = times.link;
  estimate.contention = times.contention;
  estimate.shares_links = parts->model->shares_links(*parts->mesh);
  const double bubble = times.step_time - times.compute - times.link;
  if (!estimate.fits) return estimate;
  if (times.link > times.compute && times.link >= bubble) estimate.binding = Binding::link;
  if (bubble > times.compute && bubble > times.link) estimate.binding = Binding::bubble;
  return estimate;
}

std::string Estimator::Tables::reason(const StrategySpec& strategy, const Estimate& estimate) {
  const auto ranks = static_cast<std::int64_t>(cluster_.rank_count());
  switch (estimate.verdict) {
    case Verdict::estimated:
      if (estimate.fits) return "";
      [[fallthrough]];
    case Verdict::memory: {
      const std::string needs =
          fmt::format("needs {} or more", human(Bytes::bytes(estimate.memory)));
      const std::string has = fmt::format("the device has {}", human(cluster_.device().memory));
      return estimate.arena_live == 0
                 ? fmt::format("the model's state alone {}, {}", needs, has)
                 : fmt::format("rank {} of the pipeline {}, {}", estimate.worst_rank, needs, has);
    }
    case Verdict::mesh:
      return resolve_mesh(strategy, ranks).errors().front().message;
    case Verdict::pipeline:
      return check_pipeline(strategy, *resolve_mesh(strategy, ranks), blocks_)->message;
    case Verdict::batch:
      return micro_batch_samples(strategy, *resolve_mesh(strategy, ranks), training_.batch)
          .errors()
          .front()
          .message;
    case Verdict::tensor:
      return rank_net(strategy, *resolve_mesh(strategy, ranks)).errors().front().message;
    case Verdict::sharded_gradients:
    case Verdict::subnetworks:
    case Verdict::local_steps:
    case Verdict::stochastic_depth:
    case Verdict::exact_sums:
    case Verdict::schedule:
    case Verdict::schedule_file:
    case Verdict::algorithm:
    case Verdict::shared_parameters:
    case Verdict::cpu_ranks:
    case Verdict::different_ranks:
    case Verdict::jitter:
    case Verdict::overlap_slowdown:
      return fmt::format("simulated only: there is no closed form of {}",
                         to_string(estimate.verdict));
  }
  REHEARSE_UNREACHABLE("verdict");
}

std::optional<double> Estimator::Tables::mfu(const StrategySpec& strategy,
                                             const Estimate& estimate) {
  Point point;
  const auto peak = cluster_.device().peak.find(training_.dtype);
  if (resolve(strategy, point) || peak == cluster_.device().peak.end()) return std::nullopt;
  // Of all slices of all replicas' samples.
  const Flops done = point.net->flops() * static_cast<double>(training_.batch * point.mesh.tensor);
  return (done / peak->second).seconds() /
         (static_cast<double>(cluster_.rank_count()) * estimate.step_time);
}

std::vector<std::int64_t> Estimator::Tables::arena_live(const StrategySpec& strategy) {
  Point point;
  std::vector<std::int64_t> live;
  if (resolve(strategy, point)) return live;
  if (is_sharded(strategy)) return {sharded(strategy, point).live};
  const auto parts = parts_of(strategy, point);
  if (!parts) return live;
  for (const RankPeak& peak : peaks_of(point, *parts))
    live.push_back(peak.live);
  return live;
}

// ---- the class ---------------------------------------------------------------------------------

Estimator::Estimator(std::unique_ptr<Tables> tables) : tables_(std::move(tables)) {}
Estimator::Estimator(Estimator&&) noexcept = default;
Estimator::~Estimator() = default;

Result<Estimator> Estimator::make(const ModelSpec& model, const Training& training,
                                  const ClusterSpec& cluster) {
  Result<ModelSpec> resolved = resolve(model);
  if (!resolved) return resolved.errors();
  Result<Net> net = build_net(*resolved);
  if (!net) return net.errors();
  Result<Cluster> machines = Cluster::build(cluster);
  if (!machines) return machines.errors();
  return Estimator(
      std::make_unique<Tables>(*resolved, *std::move(net), training, *std::move(machines)));
}

Estimate Estimator::estimate(const StrategySpec& strategy) {
  return tables_->estimate(strategy, false);
}
Estimate Estimator::estimate_fitting(const StrategySpec& strategy) {
  return tables_->estimate(strategy, true);
}
std::string Estimator::reason(const StrategySpec& strategy, const Estimate& estimate) {
  return tables_->reason(strategy, estimate);
}
double Estimator::samples_per_second(const Estimate& estimate) const {
  return static_cast<double>(tables_->training().batch) / estimate.step_time;
}
std::optional<double> Estimator::mfu(const StrategySpec& strategy, const Estimate& estimate) {
  return tables_->mfu(strategy, estimate);
}
std::int64_t Estimator::labels_per_sample() const {
  return rehearse::labels_per_sample(tables_->whole());
}
std::vector<std::int64_t> Estimator::arena_live(const StrategySpec& strategy) {
  return tables_->arena_live(strategy);
}

}  // namespace rehearse
