#include "cost/closed_form/played_plan.h"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "cost/cost_model.h"
#include "model/base/check.h"
#include "model/plan/op_work.h"
#include "model/schedule/mesh_place.h"

namespace rehearse {
namespace {

// Where each rank stands.
std::vector<MeshPlace> places_of(const Mesh& mesh) {
  std::vector<MeshPlace> places(static_cast<std::size_t>(mesh.ranks()));
  MeshPlace place;
  for (place.data = 0; place.data < mesh.data; ++place.data) {
    for (place.pipeline = 0; place.pipeline < mesh.pipeline; ++place.pipeline) {
      for (place.tensor = 0; place.tensor < mesh.tensor; ++place.tensor)
        places[rank_at(mesh, place).index()] = place;
    }
  }
  return places;
}

// Ops of the ranks that begin together, numbered as they come up.
class Meetings {
 public:
  enum class Kind { message, reduction, norm };
  struct Key {
    Kind kind;
    // Of a message its kind of replicas, ends and tag; of a reduction its op, begin, group, and how
    // many such the rank has had.
    std::array<std::int64_t, 4> what{};
    auto operator<=>(const Key&) const = default;
  };
  std::size_t join(const Key& key) {
    const auto [known, is_new] = numbers_.try_emplace(key, all_.size());
    if (is_new) all_.emplace_back();
    ++all_[known->second].members;
    return known->second;
  }
  std::vector<Meeting> take() { return std::move(all_); }

 private:
  std::map<Key, std::size_t> numbers_;
  std::vector<Meeting> all_;
};

// Elements whose squares the program adds up; 0 where nobody asks.
std::int64_t squared_of(const Plan& plan, const RankProgram& program) {
  return plan.training.optimizer.clip ? elements_squared(plan, program) : 0;
}

class OfRank {
 public:
  OfRank(const Plan& plan, const PlayingCosts& costs, const std::vector<MeshPlace>& places,
         std::size_t rank, std::optional<std::size_t> kind, Meetings& meetings)
      : plan_(plan),
        costs_(costs),
        places_(places),
        rank_(rank),
        kind_(kind),
        binding_(
            plan.ranks[rank_at(plan.mesh, {0, 0, static_cast<std::int64_t>(rank), 0}).index()]),
        program_(plan.programs[binding_.program.index()]),
        priced_(costs, program_, plan.training, plan.micro_batch_samples, kind),
        squared_(squared_of(plan, program_)),
        meetings_(meetings) {}

  const RankProgram& program() const { return program_; }

  std::optional<PlayedRank> run() {
    PlayedRank made;
    made.lanes = program_.lanes.size();
    for (const Op& op : program_.ops) {
      auto played = price(op);
      if (!played) return std::nullopt;
      played->lane = op.lane.index();
      for (const OpId before : op.after)
        played->after.push_back(before.index());
      made.ops.push_back(*std::move(played));
    }
    return made;
  }

 private:
  std::optional<PlayedOp> price(const Op& op) {
    if (op.kind == OpKind::send || op.kind == OpKind::receive) return message(op);
    if (program_.lanes[op.lane.index()].kind != LaneKind::compute) return collective(op);
    PlayedOp made;
    made.seconds = priced_.compute(op, squared_);
    return made;
  }

  // ---- messages ---------------------------------------------------------------------------------

  PlayedOp message(const Op& op) {
    const Transfer& it = transfer_of(op);
    const auto peer = static_cast<std::size_t>(places_[binding_.peers[it.peer].index()].pipeline);
    const bool sends = op.kind == OpKind::send;
    const std::size_t from = sends ? rank_ : peer, to = sends ? peer : rank_;
    const auto ranks = static_cast<std::size_t>(plan_.mesh.pipeline);
    const bool forward = to == (from + 1) % ranks;
    PlayedOp made = priced_.message(
        {forward ? FlowKind::forward : FlowKind::backward, forward ? from : to}, it.bytes);
    made.meeting =
        meetings_.join({Meetings::Kind::message,
                        {static_cast<std::int64_t>(kind_.value_or(0)),
                         static_cast<std::int64_t>(from), static_cast<std::int64_t>(to), it.tag}});
    return made;
  }

