#include "tests/schedule/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>

namespace rehearse::testing {
namespace {

using Key = std::tuple<Task, std::size_t, std::size_t>;  // task, stage, micro-batch

Key key_of(const Slot& slot) {
  return {slot.task, slot.stage.index(), slot.micro_batch.index()};
}

std::string name_of(const Slot& slot) {
  return fmt::format("{} of stage {}, micro-batch {}", to_string(slot.task), slot.stage.value(),
                     slot.micro_batch.value());
}

bool is_input_gradient(Task task) {
  return task == Task::backward || task == Task::backward_input;
}

// The stage that this pass waits for.
std::optional<std::size_t> stage_before(const PipelineShape& shape, const Slot& slot) {
  const std::size_t stage = slot.stage.index();
  if (slot.task == Task::forward && stage > 0) return stage - 1;
  if (is_input_gradient(slot.task) && stage + 1 < static_cast<std::size_t>(shape.stages()))
    return stage + 1;
  return std::nullopt;
}

double duration(const PipelineCosts& costs, const Slot& slot) {
  const std::size_t stage = slot.stage.index();
  switch (slot.task) {
    case Task::forward:
      return costs.forward[stage];
    case Task::backward:
      return costs.backward_input[stage] + costs.backward_weight[stage];
    case Task::backward_input:
      return costs.backward_input[stage];
    case Task::backward_weight:
      return costs.backward_weight[stage];
  }
  return 0;
}

class Player {
 public:
  Player(const PipelineShape& shape, const PipelineCosts& costs, const Orders& orders)
      : shape_(shape), costs_(costs), orders_(orders), next_(orders.size()), free_(orders.size()) {}

  Replay run() {
    Replay result;
    for (bool moved = true; moved;) {
      moved = false;
      for (std::size_t rank = 0; rank < orders_.size(); ++rank) {
        while (next_[rank] < orders_[rank].size() && play(rank))
          moved = true;
      }
    }
    result.finished = true;
    for (std::size_t rank = 0; rank < orders_.size(); ++rank) {
      if (next_[rank] < orders_[rank].size()) result.finished = false;
      if (orders_[rank].empty()) continue;
      result.cost = std::max(result.cost, free_[rank] - first_start_.at(rank));
      result.live.push_back(live_of(rank));
    }
    return result;
  }

 private:
  // False: what the next pass needs has not been computed yet.
  bool play(std::size_t rank) {
    const Slot& slot = orders_[rank][next_[rank]];
    double start = free_[rank];
    if (const auto from = stage_before(shape_, slot)) {
      const auto end = end_of(slot.task, *from, slot.micro_batch);
      if (!end) return false;
      const bool hops = rank_of(shape_, StageId(*from)) != rank;
      start = std::max(start, *end + (hops ? costs_.transfer : 0));
    }
    first_start_.try_emplace(rank, start);
    free_[rank] = start + duration(costs_, slot);
    ends_[key_of(slot)] = free_[rank];
    ++next_[rank];
    return true;
  }

  std::optional<double> end_of(Task task, std::size_t stage, MicroBatchId m) const {
    const auto find = [&](Task done) -> std::optional<double> {
      const auto end = ends_.find({done, stage, m.index()});
      return end == ends_.end() ? std::nullopt : std::optional(end->second);
    };
    if (task == Task::forward) return find(Task::forward);
    const auto whole = find(Task::backward);
    return whole ? whole : find(Task::backward_input);
  }

  double live_of(std::size_t rank) const {
    std::int64_t now = 0, most = 0;
    for (const Slot& slot : orders_[rank]) {
      if (slot.task == Task::forward) most = std::max(most, ++now);
      if (slot.task == Task::backward || slot.task == Task::backward_weight) --now;
    }
    return static_cast<double>(most) / static_cast<double>(shape_.chunks);
  }

