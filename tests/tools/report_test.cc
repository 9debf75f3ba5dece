// The page works offline, whatever the names in it are.
#include "tools/report/report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/tools/summaries.h"

namespace rehearse {
namespace {

std::string page() {
  return print_report({testing::summary("predicted"), testing::summary("measured")});
}

TEST(Report, AsksNothingOfTheNetwork) {
  for (const char* reference : {"http:", "https:", "src=", "<link", "import ", "fetch(", "url("}) {
    EXPECT_EQ(page().find(reference), std::string::npos) << reference;
  }
}

// The data, as the browser sees them.
nlohmann::json data_of(const std::string& page) {
  constexpr std::string_view kBegin = "const files = ";
  const auto begin = page.find(kBegin) + kBegin.size();
  return nlohmann::json::parse(page.substr(begin, page.find(";\nconst page", begin) - begin));
}

TEST(Report, CarriesTheSummaries) {
  const nlohmann::json data = data_of(page());
  ASSERT_EQ(data.size(), 2u);
  EXPECT_EQ(data[0], nlohmann::json::parse(print_json(testing::summary("predicted"))));
  EXPECT_EQ(data[1]["source"], "measured");
}

TEST(Report, NamesCannotEndItsScript) {
  Summary summary = testing::summary("predicted");
  summary.scenario = "</script><script>alert(1)</script>";
  const std::string text = print_report({summary});
  EXPECT_EQ(text.find("</script><script>"), std::string::npos);
  EXPECT_EQ(data_of(text)[0]["scenario"], summary.scenario);
}

}  // namespace
}  // namespace rehearse
