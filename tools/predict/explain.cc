#include "tools/predict/explain.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <tuple>

#include "model/plan/plan_text.h"
#include "sim/simulate.h"
#include "tools/predict/collectives.h"
#include "tools/predict/stated.h"

namespace rehearse {
namespace {

// Both ways; a cable between groups of routers is no cable within one.
std::string class_of(const Link& link) {
  const auto arrow = link.name.find("->");
  const auto again = link.name.find('#', arrow);
  const std::string left = link.name.substr(0, arrow),
                    right = link.name.substr(arrow + 2, again - arrow - 2);
  std::string from = without_numbers(left), to = without_numbers(right);
  const auto dot = left.find('.');
  const bool leaves_group = from == to && dot != std::string::npos &&
                            left.substr(0, dot) != right.substr(0, right.find('.'));
  if (leaves_group) return from + "--other " + to;
  if (to < from) std::swap(from, to);
  return from + "--" + to;
}

constexpr double kFaster = 2;  // of every change

class Explainer {
 public:
  Explainer(const Scenario& scenario, const Plan& plan, const Cluster& cluster)
      : scenario_(scenario), plan_(plan), cluster_(cluster), prices_(prices_of(scenario, plan)) {}

  Result<Explanation> run() {
    const Result<sim::Outcome> outcome = play(cluster_, prices_);
    if (!outcome) return outcome.errors();
    made_.strategy = plan_.strategy;
    made_.plan_hash = plan_hash(plan_);
    made_.step_time = step_time_of(*outcome);
    made_.path = critical_path(plan_, outcome->timeline, kWarmUp);
    loads_.emplace(plan_, cluster_, outcome->timeline,
                   median_step(outcome->timeline, kWarmUp).step);
    for (const PathPart& part : made_.path)
      made_.binding.push_back(part.op ? loads_->binding(part.rank, *part.op) : std::nullopt);
    take_shares();
    take_groups(outcome->timeline);
    take_links(*outcome);
    const Status asked = ask_what_if();
    if (!asked) return asked.errors();
    return std::move(made_);
  }

 private:
  Result<sim::Outcome> play(const Cluster& cluster, const Prices& prices) const {
    const auto& jitter = cluster.spec().jitter;
    return sim::simulate(plan_, cluster, prices, jitter ? kWarmUp + jitter->steps : kSimulatedSteps,
                         scenario_.simulation.collectives);
  }

  Seconds step_time_of(const sim::Outcome& outcome) const {
    const StepWindow step = median_step(outcome.timeline, kWarmUp);
    return (step.end - step.begin).seconds();
  }

  const Op& op_of(const PathPart& part) const {
    return program_of(plan_, part.rank).ops[part.op->index()];
  }

  void take_shares() {
    std::map<std::tuple<bool, OpKind, std::string>, PathShare> shares;
    for (std::size_t p = 0; p < made_.path.size(); ++p) {
      const PathPart& part = made_.path[p];
      const auto& binding = made_.binding[p];
      const OpKind kind = part.op ? op_of(part).kind : OpKind::forward;
      const std::string links = binding ? class_of_link(cluster_, binding->link) : "";
      PathShare& share = shares[{!part.op, kind, links}];
      const Seconds time = (part.end - part.begin).seconds();
      share = {kind, !part.op, links, share.time + time,
               share.bound + (binding ? std::min(time, binding->seconds) : Seconds{})};
    }
    for (const auto& [key, share] : shares)
      made_.shares.push_back(share);
    std::stable_sort(made_.shares.begin(), made_.shares.end(),
                     [](const PathShare& a, const PathShare& b) { return a.time > b.time; });
  }

  void take_groups(const Timeline& timeline) {
    const StepWindow window = median_step(timeline, kWarmUp);
    using Key = std::tuple<GroupId, OpKind, CollectiveAlgorithm>;
    std::map<Key, GroupTraffic> groups;
    std::map<Key, std::pair<Seconds, std::int64_t>> busy;
    const auto key_of = [&](RankId rank, const Op& op) {
      const Collective& detail = collective_of(op);
      return Key(plan_.ranks[rank.index()].groups[detail.group], op.kind, detail.algorithm);
    };
    for (const Span& span : timeline.spans) {
      const Op& op = program_of(plan_, span.rank).ops[span.op.index()];
      if (span.step != window.step || !is_collective(op.kind)) continue;
      auto& [time, count] = busy[key_of(span.rank, op)];
      time += (span.end - span.start).seconds();
      ++count;
    }
    for (std::size_t r = 0; r < plan_.ranks.size(); ++r) {
      const RankId rank(r);
      const std::vector<Op>& ops = program_of(plan_, rank).ops;
      for (std::size_t id = 0; id < ops.size(); ++id) {
        const Op& op = ops[id];
        if (!is_collective(op.kind)) continue;
        const std::vector<RankId>& members = group_of(plan_, rank, op).members;
        if (members.front() != rank || members.size() == 1) continue;
        GroupTraffic& group = groups[key_of(rank, op)];
        group.group = plan_.ranks[r].groups[collective_of(op).group];
        group.kind = op.kind;
        group.algorithm = collective_of(op).algorithm;
        group.members = std::ssize(members);
        ++group.ops;
        for (const auto& member : loads_->footprint(rank, op).members)
          group.bytes += member.sent;
        add(group.binding, loads_->binding(rank, OpId(id)));
      }
    }
    for (auto& [key, group] : groups) {
      const auto& [time, count] = busy[key];
      group.busy = time * (static_cast<double>(group.ops) /
                           static_cast<double>(std::max<std::int64_t>(count, 1)));
      made_.groups.push_back(group);
    }
  }

