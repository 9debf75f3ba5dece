#include "cost/closed_form/step.h"

#include <algorithm>
#include <limits>

namespace rehearse {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

// What all ranks do in one step, from their passes on.
class Ending {
 public:
  // replicas: passes, by kind of replicas.
  Ending(const StepParts& parts, const std::vector<PassTimeline>& replicas)
      : parts_(parts),
        replicas_(replicas),
        updates_(parts.model->updates(*parts.mesh, parts.sharding).ranks),
        lanes_(updates_.size()) {}

  // Reductions of a rank that are over before its passes are.
  double hidden(std::size_t rank) const {
    const double shown = std::max(0.0, lanes_[rank] - passed(rank));
    return std::max(0.0, updates_[rank]->reductions->total - shown);
  }

  // When each rank has ended it: by kind of replicas, then rank.
  std::vector<double> run() {
    for (std::size_t r = 0; r < updates_.size(); ++r)
      lanes_[r] = reduced(r, updates_[r]->after, updates_[r]->reductions->total);
    reduce_tied();
    std::vector<double> norms;
    if (parts_.norm != nullptr) norms = add_up_squares();
    std::vector<double> ends(replicas_.size() * updates_.size());
    for (std::size_t r = 0; r < updates_.size(); ++r)
      update(r, norms.empty() ? kNever : norms[r], ends);
    return ends;
  }

 private:
  // Figures of replicas that reduce together: of the last one.
  template <class Figure>
  double latest(const Figure& figure) const {
    double last = kNever;
    for (const PassTimeline& replica : replicas_)
      last = std::max(last, figure(replica));
    return last;
  }
  double last_pass(std::size_t rank, std::size_t s) const {
    const std::size_t stage = parts_.model->cut().stages_of[rank][s];
    return latest([&](const PassTimeline& replica) { return replica.last_pass[stage]; });
  }
  double passed(std::size_t rank) const {
    return latest([&](const PassTimeline& replica) { return replica.ranks[rank].end; });
  }

  double reduced(std::size_t rank, const std::vector<double>& after, double total) const {
    if (!parts_.overlap) return passed(rank) + total;
    double end = kNever;
    for (std::size_t s = 0; s < after.size(); ++s)
      end = std::max(end, last_pass(rank, s) + after[s]);
    return end;
  }

  void reduce_tied() {
    if (updates_.size() < 2) return;
    const std::size_t last = updates_.size() - 1;
    for (std::size_t b = 0; b < updates_.front()->tied.size(); ++b) {
      double begin = std::max(lanes_.front(), lanes_[last]);
      for (const std::size_t r : {std::size_t{0}, last})
        begin = std::max(begin, reduced(r, updates_[r]->tied[b].ready, 0));
      lanes_.front() = lanes_[last] = begin + updates_.front()->tied[b].seconds;
    }
  }

  // Its passes, and messages that what it computes next waits for.
  static double computed(const PassTimeline& replica, std::size_t rank) {
    return std::max(replica.ranks[rank].end, replica.ranks[rank].held);
  }

  // By rank, when it has the sum.
  std::vector<double> add_up_squares() const {
    const std::vector<std::vector<double>>& behind = parts_.norm->behind;
    std::vector<double> norms(updates_.size(), kNever);
    double last = kNever;
    for (std::size_t r = 0; r < updates_.size(); ++r) {
      const double passes =
          latest([&](const PassTimeline& replica) { return computed(replica, r); });
      const double own = std::max(passes, lanes_[r]) + updates_[r]->reductions->squares;
      last = std::max(last, own);
      for (std::size_t other = 0; other < behind.size(); ++other)
        norms[other] = std::max(norms[other], own + behind[r][other]);
    }
    if (behind.empty()) std::fill(norms.begin(), norms.end(), last + parts_.norm->most);
    return norms;
  }