  // ---- collectives ------------------------------------------------------------------------------

  std::optional<PlayedOp> collective(const Op& op) {
    const Collective& it = collective_of(op);
    if (program_.lanes[op.lane.index()].kind == LaneKind::tensor)
      return priced_.ring({FlowKind::tensor, rank_}, op);
    PlayedOp made;
    if (!it.parameter_class) {
      made.seconds = costs_.norm->most;
      made.meeting = meetings_.join({Meetings::Kind::norm});
      return made;
    }
    const auto reach = reach_of(it.group);
    if (!reach) return std::nullopt;
    made = priced_.ring(reach->flow, op);
    if (!kind_ && reach->flow.kind < FlowKind::tied) return made;
    const std::tuple key(op.kind, it.begin, reach->number);
    made.meeting = meetings_.join(
        {Meetings::Kind::reduction,
         {static_cast<std::int64_t>(op.kind), it.begin, reach->number, had_[key]++}});
    return made;
  }

  // Who is in a group of the rank's.
  struct Reach {
    Flow flow;
    std::int64_t number = 0;  // the plan's
  };
  std::optional<Reach> reach_of(std::size_t slot) {
    const auto known = reaches_.find(slot);
    if (known != reaches_.end()) return known->second;
    const GroupId number = binding_.groups[slot];
    bool is_partial = false, is_tied = false, is_known = true;
    const auto last = plan_.mesh.pipeline - 1;
    for (const RankId member : plan_.groups[number.index()].members) {
      const MeshPlace& place = places_[member.index()];
      is_partial = is_partial || place.tensor != 0;
      if (place.pipeline == static_cast<std::int64_t>(rank_)) continue;
      is_tied = true;
      is_known = is_known && (place.pipeline == 0 || place.pipeline == last);
    }
    is_known = is_known && (!is_tied || rank_ == 0 || static_cast<std::int64_t>(rank_) == last);
    Flow flow{is_partial ? FlowKind::partial_holders : FlowKind::holders, rank_};
    if (is_tied) flow = {is_partial ? FlowKind::partial_tied : FlowKind::tied};
    std::optional<Reach> made;
    if (is_known) made = Reach{flow, static_cast<std::int64_t>(number.value())};
    return reaches_.emplace(slot, made).first->second;
  }

  const Plan& plan_;
  const PlayingCosts& costs_;
  const std::vector<MeshPlace>& places_;
  const std::size_t rank_;
  const std::optional<std::size_t> kind_;  // of replicas; none: all are alike
  const RankBinding& binding_;
  const RankProgram& program_;
  PlayedOps priced_;
  const std::int64_t squared_;
  Meetings& meetings_;
  std::map<std::size_t, std::optional<Reach>> reaches_;  // by slot
  std::map<std::tuple<OpKind, std::int64_t, std::int64_t>, std::int64_t> had_;
};

}  // namespace

std::int64_t kinds_played(const MeshCosts& mesh) {
  const std::size_t differ = mesh.replica_kinds.size();
  return differ > 0 && differ <= kMostReplicaKinds ? std::ssize(mesh.replica_kinds) : 1;
}

std::optional<PlayedPlan> played_plan(const Plan& plan, const PlayingCosts& costs) {
  const std::vector<MeshPlace> places = places_of(plan.mesh);
  std::vector<std::optional<std::size_t>> kinds(static_cast<std::size_t>(kinds_played(costs.mesh)));
  for (std::size_t k = 0; k < kinds.size() && kinds.size() > 1; ++k)
    kinds[k] = k;
  PlayedPlan made;
  Meetings meetings;
  for (const auto& kind : kinds) {
    for (std::size_t r = 0; r < static_cast<std::size_t>(plan.mesh.pipeline); ++r) {
      OfRank own(plan, costs, places, r, kind, meetings);
      auto played = own.run();
      if (!played) return std::nullopt;
      made.programs.push_back(&own.program());
      made.ranks.push_back(*std::move(played));
    }
  }
  made.meetings = meetings.take();
  return made;
}

}  // namespace rehearse
