#include <algorithm>
#include <set>

#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

// The peer and group slots that a program uses.
struct Slots {
  std::size_t peers = 0, groups = 0;
};

Slots slots_of(const RankProgram& program) {
  Slots slots;
  for (const ParameterClass& held : program.parameter_classes) {
    if (held.group) slots.groups = std::max(slots.groups, *held.group + 1);
    if (held.readers) slots.groups = std::max(slots.groups, *held.readers + 1);
  }
  for (const Op& op : program.ops) {
    const auto* transfer = std::get_if<Transfer>(&op.detail);
    if (transfer != nullptr) slots.peers = std::max(slots.peers, transfer->peer + 1);
    const auto* collective = std::get_if<Collective>(&op.detail);
    if (collective != nullptr) slots.groups = std::max(slots.groups, collective->group + 1);
  }
  return slots;
}

template <class Id>
bool are_distinct(std::vector<Id> ids) {
  std::sort(ids.begin(), ids.end());
  return std::adjacent_find(ids.begin(), ids.end()) == ids.end();
}

// What its program needs is bound, once each.
void check_slots(Report& report, std::size_t r, const Slots& needed) {
  const RankBinding& rank = report.plan.ranks[r];
  if (rank.peers.size() < needed.peers || rank.groups.size() < needed.groups) {
    report.add_rank(
        r, fmt::format("its program uses {} peers and {} groups, it binds {} and {}", needed.peers,
                       needed.groups, rank.peers.size(), rank.groups.size()));
  }
  if (!are_distinct(rank.peers) || !are_distinct(rank.groups))
    report.add_rank(r, "it binds a peer or a group twice");
}

void check_peers(Report& report, std::size_t r) {
  for (const RankId peer : report.plan.ranks[r].peers) {
    if (peer.index() >= report.plan.ranks.size() || peer.index() == r) {
      report.add_rank(r, fmt::format("its peer is rank {}", peer.value()));
    }
  }
}

void check_membership(Report& report, std::size_t r) {
  for (const GroupId group : report.plan.ranks[r].groups) {
    if (group.index() >= report.plan.groups.size()) {
      report.add_rank(r, fmt::format("group {} of {}", group.value(), report.plan.groups.size()));
      continue;
    }
    const auto& members = report.plan.groups[group.index()].members;
    if (std::find(members.begin(), members.end(), RankId(r)) == members.end()) {
      report.add_rank(r, fmt::format("it is not a member of its group {}", group.value()));
    }
  }
}

void check_rank(Report& report, std::size_t r, const std::vector<Slots>& needed) {
  const RankBinding& rank = report.plan.ranks[r];
  if (rank.program.index() >= report.plan.programs.size()) {
    return report.add_rank(
        r, fmt::format("program {} of {}", rank.program.value(), report.plan.programs.size()));
  }
  check_slots(report, r, needed[rank.program.index()]);
  if (rank.first_micro_batch < 0 || rank.first_micro_batch >= report.plan.training.batch) {
    report.add_rank(r, fmt::format("micro-batch {} of a batch of {} samples",
                                   rank.first_micro_batch, report.plan.training.batch));
  }
  if (rank.slice < 0 || rank.slice >= report.plan.mesh.tensor)
    report.add_rank(r, fmt::format("slice {} of {}", rank.slice, report.plan.mesh.tensor));
  check_peers(report, r);
  check_membership(report, r);
}

// What a shard has of a class depends on the number of its holders.
void check_group_sizes(Report& report) {
  const Plan& plan = report.plan;
  std::vector<std::vector<std::size_t>> sizes;
  for (std::size_t p = 0; p < plan.programs.size(); ++p) {
    sizes.push_back(group_sizes(plan, p));
    const bool runs =
        std::any_of(plan.ranks.begin(), plan.ranks.end(),
                    [&](const RankBinding& binding) { return binding.program.index() == p; });
    if (!runs) report.add_program(p, "no rank runs it");
  }
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    const RankBinding& rank = plan.ranks[r];
    const auto& expected = sizes[rank.program.index()];
    for (const ParameterClass& held : plan.programs[rank.program.index()].parameter_classes) {
      if (!held.is_held) continue;
      const std::size_t members =
          held.group ? plan.groups[rank.groups[*held.group].index()].members.size() : 1;
      if (static_cast<std::int64_t>(members) == held.holders) continue;
      report.add_rank(r, fmt::format("a class of its program has {} holders, its group {} members",
                                     held.holders, members));
    }
    for (std::size_t slot = 0; slot < std::min(rank.groups.size(), expected.size()); ++slot) {
      const std::size_t members = plan.groups[rank.groups[slot].index()].members.size();
      if (members == expected[slot]) continue;
      report.add_rank(r,
                      fmt::format("its group {} has {} members, another rank's of its program {}",
                                  rank.groups[slot].value(), members, expected[slot]));
    }
  }
}

}  // namespace

void check_group_members(Report& report) {
  for (std::size_t g = 0; g < report.plan.groups.size(); ++g) {
    const auto& members = report.plan.groups[g].members;
    if (members.size() < 2) report.add_group(g, "it has fewer than two members");
    const std::set<RankId> distinct(members.begin(), members.end());
    if (distinct.size() != members.size()) report.add_group(g, "a rank is in it twice");
    for (const RankId rank : members) {
      if (rank.index() < report.plan.ranks.size()) continue;
      report.add_group(g, fmt::format("rank {} of {}", rank.value(), report.plan.ranks.size()));
    }
  }
}

void check_ranks(Report& report) {
  const Plan& plan = report.plan;
  std::vector<Slots> slots;
  for (const RankProgram& program : plan.programs)
    slots.push_back(slots_of(program));
  for (std::size_t r = 0; r < plan.ranks.size(); ++r)
    check_rank(report, r, slots);
  if (report.ok()) check_group_sizes(report);
}

std::vector<std::size_t> group_sizes(const Plan& plan, std::size_t program) {
  std::vector<std::size_t> sizes;
  const auto rank =
      std::find_if(plan.ranks.begin(), plan.ranks.end(),
                   [&](const RankBinding& binding) { return binding.program.index() == program; });
  if (rank == plan.ranks.end()) return sizes;
  for (const GroupId group : rank->groups)
    sizes.push_back(plan.groups[group.index()].members.size());
  return sizes;
}

}  // namespace rehearse::verifier
