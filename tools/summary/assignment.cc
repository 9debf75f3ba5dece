#include "tools/summary/assignment.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "model/base/check.h"
#include "model/base/text.h"
#include "model/plan/layout.h"
#include "model/plan/plan_text.h"
#include "tools/summary/summary.h"
#include "tools/summary/table.h"

namespace rehearse {
namespace {

// A rank's number along an axis.
std::int64_t coordinate(const Mesh& mesh, std::int64_t rank, Axis axis) {
  std::int64_t inner = 1;
  for (auto it = mesh.order.rbegin(); it != mesh.order.rend() && *it != axis; ++it)
    inner *= mesh.size(*it);
  return rank / inner % mesh.size(axis);
}

// The ranks of a worker in a replica.
std::vector<RankId> ranks_of(const Plan& plan, std::int64_t worker, std::int64_t replica = 0) {
  std::vector<RankId> ranks;
  for (std::int64_t r = 0; r < plan.mesh.ranks(); ++r) {
    if (coordinate(plan.mesh, r, Axis::subnetwork) == worker &&
        coordinate(plan.mesh, r, Axis::data) == replica)
      ranks.push_back(RankId(r));
  }
  return ranks;
}

Bytes state_of(const RankProgram& program) {
  Bytes state;
  for (const Buffer& buffer : program.buffers) {
    if (is_persistent(buffer.kind)) state += buffer.size;
  }
  return state;
}

WorkerLoad load_of(const Plan& plan, const Net& net, std::int64_t worker) {
  WorkerLoad load;
  const std::vector<RankId> ranks = ranks_of(plan, worker);
  const RankProgram& first = program_of(plan, ranks.front());
  load.units = std::count(first.subnetwork.holds.begin(), first.subnetwork.holds.end(), true);
  load.share = static_cast<double>(load.units) / static_cast<double>(net.units.size());
  // Stages of a pipeline have the net in common, slices of tensor parallelism are of one each.
  std::set<std::int64_t> slices;
  for (const RankId rank : ranks) {
    if (!slices.insert(coordinate(plan.mesh, rank.value(), Axis::tensor)).second) continue;
    load.flops += flops_of(net_of(plan, net, program_of(plan, rank)), 1).total();
  }
  for (const ParameterId id : parameters_of(net, SegmentId(0), end_segment(net))) {
    const Parameter& parameter = net.parameters[id.index()];
    const bool is_held = !parameter.unit || first.subnetwork.holds[parameter.unit->index()];
    if (is_held) load.parameters += parameter.shape.elements();
  }
  for (const RankId rank : ranks) {
    const RankProgram& program = program_of(plan, rank);
    load.activations += lay_out(program).live - state_of(program);
  }
  // Something may be parked with one replica and not with another.
  for (std::int64_t replica = 0; replica < plan.mesh.data; ++replica) {
    Bytes state;
    for (const RankId rank : ranks_of(plan, worker, replica))
      state += state_of(program_of(plan, rank));
    load.state = std::max(load.state, state);
  }
  return load;
}

// ---- the order of the sums ---------------------------------------------------------------------

// One sum, the same on all its members: group, and how many the group has had before.
using Sum = std::pair<GroupId, std::int64_t>;

std::vector<std::vector<Sum>> sums_by_rank(const Plan& plan) {
  std::vector<std::vector<Sum>> sums(plan.ranks.size());
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    std::map<GroupId, std::int64_t> had;
    for (const Op& op : program_of(plan, RankId(r)).ops) {
      if (op.kind != OpKind::all_reduce && op.kind != OpKind::reduce_scatter) continue;
      const Collective& detail = collective_of(op);
      if (!detail.parameter_class) continue;
      const GroupId group = plan.ranks[r].groups[detail.group];
      sums[r].emplace_back(group, had[group]++);
    }
  }
  return sums;
}

// Takes every sum as soon as it is the next one of all its members.
void count_rounds(const Plan& plan, AssignmentSummary& summary) {
  const std::vector<std::vector<Sum>> sums = sums_by_rank(plan);
  std::vector<std::size_t> next(sums.size(), 0);
  std::vector<std::int64_t> done(sums.size(), 0);  // rounds
  std::set<GroupId> groups;
  const auto take = [&](const Sum& sum) {
    const auto& members = plan.groups[sum.first.index()].members;
    std::int64_t round = 0;
    for (const RankId member : members) {
      const std::size_t m = member.index();
      if (next[m] == sums[m].size() || sums[m][next[m]] != sum) return false;
      round = std::max(round, done[m]);
    }
    for (const RankId member : members) {
      done[member.index()] = round + 1;
      ++next[member.index()];
    }
    groups.insert(sum.first);
    ++summary.collectives;
    summary.rounds = std::max(summary.rounds, round + 1);
    return true;
  };
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t r = 0; r < sums.size(); ++r) {
      while (next[r] < sums[r].size() && take(sums[r][next[r]]))
        moved = true;
    }
  }
  summary.groups = static_cast<std::int64_t>(groups.size());
}

