#include "cost/closed_form/pass_timeline.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace rehearse {
namespace {

// Turns are alike if they differ by no more than this share of their length.
constexpr double kSame = 1e-9;

constexpr double kNotBegun = -std::numeric_limits<double>::infinity();

struct RankState {
  double free = 0;           // when it can compute
  double exchanged = 0;      // when its exchanges have ended
  double before = 0;         // end of the pass before the last one
  double begin = 0;          // of its step
  double first = kNotBegun;  // when its first pass begins
  double held = 0;           // RankPasses'
  double waited = 0;
};

// Messages over a boundary in one direction: used as they are made.
struct Boundary {
  std::uint32_t made = 0, used = 0;
  double arrived = 0;  // the last one
  double seconds = 0;
  double* ready = nullptr;  // when they are made, the last ones
};

class Run {
 public:
  Run(const PassOrder& order, const std::vector<const StagePasses*>& stages, const PassLinks& links,
      const std::vector<double>& begin)
      : order_(order),
        stages_(stages),
        // What is in a loop's last turn and in the one before is still there.
        room_(std::bit_ceil(2 * order.waiting + turn_of(order))),
        forward_(stages.size()),
        backward_(stages.size()),
        ready_(stages.size() * room_ * 2) {
    made_.ranks.resize(begin.size());
    made_.last_pass.assign(stages.size(), 0);
    for (std::size_t r = 0; r < begin.size(); ++r) {
      ranks_.push_back({begin[r], begin[r], begin[r], begin[r]});
      ranks_.back().held = begin[r];
    }
    for (std::size_t s = 0; s + 1 < stages.size(); ++s)
      forward_[s].seconds = links.forward[s], backward_[s + 1].seconds = links.backward[s];
    for (std::size_t s = 0; s < stages.size(); ++s) {
      forward_[s].ready = &ready_[2 * s * room_];
      backward_[s].ready = &ready_[(2 * s + 1) * room_];
    }
  }

  PassTimeline run() {
    std::size_t at = 0;
    for (const PassOrder::Loop& loop : order_.loops) {
      follow(at, loop.begin);
      turn(loop);
      at = loop.end;
    }
    follow(at, order_.passes.size());
    finish();
    return std::move(made_);
  }

 private:
  // Micro-batches of a turn, at most.
  static std::size_t turn_of(const PassOrder& order) {
    return order.shape.chunks > 1 ? static_cast<std::size_t>(order.shape.ranks) : 1;
  }

  void follow(std::size_t begin, std::size_t end) {
    for (std::size_t p = begin; p < end; ++p)
      pass(order_.passes[p]);
  }

  // When the pass has computed, or the message has arrived.
  double pass(const PassOrder::Pass& pass) {
    if (pass.is_message()) return message(pass);
    const std::size_t s = pass.stage;
    RankState& rank = ranks_[order_.rank[s]];
    const PassTimes& times = stages_[s]->time(pass.action);
    const double input = input_of(pass, rank);
    if (pass.action == StageAction::forward) {
      make(forward_[s], when(times.output, rank, input));
    } else if (pass.action == StageAction::backward) {
      make(backward_[s], when(times.output, rank, input));
    }
    const double end = when(times.computed, rank, input);
    if (rank.first == kNotBegun) rank.first = end - times.length;
    rank.exchanged = when(times.exchanged, rank, input);
    rank.before = rank.free;
    return rank.free = made_.last_pass[s] = end;
  }

  // When what the pass receives is there.
  double input_of(const PassOrder::Pass& pass, RankState& rank) {
    const std::size_t s = pass.stage;
    const bool turns = pass.action == StageAction::backward && s + 1 == stages_.size();
    if (is_waited_for(order_.exchange)) {
      rank.exchanged = std::max(rank.exchanged, rank.held);
      rank.free = std::max(rank.free, rank.held);
    }
    // What its own forward pass has ended with.
    if (turns && order_.turns_at_once) return take(forward_[s]);
    if (is_waited_for(order_.exchange)) return rank.free;
    if (pass.action == StageAction::forward && s > 0) return receive(forward_[s - 1], rank.before);
    if (pass.action == StageAction::backward && s + 1 < stages_.size())
      return receive(backward_[s + 1], rank.before);
    return rank.begin;
  }

