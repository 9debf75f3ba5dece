#include "cost/closed_form/staged_passes.h"

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

const PassTimeline& StagedPasses::timeline(const PipelineSchedule& schedule,
                                           std::int64_t micro_batches, const MeshCosts& mesh) {
  const auto [known, is_new] = timelines_.try_emplace({&schedule, micro_batches, &mesh});
  if (is_new) {
    const std::vector<double> begin(static_cast<std::size_t>(sequence_.ranks), 0.0);
    known->second = timeline(schedule, micro_batches, mesh, begin);
  }
  return known->second;
}

PassTimeline StagedPasses::timeline(const PipelineSchedule& schedule, std::int64_t micro_batches,
                                    const MeshCosts& mesh, const std::vector<double>& begin) {
  const PassOrder& order = orders_.of(schedule, shape(micro_batches), sequence_.exchange);
  return run_passes(order, sequence_.stages, on(mesh).links, begin);
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

const StagedPasses::OnMesh& StagedPasses::on(const MeshCosts& mesh) {
  for (const OnMesh& known : meshes_) {
    if (known.mesh == &mesh) return known;
  }
  OnMesh& made = meshes_.emplace_back(OnMesh{&mesh, links_of(mesh), {}});
  made.messages.assign(static_cast<std::size_t>(sequence_.ranks), 0);
  for (std::size_t s = 0; s < made.links.forward.size(); ++s) {
    made.messages[rank_of(s)] += made.links.forward[s];
    made.messages[rank_of(s + 1)] += made.links.backward[s];
  }
  return made;
}

double StagedPasses::messages(const MeshCosts& mesh, std::size_t rank, std::int64_t micro_batches) {
  return on(mesh).messages[rank] * static_cast<double>(micro_batches);
}

// Of its first stage.
double StagedPasses::last_message(const MeshCosts& mesh, std::size_t rank) {
  return rank == 0 ? 0 : on(mesh).links.backward[rank - 1];
}

bool StagedPasses::shares_links(const MeshCosts& mesh) const {
  if (mesh.tensor.paths.most_shared() > 1) return true;
  for (std::size_t s = 0; s < sequence_.messages.size(); ++s) {
    const std::size_t from = rank_of(s);
    if (mesh.forward[from].most_shared() > 1 || mesh.backward[from].most_shared() > 1) return true;
  }
  return false;
}

PassLinks StagedPasses::links_of(const MeshCosts& mesh) const {
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
                      mesh.forward[from] == mesh.forward[rank_of(s - 1)] &&
                      mesh.backward[from] == mesh.backward[rank_of(s - 1)];
    links.forward.push_back(same ? links.forward.back()
                                 : seconds(mesh.forward[from], messages[s]->outputs));
    links.backward.push_back(same ? links.backward.back()
                                  : seconds(mesh.backward[from], messages[s]->gradients));
  }
  return links;
}

StagedPasses& StagedPassesTable::of(StageSequence sequence) {
  const auto [known, is_new] = known_.try_emplace(std::move(sequence));
  if (is_new) known->second.emplace(known->first, orders_, device_);
  return *known->second;
}

}  // namespace rehearse
