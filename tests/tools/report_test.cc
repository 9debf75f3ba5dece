// The page works offline, whatever the names in it are.
#include "tools/report/report.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
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

// Runs the page's script with a stand-in for the browser that collects what is put on the page.
std::string shown_by(const std::string& page) {
  const std::size_t begin = page.find("<script>") + std::string("<script>").size();
  const std::string script = page.substr(begin, page.find("</script>") - begin);
  // Tests run at once, each in a process of its own.
  const std::string path = fmt::format("{}rehearse_report_{}.js", ::testing::TempDir(), getpid());
  const std::string out = path + ".html";
  std::ofstream(path) << "let shown = '';\n"
                         "const document = {getElementById: () => "
                         "({insertAdjacentHTML: (_, html) => shown += html})};\n"
                      << script << "\nconsole.log(shown);\n";
  EXPECT_EQ(std::system(("node '" + path + "' >'" + out + "'").c_str()), 0);
  std::ifstream file(out);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Report, ShowsEveryStrategyAndItsRun) {
  if (std::system("node --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "there is no node";
  Summary predicted = testing::summary("predicted"), measured = testing::summary("measured");
  predicted.strategies[0].strategy = measured.strategies[0].strategy = "a <b> & c";
  const std::string html = shown_by(print_report({predicted, measured}));
  for (const char* wanted : {"a &lt;b&gt; &amp; c", "pipe", "all-reduce", "test accuracy 50.0 %"}) {
    EXPECT_NE(html.find(wanted), std::string::npos) << wanted;
  }
  for (const char* wrong : {"NaN", "undefined", "Infinity", "[object", "<b>"}) {
    EXPECT_EQ(html.find(wrong), std::string::npos) << wrong;
  }
}

// Either side alone makes a page.
TEST(Report, NeedsNoRunAndNoPrediction) {
  if (std::system("node --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "there is no node";
  for (const char* source : {"predicted", "measured"}) {
    const std::string html = shown_by(print_report({testing::summary(source)}));
    for (const char* wrong : {"NaN", "undefined", "Infinity", "[object"}) {
      EXPECT_EQ(html.find(wrong), std::string::npos) << source << ": " << wrong;
    }
  }
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
