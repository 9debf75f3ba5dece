#include "cost/closed_form/staged_passes.h"

#include <algorithm>

#include "model/net/lowering.h"

namespace rehearse {

StagedPasses::StagedPasses(const StageSequence& sequence, PassOrders& orders, const Device& device)
    : sequence_(sequence), orders_(orders), device_(device) {
  const std::vector<const StagePasses*>& stages = sequence.stages;
  for (std::size_t s = 0; s < stages.size(); ++s) {
    const bool same = s > 0 && stages[s] == stages[s - 1];
    state_bytes_.push_back(same ? state_bytes_.back() : bytes_by_state(*stages[s]));
  }
}

PipelineShape StagedPasses::shape(std::int64_t micro_batches) const {
  return {.ranks = sequence_.ranks, .chunks = sequence_.chunks, .micro_batches = micro_batches};
}

std::size_t StagedPasses::rank_of(std::size_t stage) const {
  return rehearse::rank_of(shape(1), StageId(stage));
}

const std::vector<PassTimeline>& StagedPasses::timelines(const PipelineSchedule& schedule,
                                                         std::int64_t micro_batches,
                                                         const MeshCosts& mesh) {
  const auto [known, is_new] = timelines_.try_emplace({&schedule, micro_batches, &mesh});
  if (is_new) {
    const std::size_t kinds = on(mesh).replicas.kinds.size();
    const std::vector<double> begin(kinds * static_cast<std::size_t>(sequence_.ranks), 0.0);
    known->second = timelines(schedule, micro_batches, mesh, begin);
  }
  return known->second;
}

std::vector<PassTimeline> StagedPasses::timelines(const PipelineSchedule& schedule,
                                                  std::int64_t micro_batches, const MeshCosts& mesh,
                                                  const std::vector<double>& begin) {
  const PassOrder& order = orders_.of(schedule, shape(micro_batches), sequence_.exchange);
  const std::vector<PassLinks>& kinds = on(mesh).replicas.kinds;
  std::vector<PassTimeline> made;
  if (kinds.size() == 1) {
    made.push_back(run_passes(order, sequence_.stages, kinds.front(), begin));
    return made;
  }
  auto own = begin.begin();
  for (const PassLinks& links : kinds) {
    const auto next = own + sequence_.ranks;
    made.push_back(run_passes(order, sequence_.stages, links, {own, next}));
    own = next;
  }
  return made;
}

const RankAbove& StagedPasses::above(const std::vector<LiveStates>& states, std::size_t rank) {
  std::vector<RankAbove>& known = above_[&states];
  known.resize(states.size());
  if (known[rank].live < 0) {
    std::vector<const std::array<std::int64_t, kStageActions>*> bytes;
    for (const auto& of_stage : state_bytes_)
      bytes.push_back(&of_stage);
    known[rank] = most_alive(states[rank], sequence_.stages, bytes);
  }
  return known[rank];
}

// ---- messages ----------------------------------------------------------------------------------

namespace {

// Of a message over a boundary, the slowest replica's.
double slowest(const std::vector<PassLinks>& kinds, std::vector<double> PassLinks::*direction,
               std::size_t boundary) {
  double most = 0;
  for (const PassLinks& links : kinds)
    most = std::max(most, (links.*direction)[boundary]);
  return most;
}

}  // namespace

const StagedPasses::OnMesh& StagedPasses::on(const MeshCosts& mesh) {
  for (const OnMesh& known : meshes_) {
    if (known.mesh == &mesh) return known;
  }
  OnMesh& made = meshes_.emplace_back(OnMesh{&mesh, {}, {}});
  if (mesh.replica_kinds.empty()) {
    made.replicas.kinds.push_back(links_of(mesh.messages));
  } else {
    std::vector<PassLinks> kinds;
    for (const MeshCosts::BoundaryWays& ways : mesh.replica_kinds)
      kinds.push_back(links_of(ways));
    made.replicas = slowest_replicas(std::move(kinds));
  }
  made.messages.assign(static_cast<std::size_t>(sequence_.ranks), 0);
  for (std::size_t s = 0; s < sequence_.messages.size(); ++s) {
    made.messages[rank_of(s)] += slowest(made.replicas.kinds, &PassLinks::forward, s);
    made.messages[rank_of(s + 1)] += slowest(made.replicas.kinds, &PassLinks::backward, s);
  }
  return made;
}

double StagedPasses::messages(const MeshCosts& mesh, std::size_t rank, std::int64_t micro_batches) {
  return on(mesh).messages[rank] * static_cast<double>(micro_batches);
}

// Of its first stage.
double StagedPasses::last_message(const MeshCosts& mesh, std::size_t rank) {
  return rank == 0 ? 0 : slowest(on(mesh).replicas.kinds, &PassLinks::backward, rank - 1);
}

bool StagedPasses::shares_links(const MeshCosts& mesh) const {
  if (mesh.tensor.paths.most_shared() > 1) return true;
  for (std::size_t s = 0; s < sequence_.messages.size(); ++s) {
    const std::size_t from = rank_of(s);
    if (mesh.messages.forward[from].most_shared() > 1 ||
        mesh.messages.backward[from].most_shared() > 1)
      return true;
  }
  return false;
}

PassLinks StagedPasses::links_of(const MeshCosts::BoundaryWays& ways) const {
  PassLinks links;
  const auto seconds = [&](const Paths& paths, const std::vector<Bytes>& messages) {
    double sum = 0;
    for (const Bytes size : messages)
      sum += paths.message(device_, size).seconds();
    return sum;
  };
  const auto& messages = sequence_.messages;
  for (std::size_t s = 0; s < messages.size(); ++s) {
    const std::size_t from = rank_of(s);
    const bool same = s > 0 && messages[s] == messages[s - 1] &&
                      ways.forward[from] == ways.forward[rank_of(s - 1)] &&
                      ways.backward[from] == ways.backward[rank_of(s - 1)];
    links.forward.push_back(same ? links.forward.back()
                                 : seconds(ways.forward[from], messages[s]->outputs));
    links.backward.push_back(same ? links.backward.back()
                                  : seconds(ways.backward[from], messages[s]->gradients));
  }
  return links;
}

StagedPasses& StagedPassesTable::of(StageSequence sequence) {
  const auto [known, is_new] = known_.try_emplace(std::move(sequence));
  if (is_new) known->second.emplace(known->first, orders_, device_);
  return *known->second;
}

}  // namespace rehearse