  // Several collectives of one group cross the same links.
  static void add(std::optional<BindingLink>& sum, const std::optional<BindingLink>& next) {
    if (!next) return;
    if (!sum || sum->link != next->link) {
      if (!sum || next->seconds > sum->seconds) sum = next;
      return;
    }
    sum->bytes += next->bytes;
    sum->seconds += next->seconds;
  }

  void take_links(const sim::Outcome& outcome) {
    std::map<std::string, LinkClass> classes;
    const double steps = static_cast<double>(outcome.timeline.steps);
    for (std::size_t l = 0; l < cluster_.links().size(); ++l) {
      const LinkId link(l);
      LinkClass& links = classes[class_of_link(cluster_, link)];
      const double bytes = static_cast<double>(outcome.link_bytes[l].bytes()) / steps;
      const double use =
          bytes / cluster_.links()[l].bandwidth.bytes_per_second() / made_.step_time.seconds();
      links.name = class_of_link(cluster_, link);
      ++links.links;
      links.bytes += Bytes::bytes(static_cast<std::int64_t>(bytes));
      links.mean += use;  // their sum, until all are there
      if (use > links.most) links.most = use, links.most_used = link;
    }
    for (auto& [name, links] : classes) {
      links.mean /= static_cast<double>(links.links);
      made_.links.push_back(links);
    }
  }

  // ---- what if ----

  Status ask_what_if() {
    const Status computing = ask_computing();
    if (!computing) return computing;
    std::set<std::string> used;
    for (const LinkClass& links : made_.links) {
      if (links.bytes > Bytes{}) used.insert(links.name);
    }
    for (const std::string& name : used) {
      const Status asked = ask_bandwidth("bandwidth of " + name,
                                         [&](const std::string& its) { return its == name; });
      if (!asked) return asked;
    }
    if (used.empty()) return success();
    const Status all =
        ask_bandwidth("bandwidth of all links", [](const std::string&) { return true; });
    return all ? ask_latency() : all;
  }

  Status ask_computing() {
    Prices quick = prices_;
    for (auto& ops : quick.ops) {
      for (OpPrice& op : ops)
        op = {op.seconds / kFaster, op.memory_traffic, op.rests_on, halves(op.kernels)};
    }
    Seconds computing;
    for (const PathShare& share : made_.shares) {
      if (!share.waits && !is_communication(share.kind)) computing += share.time;
    }
    return ask("computing", computing, cluster_, quick);
  }

  // Of links whose class is among those that are meant.
  template <class IsMeant>
  Status ask_bandwidth(const std::string& what, IsMeant is_meant) {
    Seconds bound;
    for (const PathShare& share : made_.shares) {
      if (!share.link_class.empty() && is_meant(share.link_class)) bound += share.bound;
    }
    const auto widen = [&](Link& link) {
      if (is_meant(class_of(link))) link.bandwidth = link.bandwidth * kFaster;
    };
    return ask(what, bound, cluster_.with_links(widen), prices_);
  }

  Status ask_latency() {
    Seconds latency;
    for (const PathPart& part : made_.path)
      latency += latency_of(part);
    const auto shorten = [](Link& link) { link.latency = link.latency / kFaster; };
    return ask("latency of all links", latency, cluster_.with_links(shorten), prices_);
  }

  static std::vector<Seconds> halves(std::vector<Seconds> kernels) {
    for (Seconds& kernel : kernels)
      kernel = kernel / kFaster;
    return kernels;
  }

  Seconds latency_of(const PathPart& part) const {
    if (!part.op) return {};
    return std::min(loads_->latency(part.rank, *part.op), (part.end - part.begin).seconds());
  }

  Status ask(const std::string& what, Seconds on_path, const Cluster& cluster,
             const Prices& prices) {
    const Result<sim::Outcome> outcome = play(cluster, prices);
    if (!outcome) return outcome.errors();
    made_.what_ifs.push_back(
        {what, made_.step_time - on_path * (1 - 1 / kFaster), step_time_of(*outcome)});
    return success();
  }

  const Scenario& scenario_;
  const Plan& plan_;
  const Cluster& cluster_;
  const Prices prices_;
  std::optional<LinkLoads> loads_;  // once the plan has been played
  Explanation made_;
};

}  // namespace

std::string without_numbers(const std::string& name) {
  std::string pattern;
  for (const char c : name) {
    const bool is_digit = std::isdigit(static_cast<unsigned char>(c)) != 0;
    if (!is_digit) pattern += c;
    if (is_digit && !pattern.ends_with('*')) pattern += '*';
  }
  return pattern;
}

std::string class_of_link(const Cluster& cluster, LinkId link) {
  return class_of(cluster.links()[link.index()]);
}

Result<Explained> explain(const Scenario& scenario, const ScenarioStrategy& strategy) {
  Result<Plan> plan = plan_of(scenario, strategy);
  if (!plan) return plan.errors();
  Result<Cluster> cluster =
      Cluster::build(scenario.prices ? stated_cluster(*scenario.prices, *plan) : scenario.cluster);
  if (!cluster) return cluster.errors();
  Result<Explanation> explanation = Explainer(scenario, *plan, *cluster).run();
  if (!explanation) {
    Diagnostics errors = explanation.errors();
    for (Diagnostic& error : errors) {
      if (!error.where) error.where = strategy.where;
    }
    return errors;
  }
  return Explained{*std::move(plan), *std::move(cluster), *std::move(explanation)};
}

}  // namespace rehearse