  double message(const PassOrder::Pass& pass) {
    const bool forward = pass.action == StageAction::send_forward;
    Boundary& boundary = forward ? forward_[pass.stage] : backward_[pass.stage];
    RankState& from = ranks_[order_.rank[pass.stage]];
    RankState& to = ranks_[order_.rank[forward ? pass.stage + 1U : pass.stage - 1U]];
    const double made = take(boundary);
    double start = std::max(std::max(made, boundary.arrived), std::max(from.free, to.free));
    if (order_.exchange == StageExchange::serial)
      start = std::max(start, std::max(from.held, to.held));
    boundary.arrived = start + boundary.seconds;
    for (RankState* rank : {&from, &to}) {
      const double begin = std::max(start, std::max(rank->free, rank->held));
      rank->waited += std::max(0.0, boundary.arrived - begin);
      rank->held = std::max(rank->held, boundary.arrived);
    }
    return boundary.arrived;
  }

  // As Moment::after(), without a list in memory: this is where estimates spend their time.
  static double when(const Moment& moment, const RankState& rank, double input) {
    const double computed = rank.free + moment.computed;
    const double exchanged = rank.exchanged + moment.exchanged;
    return std::max(std::max(computed, exchanged), input + moment.received);
  }

  double take(Boundary& boundary) const { return boundary.ready[boundary.used++ & (room_ - 1)]; }

  double receive(Boundary& boundary, double before) const {
    const double made = take(boundary);
    return boundary.arrived = std::max(std::max(made, boundary.arrived), before) + boundary.seconds;
  }

  void make(Boundary& boundary, double when) const {
    boundary.ready[boundary.made++ & (room_ - 1)] = when;
  }

  // ---- loops ------------------------------------------------------------------------------------

  // What the passes to come depend on; and, by pass of the turn, when it has ended.
  struct Snapshot {
    std::vector<RankState> ranks;
    std::vector<Boundary> forward, backward;
    std::vector<double> last_pass, ends;
  };

  void turn(const PassOrder::Loop& loop) {
    Snapshot before, now;
    std::vector<double> growth, growth_before;
    follow_turn(loop, now);
    for (std::int64_t done = 1; done < loop.count; ++done) {
      std::swap(before, now);
      follow_turn(loop, now);
      std::swap(growth, growth_before);
      growth.resize(now.ends.size());
      for (std::size_t p = 0; p < growth.size(); ++p)
        growth[p] = now.ends[p] - before.ends[p];
      if (!is_same(growth, growth_before) || !is_steady(loop, growth, before, now)) continue;
      return skip(before, now, static_cast<double>(loop.count - done - 1));
    }
  }

  void follow_turn(const PassOrder::Loop& loop, Snapshot& made) {
    made.ends.resize(loop.end - loop.begin);
    for (std::size_t p = loop.begin; p < loop.end; ++p)
      made.ends[p - loop.begin] = pass(order_.passes[p]);
    made.ranks = ranks_;
    made.forward = forward_;
    made.backward = backward_;
    made.last_pass = made_.last_pass;
  }

  static double tolerance(const std::vector<double>& growth) {
    return kSame * *std::max_element(growth.begin(), growth.end());
  }

  static bool is_same(const std::vector<double>& growth, const std::vector<double>& before) {
    const double same = tolerance(growth);
    return std::equal(growth.begin(), growth.end(), before.begin(), before.end(),
                      [&](double a, double b) { return std::abs(a - b) <= same; });
  }

  // Whether all passes of a rank grow alike, and no less than what they may wait for.
  bool is_steady(const PassOrder::Loop& loop, const std::vector<double>& growth,
                 const Snapshot& before, const Snapshot& now) const {
    const double same = tolerance(growth);
    if (is_waited_for(order_.exchange)) return do_all_grow_alike(growth, before, now);
    std::vector<double> own(ranks_.size(), kNotBegun);
    for (std::size_t p = 0; p < growth.size(); ++p) {
      double& rank = own[order_.rank[order_.passes[loop.begin + p].stage]];
      if (rank == kNotBegun) rank = growth[p];
      if (std::abs(rank - growth[p]) > same) return false;
    }
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      if (now.ranks[r].exchanged - before.ranks[r].exchanged > own[r] + same) return false;
    }
    const auto keeps_up = [&](const Boundary& was, const Boundary& is, std::size_t from,
                              std::size_t to) {
      if (is.used == was.used) return true;
      const double limit = own[order_.rank[to]] + same;
      return own[order_.rank[from]] <= limit && is.arrived - was.arrived <= limit &&
             is.seconds * static_cast<double>(is.used - was.used) <= limit;
    };
    for (std::size_t s = 0; s + 1 < stages_.size(); ++s) {
      if (!keeps_up(before.forward[s], now.forward[s], s, s + 1)) return false;
      if (!keeps_up(before.backward[s + 1], now.backward[s + 1], s + 1, s)) return false;
    }
    return true;
  }

