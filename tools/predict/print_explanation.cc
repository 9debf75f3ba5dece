#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "model/base/text.h"
#include "model/plan/verify.h"
#include "tools/predict/explain.h"
#include "tools/summary/table.h"

namespace rehearse {
namespace {

using Json = nlohmann::ordered_json;

std::string percent(double share) {
  return fmt::format("{:.1f} %", 100 * share);
}

std::string what_of(const PathShare& share) {
  return share.waits ? "waiting" : std::string(to_string(share.kind));
}

const std::string& name_of(const Explained& explained, LinkId link) {
  return explained.cluster.links()[link.index()].name;
}

StyledText share_table(const Explanation& e) {
  std::vector<std::vector<std::string>> rows = {
      {"critical path", "time", "share", "links", "which need"}};
  for (const PathShare& share : e.shares) {
    const bool crosses = !share.link_class.empty();
    rows.push_back({what_of(share), human(share.time), percent(share.time / e.step_time),
                    crosses ? share.link_class : "-", crosses ? human(share.bound) : "-"});
  }
  return align_columns(rows);
}

// The parts that take longest.
StyledText part_table(const Explained& explained) {
  constexpr std::size_t kMost = 8;
  const Explanation& e = explained.explanation;
  std::vector<std::size_t> parts(e.path.size());
  for (std::size_t p = 0; p < parts.size(); ++p)
    parts[p] = p;
  std::stable_sort(parts.begin(), parts.end(), [&](std::size_t a, std::size_t b) {
    return e.path[a].end - e.path[a].begin > e.path[b].end - e.path[b].begin;
  });
  parts.resize(std::min(parts.size(), kMost));
  std::vector<std::vector<std::string>> rows = {{"longest parts", "rank", "time", "link"}};
  for (const std::size_t p : parts) {
    const PathPart& part = e.path[p];
    rows.push_back(
        {part.op ? describe_op(program_of(explained.plan, part.rank), *part.op) : "waiting",
         fmt::format("{}", part.rank.index()), human((part.end - part.begin).seconds()),
         e.binding[p] ? name_of(explained, e.binding[p]->link) : "-"});
  }
  return align_columns(rows);
}

StyledText group_table(const Explained& explained) {
  const Explanation& e = explained.explanation;
  if (e.groups.empty()) return "";
  constexpr std::size_t kMost = 12;
  std::vector<std::vector<std::string>> rows = {
      {"collectives", "algorithm", "members", "ops", "sent", "busy", "binding link", "needs"}};
  for (std::size_t g = 0; g < std::min(e.groups.size(), kMost); ++g) {
    const GroupTraffic& group = e.groups[g];
    rows.push_back({fmt::format("{} of group {}", to_string(group.kind), group.group.index()),
                    std::string(to_string(group.algorithm)), fmt::format("{}", group.members),
                    fmt::format("{}", group.ops), human(group.bytes), human(group.busy),
                    group.binding ? name_of(explained, group.binding->link) : "-",
                    group.binding ? human(group.binding->seconds) : "-"});
  }
  StyledText text = align_columns(rows);
  if (e.groups.size() > kMost)
    text += fmt::format("... and {} more; --json has all\n", e.groups.size() - kMost);
  return text;
}

StyledText link_table(const Explained& explained) {
  const Explanation& e = explained.explanation;
  if (e.links.empty()) return "";
  std::vector<std::vector<std::string>> rows = {
      {"links", "number", "bytes/step", "used", "most", "which"}};
  for (const LinkClass& links : e.links) {
    rows.push_back({links.name, fmt::format("{}", links.links), human(links.bytes),
                    percent(links.mean), percent(links.most),
                    links.most_used ? name_of(explained, *links.most_used) : "-"});
  }
  return align_columns(rows);
}

StyledText what_if_table(const Explanation& e) {
  std::vector<std::vector<std::string>> rows = {
      {"what if twice as good", "step time", "gain", "gain by the path alone"}};
  for (const WhatIf& what : e.what_ifs) {
    rows.push_back({what.change, human(what.simulated), percent(1 - what.simulated / e.step_time),
                    percent(1 - what.by_path / e.step_time)});
  }
  return align_columns(rows);
}

Json json_of(const Explained& explained, const std::optional<BindingLink>& binding) {
  if (!binding) return nullptr;
  return {{"link", name_of(explained, binding->link)},
          {"bytes", binding->bytes.bytes()},
          {"time_s", binding->seconds.seconds()}};
}

Json json_of(const Explained& explained) {
  const Explanation& e = explained.explanation;
  Json json = {
      {"strategy", e.strategy}, {"plan_hash", e.plan_hash}, {"step_time_s", e.step_time.seconds()}};
  Json& path = json["critical_path"] = Json::array();
  for (std::size_t p = 0; p < e.path.size(); ++p) {
    const PathPart& part = e.path[p];
    const Time begin = e.path.front().begin;
    path.push_back(
        {{"rank", part.rank.index()},
         {"op", part.op ? Json(part.op->index()) : Json(nullptr)},
         {"kind", part.op
                      ? to_string(program_of(explained.plan, part.rank).ops[part.op->index()].kind)
                      : "waiting"},
         {"begin_s", (part.begin - begin).seconds().seconds()},
         {"end_s", (part.end - begin).seconds().seconds()},
         {"binding_link", json_of(explained, e.binding[p])}});
  }
  Json& shares = json["path_shares"] = Json::array();
  for (const PathShare& share : e.shares) {
    shares.push_back({{"kind", what_of(share)},
                      {"links", share.link_class.empty() ? Json(nullptr) : Json(share.link_class)},
                      {"time_s", share.time.seconds()},
                      {"link_time_s", share.bound.seconds()}});
  }
  Json& groups = json["collectives"] = Json::array();
  for (const GroupTraffic& group : e.groups) {
    groups.push_back({{"group", group.group.index()},
                      {"kind", to_string(group.kind)},
                      {"algorithm", to_string(group.algorithm)},
                      {"members", group.members},
                      {"ops", group.ops},
                      {"bytes_sent", group.bytes.bytes()},
                      {"busy_s", group.busy.seconds()},
                      {"binding_link", json_of(explained, group.binding)}});
  }
  Json& links = json["links"] = Json::array();
  for (const LinkClass& of_class : e.links) {
    links.push_back(
        {{"links", of_class.name},
         {"number", of_class.links},
         {"bytes", of_class.bytes.bytes()},
         {"utilisation_mean", of_class.mean},
         {"utilisation_most", of_class.most},
         {"most_used",
          of_class.most_used ? Json(name_of(explained, *of_class.most_used)) : Json(nullptr)}});
  }
  Json& what_ifs = json["what_if"] = Json::array();
  for (const WhatIf& what : e.what_ifs) {
    what_ifs.push_back({{"twice_as_good", what.change},
                        {"step_time_s", what.simulated.seconds()},
                        {"step_time_by_path_s", what.by_path.seconds()}});
  }
  return json;
}

}  // namespace

StyledText print_table(const Explained& explained) {
  const Explanation& e = explained.explanation;
  StyledText text = fmt::format("{}: a step takes {}\n", e.strategy, human(e.step_time));
  for (const StyledText& table : {share_table(e), part_table(explained), group_table(explained),
                                  link_table(explained), what_if_table(e)}) {
    if (!table.empty()) text += "\n" + table;
  }
  return text;
}

std::string print_json(const std::string& scenario, const std::vector<Explained>& all) {
  Json json = {{"scenario", scenario}, {"strategies", Json::array()}};
  for (const Explained& explained : all)
    json["strategies"].push_back(json_of(explained));
  return json.dump(1) + "\n";
}

}  // namespace rehearse
