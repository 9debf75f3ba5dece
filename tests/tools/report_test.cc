// What the page carries; tests/report opens it in a browser.
#include "tools/report/report.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/tools/summaries.h"
#include "tools/report/bounded_links.h"
#include "tools/report/bounded_ranks.h"
#include "tools/report/palette.h"

namespace rehearse {
namespace {

std::string page() {
  return print_report({{testing::summary("predicted"), testing::summary("measured")}});
}

std::string without(std::string text, std::string_view part) {
  const std::size_t at = text.find(part);
  EXPECT_NE(at, std::string::npos) << part;
  return text.erase(at, part.size());
}

TEST(Report, AsksNothingOfTheNetwork) {
  EXPECT_NE(page().find("content=\"default-src 'none';"), std::string::npos);
  // Two names that are nobody's address: where the library is from, what SVG is.
  const std::string text =
      without(without(page(), "https://github.com/leeoniya/uPlot"), "http://www.w3.org/2000/svg");
  for (const char* reference :
       {"http:", "https:", "src=", "<link", "import ", "import(", "fetch(", "XMLHttp", "url("}) {
    EXPECT_EQ(text.find(reference), std::string::npos) << reference;
  }
}

// MIT: "The above copyright notice and this permission notice shall be included in all copies".
TEST(Report, NamesTheLibraryItIsDrawnWith) {
  for (const char* notice : {"uPlot", "Copyright (c) 2022 Leon Sorokin", "shall be included in"})
    EXPECT_NE(page().find(notice), std::string::npos) << notice;
}

// The data, as the browser sees them.
std::string data_text(const std::string& page) {
  constexpr std::string_view kBegin = "<script type=\"application/json\" id=\"data\">";
  const std::size_t begin = page.find(kBegin) + kBegin.size();
  return page.substr(begin, page.find("</script>", begin) - begin);
}
nlohmann::json data_of(const std::string& page) {
  return nlohmann::json::parse(data_text(page));
}

TEST(Report, CarriesTheSummaries) {
  const nlohmann::json data = data_of(page());
  ASSERT_EQ(data["summaries"].size(), 2u);
  EXPECT_EQ(data["summaries"][0], nlohmann::json::parse(print_json(testing::summary("predicted"))));
  EXPECT_EQ(data["summaries"][1]["source"], "measured");
  EXPECT_TRUE(data["sweep"].is_null());
}

// Of more links than a page has room for, the busiest and sums of all by kind: closed forms of
// links whose use goes from 0 to 1 in equal steps.
TEST(Report, HasTheBusiestLinksAndSumsOfAll) {
  Summary summary = testing::summary("predicted");
  auto& links = summary.strategies.front().links;
  links.clear();
  const std::size_t count = 2 * kMostShownLinks + 1;
  for (std::size_t k = 0; k < count; ++k) {
    links.push_back({fmt::format("node{}>leaf{}", k, k / 8), Bytes::bytes(3),
                     static_cast<double>(k) / static_cast<double>(count - 1)});
  }
  links.push_back({"leaf0>spine7", Bytes::bytes(11), 0.25});
  const nlohmann::json data = data_of(print_report({{summary, testing::summary("measured")}}));
  const auto& shown = data["summaries"][0]["strategies"][0]["links"];
  ASSERT_EQ(shown.size(), kMostShownLinks);
  EXPECT_EQ(shown.back()["name"], links[count - 1].name);
  for (const auto& link : shown)
    EXPECT_GT(link["utilisation"].get<double>(), 0.5) << link;
  const auto& all = data["links"][0][0];
  EXPECT_EQ(all["links"], count + 1);
  ASSERT_EQ(all["kinds"].size(), 2u);
  EXPECT_EQ(all["kinds"][0]["name"], "node#>leaf#");
  EXPECT_EQ(all["kinds"][0]["links"], count);
  EXPECT_EQ(all["kinds"][0]["bytes"], 3 * count);
  EXPECT_NEAR(all["kinds"][0]["mean_utilisation"].get<double>(), 0.5, 1e-9);
  EXPECT_EQ(all["kinds"][0]["most_utilisation"], 1.0);
  EXPECT_EQ(all["kinds"][1]["bytes"], 11);
  EXPECT_TRUE(data["links"][1][0].is_null());
}

// Ranks of three kinds, of which the second comes twice: [0, 1], [1, n], [2, 1], [1, n].
TEST(Report, HasEachKindOfThousandsOfRanksOnce) {
  Summary summary = testing::summary("predicted");
  auto& ranks = summary.strategies.front().ranks;
  const RankSummary one = ranks.front();
  ranks.clear();
  constexpr std::size_t kSame = kMostWrittenRanks;
  for (std::size_t r = 0; r < 2 * kSame + 2; ++r) {
    RankSummary& rank = ranks.emplace_back(one);
    rank.rank = static_cast<std::int64_t>(r);
    if (r == 0) rank.memory->peak += Bytes::bytes(1);
    if (r == kSame + 1) rank.idle += Seconds::seconds(1);
  }
  const nlohmann::json data = data_of(print_report({{summary}}));
  EXPECT_EQ(data["rank_runs"][0][0], nlohmann::json({{0, 1}, {1, kSame}, {2, 1}, {1, kSame}}));
  const auto& kinds = data["summaries"][0]["strategies"][0]["ranks"];
  const auto all = nlohmann::json::parse(print_json(summary))["strategies"][0]["ranks"];
  ASSERT_EQ(kinds.size(), 3u);
  EXPECT_EQ(kinds[0], all[0]);
  EXPECT_EQ(kinds[1], all[1]);
  EXPECT_EQ(kinds[2], all[kSame + 1]);
}

// "<!--<script>" inside a script makes the next "</script>" not its end.
TEST(Report, NamesCannotEndTheirElement) {
  Summary summary = testing::summary("predicted");
  summary.scenario = "</script><script>alert(1)</script><!--<script>";
  const std::string text = print_report({{summary}});
  EXPECT_EQ(data_text(text).find('<'), std::string::npos);
  EXPECT_EQ(data_of(text)["summaries"][0]["scenario"], summary.scenario);
}

// Every kind of op has a colour and every lane a row in the pictures.
TEST(Report, DrawsEveryKindOfOpAndLane) {
  const std::string page = print_report({});
  EXPECT_EQ(page_color("series"), "");  // of "--series0: #..." no more than a part
  for (int kind = 0; kind < kOpKindCount; ++kind) {
    const std::string name(to_string(static_cast<OpKind>(kind)));
    EXPECT_NE(page.find("--" + name + ": #"), std::string::npos) << name;
    EXPECT_EQ(page_color(name).size(), 7u) << name;
  }
  for (int lane = 0; lane <= static_cast<int>(LaneKind::tensor); ++lane) {
    const std::string name(to_string(static_cast<LaneKind>(lane)));
    EXPECT_NE(page.find("\"" + name + "\""), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace rehearse
