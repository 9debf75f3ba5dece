#include <algorithm>
#include <bit>
#include <map>
#include <set>
#include <tuple>

#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

// Ranks that share their micro-batches and their slice: one copy of the network between them.
using Replica = std::pair<std::int64_t, std::int64_t>;  // first micro-batch, slice

// Every stage stands on one rank of each replica, and together they are the network.
void check_stages(Report& report, const Net& net) {
  std::map<Replica, std::vector<std::tuple<SegmentId, SegmentId, std::size_t>>> stages;
  for (std::size_t r = 0; r < report.plan.ranks.size(); ++r) {
    const RankBinding& rank = report.plan.ranks[r];
    auto& own = stages[{rank.first_micro_batch, rank.slice}];
    for (const Stage& stage : report.plan.programs[rank.program.index()].stages)
      own.emplace_back(stage.begin, stage.end, r);
  }
  for (auto& [replica, ranges] : stages) {
    std::sort(ranges.begin(), ranges.end());
    SegmentId end(0);
    for (const auto& [begin, stop, rank] : ranges) {
      if (begin != end) {
        return report.add_rank(rank, fmt::format("its segments {}..{} do not follow segment {}, "
                                                 "where the others of its replica end",
                                                 begin.value(), stop.value(), end.value()));
      }
      end = stop;
    }
    if (end == end_segment(net)) continue;
    return report.add_rank(std::get<2>(ranges.back()),
                           fmt::format("the stages of its replica end at segment {} of {}",
                                       end.value(), net.segments.size()));
  }
}

// What all ranks together reduce: every parameter's gradient over exactly its holders.
class Holders {
 public:
  Holders(Report& report, const Net& net, const RankClasses& classes)
      : report_(report), plan_(report.plan), net_(net), classes_(classes) {}

  void run() {
    check_placement();
    for (std::size_t r = 0; r < plan_.ranks.size(); ++r)
      collect(RankId(r));
    for (const auto& [key, holders] : holders_)
      check(key, holders);
  }

 private:
  // Classes are told apart by their first parameter, and by the slice where there are several.
  using Key = std::pair<ParameterId, std::int64_t>;
  struct Holder {
    RankId rank;
    std::size_t parameter_class;
  };

  const ParameterClass& class_of(const Holder& holder) const {
    return program_of(plan_, holder.rank).parameter_classes[holder.parameter_class];
  }

  bool is_partial(ParameterId parameter) const {
    return net_.parameters[parameter.index()].spread == Spread::partial;
  }

  // A parameter's class has the same parameters wherever it is held.
  void check_placement() {
    std::map<ParameterId, std::pair<std::size_t, std::size_t>> known;  // program, class
    for (std::size_t p = 0; p < plan_.programs.size(); ++p) {
      const auto& held = plan_.programs[p].parameter_classes;
      for (std::size_t c = 0; c < held.size(); ++c) {
        for (const ParameterId parameter : held[c].parameters) {
          if (is_partial(parameter) != is_partial(held[c].parameters.front()))
            return report_.add_program(
                p, fmt::format("class {} mixes gradients that tensor-parallel ranks have terms of "
                               "with others",
                               c));
          const auto [entry, is_new] = known.try_emplace(parameter, p, c);
          const auto [q, d] = entry->second;
          const ParameterClass& first = plan_.programs[q].parameter_classes[d];
          const bool alike = first.sharding == held[c].sharding && first.buckets == held[c].buckets;
          const bool both_hold = first.is_held && held[c].is_held;
          if (is_new || (first.parameters == held[c].parameters && (alike || !both_hold))) {
            if (held[c].is_held) entry->second = {p, c};
            continue;
          }
          return report_.add_program(
              p, fmt::format("parameter {} is in another class than in program {}",
                             parameter.value(), plan_.programs[q].name));
        }
      }
    }
  }

  void collect(RankId rank) {
    const auto& held = program_of(plan_, rank).parameter_classes;
    for (std::size_t c = 0; c < held.size(); ++c) {
      if (held[c].parameters.empty() || !held[c].is_held) continue;
      const ParameterId first = held[c].parameters.front();
      // Terms of a gradient are summed over all slices, slices each for themselves.
      holders_[{first, is_partial(first) ? 0 : plan_.ranks[rank.index()].slice}].push_back(
          {rank, c});
    }
  }

  void check(const Key& key, const std::vector<Holder>& holders) {
    std::set<std::int64_t> replicas;
    for (const Holder& holder : holders)
      replicas.insert(plan_.ranks[holder.rank.index()].first_micro_batch);
    if (has_local_steps(plan_) && replicas.size() != holders.size())
      return report_.add_rank(
          holders.front().rank.index(),
          fmt::format("parameter {} has terms of its gradient on several ranks of a replica, which "
                      "have to be summed in every step",
                      key.first.value()));
    const auto group = group_of_holder(holders.front());
    // Members are distinct, and every holder that binds a group is one of them.
    const std::size_t members = group ? plan_.groups[group->index()].members.size() : 1;
    for (const Holder& holder : holders) {
      if (group_of_holder(holder) == group && members == holders.size()) continue;
      return report_.add_rank(holder.rank.index(),
                              fmt::format("parameter {} is reduced over {} ranks, and held by {}{}",
                                          key.first.value(), members_of(holder), holders.size(),
                                          members_of(holder) == holders.size() ? " others" : ""));
    }
    if (group && plan_.training.reduction == Reduction::exact) check_members(*group);
    const bool over_all =
        plan_.averaging == Averaging::all && net_.parameters[key.first.index()].unit;
    if (over_all && !group && all_replicas() > 1)
      return report_.add_rank(
          holders.front().rank.index(),
          fmt::format("parameter {} has one holder: nobody divides its gradient "
                      "by all replicas",
                      key.first.value()));
    for (const Holder& holder : holders)
      check_divisors(holder, over_all ? all_replicas() : replicas.size());
  }