  bool do_all_grow_alike(const std::vector<double>& growth, const Snapshot& before,
                         const Snapshot& now) const {
    const double same = tolerance(growth), all = growth.front();
    for (const double one : growth) {
      if (std::abs(one - all) > same) return false;
    }
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      if (now.ranks[r].exchanged - before.ranks[r].exchanged > all + same) return false;
    }
    return true;
  }

  void skip(const Snapshot& before, const Snapshot& now, double turns) {
    const auto on = [&](double& figure, double was, double is) { figure += turns * (is - was); };
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      for (const auto figure : {&RankState::free, &RankState::exchanged, &RankState::before,
                                &RankState::held, &RankState::waited}) {
        // Never, where there are no exchanges.
        if (std::isfinite(now.ranks[r].*figure))
          on(ranks_[r].*figure, before.ranks[r].*figure, now.ranks[r].*figure);
      }
    }
    for (std::size_t s = 0; s < stages_.size(); ++s) {
      on(made_.last_pass[s], before.last_pass[s], now.last_pass[s]);
      on(forward_[s].arrived, before.forward[s].arrived, now.forward[s].arrived);
      on(backward_[s].arrived, before.backward[s].arrived, now.backward[s].arrived);
      delay(forward_[s], now.forward[s].made - before.forward[s].made, turns);
      delay(backward_[s], now.backward[s].made - before.backward[s].made, turns);
    }
  }

  // Messages that are not used yet are those of so many turns later.
  void delay(const Boundary& boundary, std::uint32_t of_turn, double turns) const {
    if (of_turn == 0) return;
    for (std::uint32_t m = boundary.made; m-- > boundary.used && m >= of_turn;) {
      double& message = boundary.ready[m & (room_ - 1)];
      message += turns * (message - boundary.ready[(m - of_turn) & (room_ - 1)]);
    }
  }

  void finish() {
    const auto micro_batches = static_cast<double>(order_.shape.micro_batches);
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      made_.ranks[r].begin = ranks_[r].first, made_.ranks[r].end = ranks_[r].free;
      made_.ranks[r].held = ranks_[r].held, made_.ranks[r].waited = ranks_[r].waited;
      made_.ranks[r].sent = std::max(0.0, ranks_[r].exchanged);
    }
    for (std::size_t s = 0; s < stages_.size(); ++s) {
      RankPasses& own = made_.ranks[order_.rank[s]];
      own.sent = std::max({own.sent, forward_[s].arrived, backward_[s].arrived});
      for (const PassTimes& times : stages_[s]->times) {
        own.busy += micro_batches * times.busy;
        own.exchanging += micro_batches * (times.length - times.busy);
      }
    }
  }

  const PassOrder& order_;
  const std::vector<const StagePasses*>& stages_;
  const std::size_t room_;
  std::vector<RankState> ranks_;
  std::vector<Boundary> forward_, backward_;  // by sending stage
  std::vector<double> ready_;                 // of all boundaries
  PassTimeline made_;
};

}  // namespace

namespace {

bool is_nowhere_faster(const PassLinks& one, const PassLinks& other) {
  const auto later = [](double a, double b) { return a >= b; };
  return std::equal(one.forward.begin(), one.forward.end(), other.forward.begin(), later) &&
         std::equal(one.backward.begin(), one.backward.end(), other.backward.begin(), later);
}

void merge(PassLinks& all, const PassLinks& one) {
  const auto later = [](double a, double b) { return std::max(a, b); };
  std::transform(all.forward.begin(), all.forward.end(), one.forward.begin(), all.forward.begin(),
                 later);
  std::transform(all.backward.begin(), all.backward.end(), one.backward.begin(),
                 all.backward.begin(), later);
}

}  // namespace

ReplicaLinks slowest_replicas(std::vector<PassLinks> kinds) {
  constexpr std::size_t kMost = 16;
  ReplicaLinks made;
  for (PassLinks& kind : kinds) {
    const auto is_said = [&](const PassLinks& by) { return is_nowhere_faster(by, kind); };
    if (std::any_of(made.kinds.begin(), made.kinds.end(), is_said)) continue;
    std::erase_if(made.kinds, [&](const PassLinks& by) { return is_nowhere_faster(kind, by); });
    made.kinds.push_back(std::move(kind));
  }
  made.are_merged = made.kinds.size() > kMost;
  for (; made.are_merged && made.kinds.size() > 1; made.kinds.pop_back())
    merge(made.kinds.front(), made.kinds.back());
  return made;
}

PassTimeline run_passes(const PassOrder& order, const std::vector<const StagePasses*>& stages,
                        const PassLinks& links, const std::vector<double>& begin) {
  return Run(order, stages, links, begin).run();
}

}  // namespace rehearse