  const PipelineShape& shape_;
  const PipelineCosts& costs_;
  const Orders& orders_;
  std::vector<std::size_t> next_;  // by rank
  std::vector<double> free_;
  std::map<std::size_t, double> first_start_;
  std::map<Key, double> ends_;
};

}  // namespace

Replay replay(const PipelineShape& shape, const PipelineCosts& costs, const Orders& orders) {
  return Player(shape, costs, orders).run();
}

double bubble_rate(const PipelineShape& shape, const PipelineCosts& costs, const Orders& orders) {
  double busiest = 0;
  for (const auto& order : orders) {
    double busy = 0;
    for (const Slot& slot : order)
      busy += duration(costs, slot);
    busiest = std::max(busiest, busy);
  }
  const double cost = replay(shape, costs, orders).cost;
  return (cost - busiest) / cost;
}

namespace {

// A message lane: what it does, in order, and how many of these are over.
struct Messages {
  std::vector<std::pair<Key, std::size_t>> list;  // and the passes computed before it is issued
  std::size_t done = 0;
};

// Time does not matter to whether it ends, so this moves whatever can move until nothing does.
class Rendezvous {
 public:
  Rendezvous(const PipelineShape& shape, const Orders& orders)
      : shape_(shape), orders_(orders), computed_(orders.size()) {
    for (std::size_t rank = 0; rank < orders.size(); ++rank) {
      for (std::size_t i = 0; i < orders[rank].size(); ++i)
        add_messages(rank, i);
    }
  }

  std::string run() {
    for (bool moved = true; moved;) {
      moved = false;
      for (std::size_t rank = 0; rank < orders_.size(); ++rank) {
        while (compute(rank))
          moved = true;
      }
      for (auto& [lane, sends] : sends_) {
        while (pass(lane, sends))
          moved = true;
      }
    }
    for (std::size_t rank = 0; rank < orders_.size(); ++rank) {
      if (computed_[rank] < orders_[rank].size()) {
        return fmt::format("rank {} waits before {}", rank,
                           name_of(orders_[rank][computed_[rank]]));
      }
    }
    return "";
  }

 private:
  struct Lane {
    std::size_t rank, peer;
    bool gradients;
    auto operator<=>(const Lane&) const = default;
  };

  static bool is_backward(const Slot& slot) { return slot.task != Task::forward; }
  // Both ends call a message by the stage that receives it.
  static Key message(bool backward, std::size_t receiver, MicroBatchId m) {
    return {backward ? Task::backward : Task::forward, receiver, m.index()};
  }

  void add_messages(std::size_t rank, std::size_t i) {
    const Slot& slot = orders_[rank][i];
    if (slot.task == Task::backward_weight) return;
    const bool backward = is_backward(slot);
    if (const auto from = peer_at(rank, stage_before(shape_, slot))) {
      const Key key = message(backward, slot.stage.index(), slot.micro_batch);
      receives_[{rank, *from, backward}].list.emplace_back(key, i == 0 ? 0 : i - 1);
    }
    const auto next = stage_after(slot);
    if (const auto to = peer_at(rank, next)) {
      const Key key = message(backward, *next, slot.micro_batch);
      sends_[{rank, *to, backward}].list.emplace_back(key, i + 1);
    }
  }

  // The other rank on which a stage stands, if there is one.
  std::optional<std::size_t> peer_at(std::size_t rank, std::optional<std::size_t> stage) const {
    if (!stage) return std::nullopt;
    const std::size_t peer = rank_of(shape_, StageId(*stage));
    return peer == rank ? std::nullopt : std::optional(peer);
  }

  std::optional<std::size_t> stage_after(const Slot& slot) const {
    const std::size_t stage = slot.stage.index();
    if (is_backward(slot)) return stage > 0 ? std::optional(stage - 1) : std::nullopt;
    const bool last = stage + 1 == static_cast<std::size_t>(shape_.stages());
    return last ? std::nullopt : std::optional(stage + 1);
  }

