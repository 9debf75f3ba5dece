#include "tools/report/report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "model/base/check.h"
#include "tools/report/bounded_links.h"
#include "tools/report/bounded_ranks.h"
#include "tools/report/page_text.h"
#include "tools/summary/compact_json.h"

namespace rehearse {
namespace {

using Json = nlohmann::ordered_json;

// Nothing inside the data may end the element that they stand in, or begin a comment.
void append_escaped(std::string& page, std::string_view json) {
  for (std::size_t at = 0; at < json.size();) {
    const std::size_t next = std::min(json.find('<', at), json.size());
    page.append(json, at, next - at);
    if (next < json.size()) page += "\\u003c";
    at = next + 1;
  }
}

// What a strategy has of links; nothing where the page has all of them.
Json links_of(const StrategySummary& strategy) {
  if (strategy.links.size() <= kMostShownLinks) return nullptr;
  Json kinds = Json::array();
  for (const LinkKind& kind : kinds_of(strategy.links)) {
    kinds.push_back({{"name", kind.name},
                     {"links", kind.links},
                     {"bytes", kind.bytes.bytes()},
                     {"mean_utilisation", kind.mean},
                     {"most_utilisation", kind.most}});
  }
  return {{"links", strategy.links.size()}, {"kinds", std::move(kinds)}};
}

bool has_too_many_ranks(const StrategySummary& strategy) {
  return strategy.ranks.size() > kMostWrittenRanks && are_numbered(strategy.ranks);
}

// Runs of ranks that have the same figures: [kind, ranks]; nothing where each is written.
Json rank_runs_of(const StrategySummary& strategy) {
  return has_too_many_ranks(strategy) ? Json(runs_of(strategy.ranks).runs) : Json();
}

std::string print_bounded(const Summary& summary) {
  const bool has_room = std::none_of(
      summary.strategies.begin(), summary.strategies.end(),
      [](const auto& s) { return s.links.size() > kMostShownLinks || has_too_many_ranks(s); });
  if (has_room) return print_compact_json(summary);
  Summary bounded = summary;
  for (StrategySummary& strategy : bounded.strategies) {
    strategy.links = busiest(strategy.links, kMostShownLinks);
    if (has_too_many_ranks(strategy)) strategy.ranks = runs_of(strategy.ranks).kinds;
  }
  return print_compact_json(bounded);
}

void append_data(std::string& page, const Report& report) {
  Json links = Json::array(), rank_runs = Json::array();
  page += "{\"summaries\":[";
  for (const Summary& summary : report.summaries) {
    if (&summary != report.summaries.data()) page += ",";
    append_escaped(page, print_bounded(summary));
    links.push_back(Json::array()), rank_runs.push_back(Json::array());
    for (const StrategySummary& strategy : summary.strategies) {
      links.back().push_back(links_of(strategy));
      rank_runs.back().push_back(rank_runs_of(strategy));
    }
  }
  page += "],\"links\":";
  append_escaped(page, links.dump());
  page += ",\"rank_runs\":" + rank_runs.dump() + ",\"sweep\":";
  append_escaped(page, report.sweep ? print_json(*report.sweep) : "null");
  page += "}";
}

}  // namespace

std::string print_report(const Report& report) {
  constexpr std::string_view kMark = "<!--DATA-->";
  const std::size_t at = kReportPage.find(kMark);
  REHEARSE_CHECK(at != std::string_view::npos, "the page has no {}", kMark);
  std::string page(kReportPage.substr(0, at));
  append_data(page, report);
  page += kReportPage.substr(at + kMark.size());
  return page;
}

}  // namespace rehearse