// ---- printing ----------------------------------------------------------------------------------

template <class Get, class Print>
std::vector<std::string> spread(std::string name, const std::vector<WorkerLoad>& loads, Get get,
                                Print print) {
  double least = get(loads.front()), most = least, sum = 0;
  for (const WorkerLoad& load : loads) {
    least = std::min(least, get(load));
    most = std::max(most, get(load));
    sum += get(load);
  }
  return {std::move(name), print(least), print(sum / static_cast<double>(loads.size())),
          print(most)};
}

// A mean of counts to the nearest one.
std::string print_count(double n) {
  return human_count(std::llround(n));
}
std::string print_flops(double n) {
  return human(Flops::flops(n));
}
std::string print_bytes(double n) {
  return human(Bytes::bytes(std::llround(n)));
}

std::string print_marks(const std::vector<bool>& holders,
                        const std::optional<std::int64_t>& parked) {
  std::string marks;
  for (const bool holds : holders)
    marks += holds ? '#' : '.';
  if (parked) marks[static_cast<std::size_t>(*parked)] = 'o';
  return marks;
}

// Of any unit: where workers are lost or units dealt by coverage, not the same.
HolderCount holders_of_units(const Assignment& assignment) {
  HolderCount count{assignment.workers, 0, 0};
  for (const auto& by_worker : assignment.holders) {
    const std::int64_t holders = std::count(by_worker.begin(), by_worker.end(), true);
    count.least = std::min(count.least, holders);
    count.most = std::max(count.most, holders);
    count.mean += static_cast<double>(holders) / static_cast<double>(assignment.holders.size());
  }
  return count;
}

std::string print_holders(const AssignmentSummary& s) {
  const Assignment& assignment = s.assignment;
  const HolderCount count = holders_of_units(assignment);
  const std::int64_t least = count.least;
  if (!count.is_same()) {
    const std::string mean =
        s.coverages.empty() ? "" : fmt::format(", {:.4g} on average", count.mean);
    return fmt::format("units are held by {} to {} of {} workers{}", least, count.most,
                       assignment.workers, mean);
  }
  return fmt::format("every unit is held by {} of {} workers, coverage {:.4g}", least,
                     assignment.workers,
                     static_cast<double>(least) / static_cast<double>(assignment.workers));
}

// Neighbours with the same numbers in one row.
StyledText print_coverages(const AssignmentSummary& s) {
  std::vector<std::vector<std::string>> rows = {
      {"workers", "coverage", "share of the units", "of the parameters"}};
  const auto numbers = [&](std::size_t worker) {
    return std::vector<std::string>{
        fmt::format("{:.4g}", s.coverages[worker].value()),
        fmt::format("{:.4g}", s.loads[worker].share),
        fmt::format("{:.4g}", static_cast<double>(s.loads[worker].parameters) /
                                  static_cast<double>(s.parameters))};
  };
  for (std::size_t first = 0; first < s.coverages.size();) {
    std::size_t last = first;
    while (last + 1 < s.coverages.size() && numbers(last + 1) == numbers(first))
      ++last;
    std::vector<std::string> row = numbers(first);
    row.insert(row.begin(),
               first == last ? std::to_string(first) : fmt::format("{}-{}", first, last));
    rows.push_back(std::move(row));
    first = last + 1;
  }
  return align_columns(rows);
}

std::string print_parked(const AssignmentSummary& s) {
  const auto parked = std::count_if(s.parked.begin(), s.parked.end(),
                                    [](const auto& worker) { return worker.has_value(); });
  if (parked == 0) return "";
  return fmt::format(
      "{} held by nobody: parked with the worker that is marked 'o', and untrained\n",
      parked == 1 ? "1 unit is" : fmt::format("{} units are", parked));
}

}  // namespace

std::vector<std::optional<std::int64_t>> parked_units(const Plan& plan, const Net& net) {
  std::vector<std::optional<std::int64_t>> parked(net.units.size());
  for (std::int64_t r = 0; r < plan.mesh.ranks(); ++r) {
    for (const ParameterClass& own : program_of(plan, RankId(r)).parameter_classes) {
      if (!is_parked(own)) continue;
      for (const ParameterId id : own.parameters)
        parked[net.parameters[id.index()].unit->index()] =
            coordinate(plan.mesh, r, Axis::subnetwork);
    }
  }
  return parked;
}

std::vector<Fraction> coverages_asked(const StrategySpec& strategy, const Mesh& mesh) {
  const SubnetworkSpec& spec = *strategy.subnetwork;
  if (spec.assignment == AssignmentKind::balanced && spec.coverages.empty()) return {};
  std::vector<Fraction> left;
  const std::vector<Fraction> all = coverages_of(spec, mesh.workers).value();
  for (std::int64_t worker = 0; worker < mesh.workers; ++worker) {
    if (std::count(spec.lost.begin(), spec.lost.end(), worker) == 0)
      left.push_back(all[static_cast<std::size_t>(worker)]);
  }
  return left;
}