  std::size_t all_replicas() const {
    std::set<std::int64_t> replicas;
    for (const RankBinding& rank : plan_.ranks)
      replicas.insert(rank.first_micro_batch);
    return replicas.size();
  }

  // The fixed tree over micro-batches goes on over the members.
  void check_members(GroupId group) {
    const auto& members = plan_.groups[group.index()].members;
    for (std::size_t m = 1; m < members.size(); ++m) {
      if (first_micro_batch(members[m - 1]) < first_micro_batch(members[m])) continue;
      report_.add_group(group.index(),
                        fmt::format("ranks {} and {} are not in the order of their micro-batches, "
                                    "in which exact sums are made",
                                    members[m - 1].value(), members[m].value()));
    }
  }
  std::int64_t first_micro_batch(RankId rank) const {
    return plan_.ranks[rank.index()].first_micro_batch;
  }

  std::optional<GroupId> group_of_holder(const Holder& holder) const {
    const auto slot = class_of(holder).group;
    if (!slot) return std::nullopt;
    return plan_.ranks[holder.rank.index()].groups[*slot];
  }
  std::size_t members_of(const Holder& holder) const {
    const auto group = group_of_holder(holder);
    return group ? plan_.groups[group->index()].members.size() : 1;
  }

  // Gradients are means over a replica's samples, or a micro-batch's: their sum is divided by the
  // replicas, or the micro-batches.
  void check_divisors(const Holder& holder, std::size_t replicas) {
    const std::size_t rank_class = classes_.class_of[holder.rank.index()];
    if (!checked_.insert({rank_class, holder.parameter_class, replicas}).second) return;
    const std::size_t program = plan_.ranks[holder.rank.index()].program.index();
    const auto& ops = plan_.programs[program].ops;
    const bool exact = plan_.training.reduction == Reduction::exact;
    const std::int64_t terms =
        static_cast<std::int64_t>(replicas) * (exact ? plan_.programs[program].micro_batches : 1);
    for (std::size_t op = 0; op < ops.size(); ++op) {
      const bool reduces =
          ops[op].kind == OpKind::all_reduce || ops[op].kind == OpKind::reduce_scatter;
      if (!reduces) continue;
      const Collective& detail = collective_of(ops[op]);
      const bool is_own =
          detail.parameter_class && detail.parameter_class->index() == holder.parameter_class;
      if (!is_own || detail.divisor == terms) continue;
      report_.add({program, OpId(op)},
                  fmt::format("it divides by {}, but {} {} add to these gradients", detail.divisor,
                              terms, exact ? "micro-batches" : "replicas"));
    }
  }

  Report& report_;
  const Plan& plan_;
  const Net& net_;
  const RankClasses& classes_;
  std::map<Key, std::vector<Holder>> holders_;
  std::set<std::tuple<std::size_t, std::size_t, std::size_t>> checked_;
};

}  // namespace

namespace {

// Exact sums go on from a rank's micro-batches to the ranks: those of each are a node of the tree.
void check_exact(Report& report, std::size_t replicas) {
  if (report.plan.mesh.tensor > 1)
    report.add_mesh("exact sums are not made between tensor-parallel ranks");
  if (replicas == 1) return;
  const std::int64_t own = report.plan.programs.front().micro_batches;
  for (std::size_t p = 0; p < report.plan.programs.size(); ++p) {
    const std::int64_t count = report.plan.programs[p].micro_batches;
    if (count == own && std::has_single_bit(static_cast<std::uint64_t>(count))) continue;
    report.add_program(p, fmt::format("{} micro-batches: where sums are exact, a power of two on "
                                      "every replica alike",
                                      count));
  }
}

}  // namespace

// Every sample of the global batch is seen by one replica.
void check_batch(Report& report, const Net& net) {
  const Plan& plan = report.plan;
  std::map<std::int64_t, std::pair<std::int64_t, std::size_t>> replicas;  // micro-batches, a rank
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    const RankBinding& rank = plan.ranks[r];
    const std::int64_t count = plan.programs[rank.program.index()].micro_batches;
    const auto [known, is_new] = replicas.try_emplace(rank.first_micro_batch, count, r);
    if (is_new || known->second.first == count) continue;
    return report.add_rank(
        r, fmt::format("its program runs {} micro-batches, that of rank {}, which shares them, {}",
                       count, known->second.second, known->second.first));
  }
  std::int64_t next = 0, count = 0;
  for (const auto& [first, own] : replicas) {
    if (first < next) {
      return report.add_rank(own.second,
                             fmt::format("it trains on micro-batch {}, as others do", first));
    }
    next = first + own.first;
    count += own.first;
  }
  if (next != count) {
    return report.add_micro_batch(
        fmt::format("{} micro-batches are trained on, numbered up to {}", count, next - 1));
  }
  if (count > plan.training.batch / plan.micro_batch_samples ||
      count * plan.micro_batch_samples != plan.training.batch) {
    return report.add_micro_batch(
        fmt::format("{} micro-batches of {} samples are not the batch of "
                    "{}",
                    count, plan.micro_batch_samples, plan.training.batch));
  }
  check_stages(report, net);
  if (plan.training.reduction == Reduction::exact) check_exact(report, replicas.size());
}

void check_holders(Report& report, const Net& net, const RankClasses& classes) {
  Holders(report, net, classes).run();
}

}  // namespace rehearse::verifier
