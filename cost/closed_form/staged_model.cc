#include "cost/closed_form/staged_model.h"

#include "model/net/lowering.h"

namespace rehearse {

StagedModel::StagedModel(NetPasses& passes, const StagedCut& cut, const PipelineShape& shape,
                         const Training& training, const Device& device, PassOrders& orders)
    : cut_(cut), shape_(shape), training_(training), device_(device), orders_(orders) {
  for (const RankNet::Stage& stage : cut.stages) {
    stages_.push_back(&passes.stage(stage));
    const bool same = stages_.size() > 1 && stages_.back() == stages_[stages_.size() - 2];
    state_bytes_.push_back(same ? state_bytes_.back() : bytes_by_state(*stages_.back()));
  }
  weigh_messages(passes.net(), passes.samples());
}

void StagedModel::weigh_messages(RankNet& of, std::int64_t samples) {
  const Net& net = of.net();
  const ElementSizes sizes = element_sizes(training_);
  for (std::size_t s = 1; s < cut_.begins.size(); ++s) {
    auto &outputs = outputs_.emplace_back(), &gradients = gradients_.emplace_back();
    for (const ValueId value : of.crossing(cut_.begins[s])) {
      const Bytes size = size_of(net, value, samples, sizes);
      outputs.push_back(size);
      if (net.values[value.index()].needs_gradient) gradients.push_back(size);
    }
  }
}

const std::vector<const RankUpdates*>& StagedModel::updates(const MeshCosts& mesh,
                                                            Sharding sharding) {
  const auto [known, is_new] = updates_.try_emplace({&mesh, sharding});
  if (!is_new) return known->second;
  auto& own = rank_updates_[sharding == Sharding::none ? 0 : 1];
  for (std::size_t r = 0; r < cut_.buckets->size(); ++r) {
    // Ranks that have the same, where they stand alike.
    const std::size_t other = cut_.like[r];
    const bool same = mesh.holders[r] == mesh.holders[other] &&
                      mesh.partial_holders[r] == mesh.partial_holders[other];
    const std::size_t as = same ? other : r;
    const auto [made, is_first] = own.try_emplace({&mesh, as});
    if (is_first) {
      RankStages stages;
      stages.buckets = &(*cut_.buckets)[as];
      for (const std::size_t stage : cut_.stages_of[as])
        stages.passes.push_back(stages_[stage]);
      made->second = rank_updates(stages, training_, device_, {sharding, &mesh, as});
    }
    known->second.push_back(&made->second);
  }
  return known->second;
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
  for (std::size_t r = 0; r < cut_.buckets->size(); ++r) {
    for (const HeldClass& held : (*cut_.buckets)[r].classes)
      shares = shares || (held.is_reduced && holders_of(mesh, held, r).paths.most_shared() > 1);
  }
  return shares;
}

const PassTimeline& StagedModel::timeline(const PipelineSchedule& schedule,
                                          std::int64_t micro_batches, const MeshCosts& mesh) {
  const auto [known, is_new] = timelines_.try_emplace({&schedule, micro_batches, &mesh});
  if (is_new)
    known->second =
        timeline(schedule, micro_batches, mesh, std::vector<double>(cut_.buckets->size(), 0.0));
  return known->second;
}

const PassLinks& StagedModel::links(const MeshCosts& mesh) {
  const auto [known, is_new] = links_.try_emplace(&mesh);
  PassLinks& links = known->second;
  for (std::size_t s = 0; is_new && s + 1 < stages_.size(); ++s) {
    const std::size_t from = cut_.ranks[s];
    double there = 0, back = 0;
    for (const Bytes size : outputs_[s])
      there += mesh.forward[from].message(device_, size).seconds();
    for (const Bytes size : gradients_[s])
      back += mesh.backward[from].message(device_, size).seconds();
    links.forward.push_back(there);
    links.backward.push_back(back);
  }
  return links;
}

PassTimeline StagedModel::timeline(const PipelineSchedule& schedule, std::int64_t micro_batches,
                                   const MeshCosts& mesh, const std::vector<double>& begin) {
  PipelineShape shape = shape_;
  shape.micro_batches = micro_batches;
  return run_many_passes(orders_, schedule, shape, stages_, links(mesh), begin);
}

}  // namespace rehearse