Assignment assignment_of(const Plan& plan, const Net& net) {
  Assignment assignment{plan.mesh.workers, {}};
  assignment.holders.resize(net.units.size());
  for (std::int64_t worker = 0; worker < plan.mesh.workers; ++worker) {
    const RankId first = ranks_of(plan, worker).front();
    const Subnetwork& subnetwork = program_of(plan, first).subnetwork;
    for (std::size_t u = 0; u < net.units.size(); ++u)
      assignment.holders[u].push_back(subnetwork.holds[u]);
  }
  return assignment;
}

AssignmentSummary summarize_assignment(const Plan& plan, const Net& net) {
  AssignmentSummary summary;
  summary.strategy = plan.strategy;
  summary.plan_hash = rehearse::plan_hash(plan);
  summary.assignment = assignment_of(plan, net);
  summary.parked = parked_units(plan, net);
  for (const Unit& unit : net.units)
    summary.units.push_back(unit.name);
  for (const ParameterId id : parameters_of(net, SegmentId(0), end_segment(net)))
    summary.parameters += net.parameters[id.index()].shape.elements();
  for (std::int64_t worker = 0; worker < plan.mesh.workers; ++worker)
    summary.loads.push_back(load_of(plan, net, worker));
  summary.spectral_gap = spectral_gap(summary.assignment);
  summary.connected = is_connected(summary.assignment);
  count_rounds(plan, summary);
  return summary;
}

StyledText print_table(const AssignmentSummary& s) {
  std::vector<std::vector<std::string>> units = {{"unit", "workers"}};
  for (std::size_t u = 0; u < s.units.size(); ++u)
    units.push_back({s.units[u], print_marks(s.assignment.holders[u], s.parked[u])});
  StyledText text = align_columns(units) + "\n";
  const auto row = [&](std::string name, auto get, auto print) {
    return spread(std::move(name), s.loads, get, print);
  };
  text += align_columns({
      {"of a worker", "min", "mean", "max"},
      row(
          "units", [](const WorkerLoad& w) { return static_cast<double>(w.units); }, print_count),
      row(
          "FLOPs of a sample", [](const WorkerLoad& w) { return w.flops.flops(); }, print_flops),
      row(
          "parameters", [](const WorkerLoad& w) { return static_cast<double>(w.parameters); },
          print_count),
      row(
          "state", [](const WorkerLoad& w) { return static_cast<double>(w.state.bytes()); },
          print_bytes),
      row(
          "activations",
          [](const WorkerLoad& w) { return static_cast<double>(w.activations.bytes()); },
          print_bytes),
  });
  if (!s.coverages.empty()) text += "\n" + print_coverages(s);
  text += "\n" + print_holders(s) + "\n" + print_parked(s);
  text += fmt::format("spectral gap {:.4f}{}\n", s.spectral_gap,
                      s.connected ? "" : ": the workers fall into parts that share no unit");
  const auto counted = [](std::int64_t n, std::string_view what) {
    return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
  };
  text += fmt::format("{} of gradients in {}, in {}\n", counted(s.collectives, "sum"),
                      counted(s.groups, "group"), counted(s.rounds, "round"));
  return text;
}

std::string print_json(const AssignmentSummary& s) {
  using Json = nlohmann::ordered_json;
  Json units = Json::array(), loads = Json::array();
  for (std::size_t u = 0; u < s.units.size(); ++u) {
    Json holders = Json::array();
    for (std::size_t w = 0; w < s.assignment.holders[u].size(); ++w) {
      if (s.assignment.holders[u][w]) holders.push_back(w);
    }
    units.push_back({{"name", s.units[u]}, {"holders", holders}});
    if (s.parked[u]) units.back()["parked"] = *s.parked[u];
  }
  for (std::size_t w = 0; w < s.loads.size(); ++w) {
    const WorkerLoad& load = s.loads[w];
    loads.push_back({{"worker", w},
                     {"units", load.units},
                     {"flops_per_sample", load.flops.flops()},
                     {"parameters", load.parameters},
                     {"state_bytes", load.state.bytes()},
                     {"activation_bytes", load.activations.bytes()}});
    if (s.coverages.empty()) continue;
    loads.back()["coverage"] = s.coverages[w].value();
    loads.back()["share"] = load.share;
  }
  const HolderCount holders = holders_of_units(s.assignment);
  Json json = {{"strategy", s.strategy},
               {"plan_hash", s.plan_hash},
               {"workers", s.assignment.workers},
               {"holders", holders.least},
               {"spectral_gap", s.spectral_gap},
               {"connected", s.connected},
               {"groups", s.groups},
               {"collectives", s.collectives},
               {"rounds", s.rounds},
               {"units", units},
               {"loads", loads}};
  if (!s.coverages.empty()) {
    json["holders_mean"] = holders.mean;
    json["holders_most"] = holders.most;
  }
  return json.dump(1) + "\n";
}

}  // namespace rehearse
