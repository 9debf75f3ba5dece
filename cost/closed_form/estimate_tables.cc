#include "cost/closed_form/estimate_tables.h"

#include <algorithm>

#include "cost/closed_form/gradient_norm.h"
#include "cost/estimate.h"
#include "cost/memory.h"
#include "model/net/tensor.h"
#include "model/schedule/scatter.h"

namespace rehearse {

EstimateTables::EstimateTables(const ModelSpec& model, Net whole, Training training,
                               Cluster cluster, std::int64_t steps)
    : whole_(std::move(whole)),
      blocks_(count_blocks(whole_)),
      training_(std::move(training)),
      cluster_(std::move(cluster)),
      has_stand_ins_(has_gradient_stand_ins(model, training_)),
      refused_(refuse(cluster_.spec(), training_)),
      workers_(whole_, training_, cluster_, routes_, orders_, has_stand_ins_, steps) {}

// Who holds what is searched for: about a second for 256 workers of a GPT of 24 layers, and more
// than in proportion for more of them.
constexpr std::int64_t kMostWorkers = 256;

std::optional<Verdict> EstimateTables::resolve(const StrategySpec& strategy, StrategyPoint& point) {
  if (refused_) return refused_;
  const auto refused = refuse(strategy);
  if (refused) return refused;
  const Result<Mesh> mesh = resolve_mesh(strategy, ranks());
  if (!mesh) return Verdict::mesh;
  point.mesh = *mesh;
  if (check_pipeline(strategy, *mesh, blocks_)) return Verdict::pipeline;
  const Result<std::int64_t> samples = micro_batch_samples(strategy, *mesh, training_.batch);
  if (!samples) return Verdict::batch;
  point.samples = *samples;
  point.shape = pipeline_shape(strategy, *mesh);
  point.schedule = find_pipeline_schedule(strategy.pipeline ? strategy.pipeline->schedule : "1f1b");
  if (strategy.pipeline && mesh->pipeline > 1) point.exchange = strategy.pipeline->exchange;
  if (mesh->workers > kMostWorkers) return Verdict::many_workers;
  if (is_waited_for(point.exchange) && has_workers(strategy)) return Verdict::waiting_stages;
  if (scatters(strategy) && (has_workers(strategy) || is_sharded(strategy)))
    return Verdict::sharing_stages;
  if (has_workers(strategy)) return workers_.check(call(strategy, point));
  const auto& net = rank_net(strategy, *mesh);
  if (!net) return Verdict::tensor;
  point.net = net->get();
  return std::nullopt;
}

const Result<std::unique_ptr<RankNet>>& EstimateTables::rank_net(const StrategySpec& strategy,
                                                                 const Mesh& mesh) {
  Plan frame;
  frame.mesh = mesh;
  frame.recomputation = strategy.recomputation;
  frame.sequence_parallel =
      strategy.tensor && strategy.tensor->sequence_parallel && mesh.tensor > 1;
  const bool overlaps = strategy.tensor && strategy.tensor->overlap && mesh.tensor > 1;
  const bool scatters = rehearse::scatters(strategy);
  const NetKey key{mesh.tensor, frame.sequence_parallel, overlaps, scatters,
                   strategy.recomputation == Recomputation::selective};
  const auto known = nets_.find(key);
  if (known != nets_.end()) return known->second;
  Result<Net> net = whole_net(frame, whole_);
  Result<std::unique_ptr<RankNet>> made = error("");
  const Status shared = net && scatters ? check_shares(*net, mesh.tensor) : success();
  if (net && !shared) {
    made = shared.errors();
  } else if (net) {
    const NetVariants& variants = variants_.emplace_back(*std::move(net));
    made = std::make_unique<RankNet>(variants, mesh.tensor,
                                     programs(variants, mesh.tensor, overlaps, scatters));
  } else {
    made = net.errors();
  }
  return nets_.emplace(key, std::move(made)).first->second;
}

// Slices of different widths run the same programs.
NetPrograms& EstimateTables::programs(const NetVariants& nets, std::int64_t tensor, bool overlaps,
                                      bool scatters) {
  for (NetPrograms& known : programs_) {
    const bool same = (known.tensor() > 1) == (tensor > 1) && known.overlaps() == overlaps &&
                      known.scatters() == scatters && are_alike(known.nets().whole, nets.whole) &&
                      known.nets().run.begin == nets.run.begin &&
                      known.nets().run.end == nets.run.end;
    if (same) return known;
  }
  return programs_.emplace_back(nets, tensor, overlaps, scatters, training_);
}

const MeshCosts& EstimateTables::costs(const Mesh& mesh) {
  const auto [known, is_new] =
      meshes_.try_emplace({mesh.data, mesh.pipeline, mesh.tensor, mesh.order});
  if (is_new) known->second = mesh_costs(routes_, mesh);
  return known->second;
}

NetPasses& EstimateTables::passes(const StrategySpec& strategy, const StrategyPoint& point,
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

StagedModel* EstimateTables::staged(const StrategySpec& strategy, const StrategyPoint& point) {
  NetPasses& net = passes(strategy, point, costs(point.mesh));
  const bool has_replicas = point.mesh.data > 1;
  const StageRule rule = strategy.pipeline ? strategy.pipeline->cut : StageRule::cost;
  auto& known = staged_[{&net, point.shape.ranks, point.shape.chunks, rule, point.exchange,
                         point.schedule->splits_backward, has_replicas, strategy.bucket}];
  if (known) return known.get();
  const bool full = strategy.recomputation == Recomputation::full;
  const StageCut* const found = net.cut(point.shape.stages(), rule);
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
  StagedPasses& passes = staged_passes_.of(sequence(net, *cut->second, point));
  known = std::make_unique<StagedModel>(*cut->second, passes, reductions_);
  return known.get();
}

StageSequence EstimateTables::sequence(NetPasses& net, const StagedCut& cut,
                                       const StrategyPoint& point) {
  StageSequence made;
  made.ranks = point.shape.ranks, made.chunks = point.shape.chunks, made.exchange = point.exchange;
  for (std::size_t s = 0; s < cut.stages.size(); ++s) {
    made.stages.push_back(&net.stage(cut.stages[s]));
    if (s > 0) made.messages.push_back(&net.crossing(cut.begins[s]));
  }
  return made;
}

const std::vector<LiveStates>& EstimateTables::states(const StrategyPoint& point) {
  PipelineShape shape = point.shape;
  shape.micro_batches = fewest_micro_batches(*point.schedule, shape);
  const auto [known, is_new] = states_.try_emplace(
      {point.schedule, shape.ranks, shape.chunks, shape.micro_batches, point.exchange});
  if (is_new) known->second = live_states(*point.schedule, shape, point.exchange);
  return known->second;
}

const NormTimes* EstimateTables::norm(const Mesh& mesh) {
  if (!training_.optimizer.clip) return nullptr;
  if (!norm_exchange_) norm_exchange_.emplace(cluster_, all_ranks(mesh), training_);
  const auto [known, is_new] = norms_.try_emplace(&costs(mesh));
  if (is_new) known->second = norm_times(*norm_exchange_, mesh);
  return &known->second;
}

const ShardedStep& EstimateTables::sharded(const StrategySpec& strategy,
                                           const StrategyPoint& point) {
  const MeshCosts& mesh = costs(point.mesh);
  const bool full = strategy.recomputation == Recomputation::full;
  const auto [known, is_new] =
      sharded_.try_emplace({point.net, &mesh, point.samples, point.shape.micro_batches,
                            strategy.sharding, full, strategy.prefetch, strategy.bucket});
  if (is_new)
    known->second =
        sharded_step(*point.net,
                     {strategy, mesh, point.mesh.data, point.samples, point.shape.micro_batches,
                      norm(point.mesh), training_.optimizer.clip ? point.mesh.ranks() : 1},
                     training_, cluster_.device());
  return known->second;
}

const std::optional<PlayedPipelineStep>& EstimateTables::played_pipeline(
    const StrategySpec& strategy, const StrategyPoint& point) {
  const MeshCosts& mesh = costs(point.mesh);
  NetPasses& net = passes(strategy, point, mesh);
  const StageRule rule = strategy.pipeline ? strategy.pipeline->cut : StageRule::cost;
  const auto [known, is_new] = played_pipelines_.try_emplace(
      {&net, &mesh, point.schedule, point.shape.chunks, point.shape.micro_batches, rule,
       point.exchange, strategy.sharding, strategy.overlap, strategy.prefetch, strategy.bucket});
  const StageCut* const cut = is_new ? net.cut(point.shape.stages(), rule) : nullptr;
  if (cut != nullptr)
    known->second = played_pipeline_step(
        {strategy, whole_, point.net->net(), *cut, point.mesh, mesh, point.shape, *point.schedule,
         point.samples, norm(point.mesh), has_stand_ins_},
        training_, cluster_.device());
  return known->second;
}

// Where all that is exchanged between two passes is under way at once, messages of two neighbours
// share a rank's link, if a schedule has both there.
bool EstimateTables::is_played(const StrategySpec& strategy, const StrategyPoint& point) {
  if (is_sharded(strategy)) return true;
  if (point.exchange != StageExchange::batched) return false;
  const bool has_both =
      point.shape.chunks > 1 || (point.schedule->splits_backward && point.shape.ranks > 2);
  const std::vector<double>& held = costs(point.mesh).held_of(point.shape.chunks > 1);
  return has_both && *std::max_element(held.begin(), held.end()) > 0;
}

Bytes EstimateTables::stand_ins(const RankNet& net) const {
  if (!has_stand_ins_) return {};
  return gradient_stand_ins(net.net(), {{StageId(0), SegmentId(0), end_segment(net.net())}},
                            training_);
}

}  // namespace rehearse