  // Classes that nobody shares first, then as their reductions end; new weights are gathered when
  // the last replica has its own.
  void update(std::size_t rank, double norm, std::vector<double>& ends) const {
    const RankReductions& own = *updates_[rank]->reductions;
    const auto now = [&](std::size_t kind) -> double& {
      return ends[kind * updates_.size() + rank];
    };
    double alone = 0, lane = lanes_[rank];
    for (const RankReductions::Class& held : own.classes) {
      if (!held.is_reduced) alone += held.optimizer;
    }
    for (std::size_t k = 0; k < replicas_.size(); ++k)
      now(k) = std::max(computed(replicas_[k], rank), norm) + alone;
    for (const bool tied : {false, true}) {
      for (std::size_t c = 0; c < own.classes.size(); ++c) {
        const RankReductions::Class& held = own.classes[c];
        if (!held.is_reduced || held.is_tied != tied) continue;
        const double ready =
            tied ? lanes_[rank] : reduced(rank, updates_[rank]->after_class[c], own.total);
        double last = kNever;
        for (std::size_t k = 0; k < replicas_.size(); ++k) {
          now(k) = std::max(now(k), ready) + held.optimizer;
          last = std::max(last, now(k));
        }
        if (held.gather > 0) lane = std::max(lane, last) + held.gather;
      }
    }
    for (std::size_t k = 0; k < replicas_.size(); ++k)
      now(k) = std::max({now(k), lane, replicas_[k].ranks[rank].sent});
  }

  const StepParts& parts_;
  const std::vector<PassTimeline>& replicas_;
  const std::vector<const RankUpdates*>& updates_;
  std::vector<double> lanes_;  // by rank: when its last reduction has ended
};

// Steps until they take as long as one another.
constexpr int kMostSteps = 6;
constexpr double kSame = 1e-6;

// The first ranks begin their next step when they have ended this one, at the same time. Whoever is
// still busy then is not waited for, if its part of the next step does not begin before it is done:
// then steps follow each other as the first ranks' do.
bool follows_first(const std::vector<PassTimeline>& replicas, const std::vector<double>& ends) {
  const std::size_t ranks = replicas.front().ranks.size();
  for (std::size_t k = 0; k < replicas.size(); ++k) {
    const double first = ends[k * ranks];
    if (std::abs(first - ends.front()) > kSame * first) return false;
    for (std::size_t r = 1; r < ranks; ++r) {
      if (ends[k * ranks + r] - first > replicas[k].ranks[r].begin) return false;
    }
  }
  return true;
}

double steady_step(const StepParts& parts, std::vector<double> ends) {
  double length = 0, end = *std::max_element(ends.begin(), ends.end());
  for (int step = 1; step < kMostSteps; ++step) {
    const double first = *std::min_element(ends.begin(), ends.end());
    for (double& begin : ends)
      begin -= first;
    const std::vector<PassTimeline> replicas =
        parts.model->passes().timelines(*parts.schedule, parts.micro_batches, *parts.mesh, ends);
    ends = Ending(parts, replicas).run();
    const double next = first + *std::max_element(ends.begin(), ends.end()) - end;
    end = *std::max_element(ends.begin(), ends.end());
    if (std::abs(next - length) < kSame * next) return next;
    length = next;
  }
  return length;
}

double optimizer_seconds(const RankReductions& updates, bool has_norm) {
  double sum = has_norm ? updates.squares : 0;
  for (const RankReductions::Class& held : updates.classes)
    sum += held.optimizer;
  return sum;
}

// What a rank sends and receives over its boundaries, and what goes over others, may be under way
// at once.
double held_up(const StepParts& parts, std::size_t rank, double messages) {
  const bool wraps = parts.model->cut().stages_of.front().size() > 1;
  const double exchanged = parts.mesh->exchanges_meet_messages ? messages : 0;
  return exchanged + messages * parts.mesh->held_of(wraps)[rank];
}

double contention_of(const StepParts& parts, std::size_t rank, double messages, double reductions) {
  const double sum = held_up(parts, rank, messages);
  if (parts.mesh->reductions_meet_exchanges) return sum + reductions;
  return parts.mesh->reductions_meet_messages ? sum + std::min(messages, reductions) : sum;
}

// The last micro-batch comes back through all ranks, one after the other: what meets its messages
// there, each rank in turn waits for. What all ranks reduce begins when these leave.
double contention_on_way_back(const StepParts& parts) {
  StagedPasses& passes = parts.model->passes();
  const auto& ranks = parts.model->updates(*parts.mesh, parts.sharding).ranks;
  double sum = 0;
  for (std::size_t r = 1; r < ranks.size(); ++r) {
    sum += held_up(parts, r, passes.messages(*parts.mesh, r, 1));
    if (!parts.mesh->exchanges_meet_messages && parts.mesh->reductions_meet_messages)
      sum += std::min(passes.last_message(*parts.mesh, r), ranks[r]->reductions->total);
  }
  return sum;
}

}  // namespace

