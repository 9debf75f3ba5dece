// What the page carries; tests/report opens it in a browser.
#include "tools/report/report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/tools/summaries.h"

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
  for (int kind = 0; kind < kOpKindCount; ++kind) {
    const std::string name(to_string(static_cast<OpKind>(kind)));
    EXPECT_NE(page.find("--" + name + ": #"), std::string::npos) << name;
  }
  for (int lane = 0; lane <= static_cast<int>(LaneKind::tensor); ++lane) {
    const std::string name(to_string(static_cast<LaneKind>(lane)));
    EXPECT_NE(page.find("\"" + name + "\""), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace rehearse