  bool compute(std::size_t rank) {
    if (computed_[rank] == orders_[rank].size()) return false;
    const Slot& slot = orders_[rank][computed_[rank]];
    const Key input = message(is_backward(slot), slot.stage.index(), slot.micro_batch);
    if (stage_before(shape_, slot) && arrived_.count(input) == 0) return false;
    if (slot.task != Task::backward_weight) {
      // To a stage on the same rank nothing is sent.
      if (const auto to = stage_after(slot); to && rank_of(shape_, StageId(*to)) == rank)
        arrived_.insert(message(is_backward(slot), *to, slot.micro_batch));
    }
    ++computed_[rank];
    return true;
  }

  // The next message of a lane, if both ends have issued it.
  bool pass(const Lane& lane, Messages& sends) {
    if (sends.done == sends.list.size()) return false;
    Messages& receives = receives_[{lane.peer, lane.rank, lane.gradients}];
    if (receives.done == receives.list.size()) return false;
    const auto& [key, computed] = sends.list[sends.done];
    const auto& [expected, posted] = receives.list[receives.done];
    if (expected != key || computed_[lane.rank] < computed || computed_[lane.peer] < posted)
      return false;
    arrived_.insert(key);
    ++sends.done, ++receives.done;
    return true;
  }

  const PipelineShape& shape_;
  const Orders& orders_;
  std::vector<std::size_t> computed_;  // passes, by rank
  std::map<Lane, Messages> sends_, receives_;
  std::set<Key> arrived_;
};

}  // namespace

std::string stuck_with_rendezvous(const PipelineShape& shape, const Orders& orders) {
  return Rendezvous(shape, orders).run();
}

std::string fault(const PipelineShape& shape, const Orders& orders) {
  std::map<Key, std::size_t> seen;
  for (std::size_t rank = 0; rank < orders.size(); ++rank) {
    for (const Slot& slot : orders[rank]) {
      const auto [task, stage, m] = key_of(slot);
      const auto has = [&, stage = stage, m = m](Task t) { return seen.count({t, stage, m}) > 0; };
      if (rank_of(shape, slot.stage) != rank) return "on another's rank: " + name_of(slot);
      if (has(slot.task)) return "twice: " + name_of(slot);
      if (slot.task != Task::forward && !has(Task::forward))
        return "before its forward: " + name_of(slot);
      if (slot.task != Task::backward && slot.task != Task::forward && has(Task::backward))
        return "whole and split: " + name_of(slot);
      if (slot.task == Task::backward && has(Task::backward_input))
        return "split and whole: " + name_of(slot);
      if (slot.task == Task::backward_weight && !has(Task::backward_input))
        return "before its input gradients: " + name_of(slot);
      seen[key_of(slot)] = rank;
    }
  }
  for (std::size_t stage = 0; stage < static_cast<std::size_t>(shape.stages()); ++stage) {
    for (std::size_t m = 0; m < static_cast<std::size_t>(shape.micro_batches); ++m) {
      const bool whole = seen.count({Task::backward, stage, m}) > 0;
      const bool split = seen.count({Task::backward_weight, stage, m}) > 0;
      if (!whole && !split) return fmt::format("no backward of stage {}, micro-batch {}", stage, m);
    }
  }
  const auto passes = static_cast<std::size_t>(shape.stages() * shape.micro_batches);
  const auto forwards = std::count_if(seen.begin(), seen.end(), [](const auto& pass) {
    return std::get<Task>(pass.first) == Task::forward;
  });
  return static_cast<std::size_t>(forwards) == passes ? "" : "passes of no micro-batch or stage";
}

PipelineCosts even_costs(const PipelineShape& shape, double forward, double input, double weight,
                         double transfer) {
  const auto stages = static_cast<std::size_t>(shape.stages());
  return {std::vector<double>(stages, forward), std::vector<double>(stages, input),
          std::vector<double>(stages, weight), transfer};
}

}  // namespace rehearse::testing