StepTimes step_times(const StepParts& parts) {
  const std::vector<PassTimeline>& replicas =
      parts.model->passes().timelines(*parts.schedule, parts.micro_batches, *parts.mesh);
  Ending ending(parts, replicas);
  const std::vector<double> ends = ending.run();
  StepTimes times;
  times.step_time = follows_first(replicas, ends) ? ends.front() : steady_step(parts, ends);
  const auto& updates = parts.model->updates(*parts.mesh, parts.sharding);
  const std::size_t ranks = updates.ranks.size();
  const bool wraps = parts.model->cut().stages_of.front().size() > 1;
  const bool waits = is_waited_for(parts.model->passes().exchange());
  double longest = -1;
  for (std::size_t at = 0; at < ends.size(); ++at) {
    const std::size_t r = at % ranks;
    const RankPasses& own = replicas[at / ranks].ranks[r];
    // The last stage's labels are loaded when its rank begins the step, or its input is there.
    const bool loads_first = r > 0 && r + 1 == ranks && !wraps && !waits;
    const double begin = loads_first ? std::min(own.begin, ends[at] - times.step_time) : own.begin;
    if (own.end - begin > longest) {
      longest = own.end - begin;
      times.bubble_fraction = std::max(0.0, 1 - own.busy / longest);
    }
    const double messages = parts.model->passes().messages(*parts.mesh, r, parts.micro_batches - 1);
    times.contention =
        std::max(times.contention,
                 contention_of(parts, r, messages, ending.hidden(r)) + updates.of_others[r]);
    const double update = optimizer_seconds(*updates.ranks[r]->reductions, parts.norm != nullptr);
    if (own.busy + update <= times.compute) continue;
    times.compute = own.busy + update;
    times.link = own.exchanging + own.waited + std::max(0.0, ends[at] - own.end - update);
  }
  times.contention += contention_on_way_back(parts);
  return times;
}

RankPeak rank_peak(const StepParts& parts, const std::vector<LiveStates>& states, std::size_t rank,
                   std::int64_t squares_bytes) {
  const RankUpdates& own = *parts.model->updates(*parts.mesh, parts.sharding).ranks[rank];
  const RankAbove& above = parts.model->passes().above(states, rank);
  RankPeak peak{std::max(squares_bytes, parts.overlap ? 0 : own.reductions->room), 0,
                StageAction::forward};
  const auto take = [&](std::int64_t live, std::uint32_t stage, StageAction action) {
    if (live > peak.live) peak = {live, stage, action};
  };
  take(above.live, above.stage, above.action);
  const std::vector<std::uint32_t>& stages = states[rank].stages;
  for (std::size_t s = 0; parts.overlap && s < stages.size(); ++s) {
    if (above.before_last[s] >= 0)
      take(above.before_last[s] + own.reducing[s], stages[s], parts.finishing());
  }
  peak.live += own.reductions->state;
  return peak;
}

// Ranks in the midst exchange messages with as many others.
bool is_peak_covered(const StepParts& parts, const std::vector<LiveStates>& states,
                     std::size_t rank) {
  if (rank < 2 || rank + 1 == states.size() || !states[rank].is_covered) return false;
  const auto& ranks = parts.model->updates(*parts.mesh, parts.sharding).ranks;
  return ranks[rank] == ranks[rank - 1];
}

}  // namespace rehearse
