#include "cost/closed_form/staged_model.h"

#include <algorithm>

#include "model/net/lowering.h"

namespace rehearse {

StagedModel::StagedModel(NetPasses& passes, const StagedCut& cut, const PipelineShape& shape,
                         StageExchange exchange, PassOrders& orders, ReductionTable& reductions)
    : cut_(cut),
      shape_(shape),
      exchange_(exchange),
      orders_(orders),
      reductions_(reductions),
      device_(reductions.device()) {
  for (const NetPrograms::Stage& stage : cut.stages) {
    stages_.push_back(&passes.stage(stage));
    const bool same = stages_.size() > 1 && stages_.back() == stages_[stages_.size() - 2];
    state_bytes_.push_back(same ? state_bytes_.back() : bytes_by_state(*stages_.back()));
  }
  for (std::size_t s = 1; s < cut_.begins.size(); ++s)
    messages_.push_back(&passes.crossing(cut_.begins[s]));
}

// ---- updates -----------------------------------------------------------------------------------

const PipelineUpdates& StagedModel::updates(const MeshCosts& mesh, Sharding sharding) {
  const auto [known, is_new] = updates_.try_emplace({&mesh, sharding});
  PipelineUpdates& made = known->second;
  if (!is_new) return made;
  for (std::size_t r = 0; r < cut_.kinds.size(); ++r) {
    const RankReductions& reductions =
        reductions_.of(*cut_.kinds[r]->buckets, {sharding, &mesh, r});
    const auto [own, is_first] = rank_updates_.try_emplace({&reductions, cut_.kinds[r]});
    if (is_first) {
      std::vector<const StagePasses*> passes;
      for (const std::size_t stage : cut_.stages_of[r])
        passes.push_back(stages_[stage]);
      own->second = rank_updates(reductions, passes);
    }
    made.ranks.push_back(&own->second);
  }
  for (std::size_t r = 0; r < cut_.kinds.size(); ++r) {
    double& sum = made.of_others.emplace_back(0);
    for (const std::size_t other : mesh.reductions_meet[r]) {
      const RankReductions& reductions = *made.ranks[other]->reductions;
      sum += reductions.total;
      for (const RankReductions::Class& held : reductions.classes)
        sum += held.gather;
    }
  }
  return made;
}

// ---- memory ------------------------------------------------------------------------------------

const StagedModel::RankAbove& StagedModel::above(const std::vector<LiveStates>& states,
                                                 std::size_t rank) {
  std::vector<RankAbove>& known = above_[&states];
  known.resize(states.size());
  if (known[rank].live < 0) known[rank] = above_of(states[rank]);
  return known[rank];
}

StagedModel::RankAbove StagedModel::above_of(const LiveStates& states) const {
  std::vector<const std::array<std::int64_t, kStageActions>*> bytes;
  for (const auto& of_stage : state_bytes_)
    bytes.push_back(&of_stage);
  rehearse::RankAbove most = most_alive(states, stages_, bytes);
  return {most.live, most.stage, most.action, std::move(most.before_last)};
}

// ---- links -------------------------------------------------------------------------------------

StagedModel::OnMesh& StagedModel::on(const MeshCosts& mesh) {
  for (OnMesh& known : meshes_) {
    if (known.mesh == &mesh) return known;
  }
  OnMesh& made = meshes_.emplace_back(OnMesh{&mesh, links_of(mesh), {}, do_share_links(mesh)});
  for (const std::vector<std::size_t>& stages : cut_.stages_of) {
    double& sum = made.messages.emplace_back(0);
    for (const std::size_t stage : stages) {
      if (stage < made.links.forward.size()) sum += made.links.forward[stage];
      if (stage > 0) sum += made.links.backward[stage - 1];
    }
  }
  return made;
}

double StagedModel::messages(const MeshCosts& mesh, std::size_t rank, std::int64_t micro_batches) {
  return on(mesh).messages[rank] * static_cast<double>(micro_batches);
}

bool StagedModel::do_share_links(const MeshCosts& mesh) const {
  if (mesh.tensor.paths.most_shared() > 1) return true;
  for (std::size_t s = 0; s + 1 < stages_.size(); ++s) {
    const std::size_t from = cut_.ranks[s];
    if (mesh.forward[from].most_shared() > 1 || mesh.backward[from].most_shared() > 1) return true;
  }
  for (std::size_t r = 0; r < cut_.kinds.size(); ++r) {
    for (const HeldClass& held : cut_.kinds[r]->buckets->classes) {
      if (held.is_reduced && holders_of(mesh, held, r).paths.most_shared() > 1) return true;
    }
  }
  return false;
}

PassLinks StagedModel::links_of(const MeshCosts& mesh) const {
  PassLinks links;
  const auto seconds = [&](const Paths& paths, const std::vector<Bytes>& messages) {
    double sum = 0;
    for (const Bytes size : messages)
      sum += paths.message(device_, size).seconds();
    return sum;
  };
  for (std::size_t s = 0; s + 1 < stages_.size(); ++s) {
    const std::size_t from = cut_.ranks[s];
    const bool same = s > 0 && messages_[s] == messages_[s - 1] &&
                      mesh.forward[from] == mesh.forward[cut_.ranks[s - 1]] &&
                      mesh.backward[from] == mesh.backward[cut_.ranks[s - 1]];
    links.forward.push_back(same ? links.forward.back()
                                 : seconds(mesh.forward[from], messages_[s]->outputs));
    links.backward.push_back(same ? links.backward.back()
                                  : seconds(mesh.backward[from], messages_[s]->gradients));
  }
  return links;
}

// ---- passes ------------------------------------------------------------------------------------

const PassTimeline& StagedModel::timeline(const PipelineSchedule& schedule,
                                          std::int64_t micro_batches, const MeshCosts& mesh) {
  const auto [known, is_new] = timelines_.try_emplace({&schedule, micro_batches, &mesh});
  if (is_new)
    known->second =
        timeline(schedule, micro_batches, mesh, std::vector<double>(cut_.kinds.size(), 0.0));
  return known->second;
}

PassTimeline StagedModel::timeline(const PipelineSchedule& schedule, std::int64_t micro_batches,
                                   const MeshCosts& mesh, const std::vector<double>& begin) {
  PipelineShape shape = shape_;
  shape.micro_batches = micro_batches;
  return run_passes(orders_.of(schedule, shape, exchange_), stages_, on(mesh).links, begin);
}

}  // namespace rehearse
