#include "cost/closed_form/staged_model.h"

#include <algorithm>

#include "model/net/lowering.h"

namespace rehearse {

StagedModel::StagedModel(NetPasses& passes, const StagedCut& cut, const PipelineShape& shape,
                         const Training& training, const Device& device, PassOrders& orders)
    : cut_(cut), shape_(shape), training_(training), device_(device), orders_(orders) {
  for (const NetPrograms::Stage& stage : cut.stages) {
    stages_.push_back(&passes.stage(stage));
    const bool same = stages_.size() > 1 && stages_.back() == stages_[stages_.size() - 2];
    state_bytes_.push_back(same ? state_bytes_.back() : bytes_by_state(*stages_.back()));
  }
  for (std::size_t s = 1; s < cut_.begins.size(); ++s)
    messages_.push_back(&passes.crossing(cut_.begins[s]));
}

const std::vector<const RankUpdates*>& StagedModel::updates(const MeshCosts& mesh,
                                                            Sharding sharding) {
  const auto [known, is_new] = updates_.try_emplace({&mesh, sharding});
  if (!is_new) return known->second;
  auto& own = rank_updates_[sharding == Sharding::none ? 0 : 1];
  for (std::size_t r = 0; r < cut_.kinds.size(); ++r) {
    // Ranks that have the same, where they stand alike.
    const std::size_t other = cut_.like[r];
    const bool same = mesh.holders[r] == mesh.holders[other] &&
                      mesh.partial_holders[r] == mesh.partial_holders[other];
    const std::size_t as = same ? other : r;
    const auto [made, is_first] = own.try_emplace({&mesh, as});
    if (is_first) {
      RankStages stages;
      stages.buckets = cut_.kinds[as]->buckets;
      for (const std::size_t stage : cut_.stages_of[as])
        stages.passes.push_back(stages_[stage]);
      made->second = rank_updates(stages, training_, device_, {sharding, &mesh, as});
    }
    known->second.push_back(&made->second);
  }
  return known->second;
}

const std::vector<StagedModel::RankAbove>& StagedModel::above(
    const std::vector<LiveStates>& states) {
  const auto [known, is_new] = above_.try_emplace(&states);
  if (!is_new) return known->second;
  for (const LiveStates& rank : states)
    known->second.push_back(above_of(rank));
  return known->second;
}

StagedModel::RankAbove StagedModel::above_of(const LiveStates& states) const {
  RankAbove made;
  made.live = -1;
  made.before_last.assign(states.stages.size(), -1);
  for (const LiveStates::Moment& moment : states.moments) {
    std::int64_t before = 0;
    std::size_t place = 0;
    for (std::size_t s = 0; s < states.stages.size(); ++s) {
      const auto& bytes = state_bytes_[states.stages[s]];
      if (states.stages[s] == moment.stage) place = s;
      for (std::size_t a = 0; a < kStageActions; ++a)
        before += moment.counts[s][a] * bytes[a];
    }
    if (moment.is_last) made.before_last[place] = std::max(made.before_last[place], before);
    const auto action = static_cast<std::size_t>(moment.action);
    const std::int64_t live = before + stages_[moment.stage]->memory[action].peak;
    if (live > made.live) made.live = live, made.stage = moment.stage, made.action = moment.action;
  }
  return made;
}

double StagedModel::messages(const MeshCosts& mesh, std::size_t rank, std::int64_t micro_batches) {
  const PassLinks& along = links(mesh);
  double sum = 0;
  for (const std::size_t stage : cut_.stages_of[rank]) {
    if (stage < along.forward.size()) sum += along.forward[stage];
    if (stage > 0) sum += along.backward[stage - 1];
  }
  return sum * static_cast<double>(micro_batches);
}

bool StagedModel::shares_links(const MeshCosts& mesh) const {
  bool shares = mesh.tensor.paths.most_shared() > 1;
  for (std::size_t s = 0; s + 1 < stages_.size(); ++s) {
    const std::size_t from = cut_.ranks[s];
    shares =
        shares || mesh.forward[from].most_shared() > 1 || mesh.backward[from].most_shared() > 1;
  }
  for (std::size_t r = 0; r < cut_.kinds.size(); ++r) {
    for (const HeldClass& held : cut_.kinds[r]->buckets->classes)
      shares = shares || (held.is_reduced && holders_of(mesh, held, r).paths.most_shared() > 1);
  }
  return shares;
}

const PassTimeline& StagedModel::timeline(const PipelineSchedule& schedule,
                                          std::int64_t micro_batches, const MeshCosts& mesh) {
  const auto [known, is_new] = timelines_.try_emplace({&schedule, micro_batches, &mesh});
  if (is_new)
    known->second =
        timeline(schedule, micro_batches, mesh, std::vector<double>(cut_.kinds.size(), 0.0));
  return known->second;
}

const PassLinks& StagedModel::links(const MeshCosts& mesh) {
  const auto [known, is_new] = links_.try_emplace(&mesh);
  PassLinks& links = known->second;
  const auto seconds = [&](const Paths& paths, const std::vector<Bytes>& messages) {
    double sum = 0;
    for (const Bytes size : messages)
      sum += paths.message(device_, size).seconds();
    return sum;
  };
  for (std::size_t s = 0; is_new && s + 1 < stages_.size(); ++s) {
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

PassTimeline StagedModel::timeline(const PipelineSchedule& schedule, std::int64_t micro_batches,
                                   const MeshCosts& mesh, const std::vector<double>& begin) {
  PipelineShape shape = shape_;
  shape.micro_batches = micro_batches;
  return run_passes(orders_.of(schedule, shape), stages_, links(mesh), begin);
}

}  // namespace rehearse
