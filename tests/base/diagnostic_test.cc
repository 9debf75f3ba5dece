#include "model/base/diagnostic.h"

#include <gtest/gtest.h>

namespace rehearse {
namespace {

TEST(Diagnostic, QuotesTheLineAndPutsTheCaretUnderTheWord) {
  const auto source = std::make_shared<const SourceText>("a.yaml", "x: 1\n  bandwidth: 400\n");
  const SourceSpan where{source, 2, 14, 3};
  const Diagnostics errors = error_at(where, "expected a bandwidth such as '400 Gb/s', got '400'",
                                      {{SourceSpan{source, 1, 1, 1}, "units are required"}});
  EXPECT_EQ(format(errors),
            "a.yaml:2:14: error: expected a bandwidth such as '400 Gb/s', got '400'\n"
            "    2 |   bandwidth: 400\n"
            "      |              ^~~\n"
            "a.yaml:1:1: note: units are required\n"
            "    1 | x: 1\n"
            "      | ^\n");
}

TEST(Diagnostic, WithoutAPlaceIsOneLine) {
  EXPECT_EQ(format(error("no such file")), "error: no such file\n");
}

TEST(Diagnostic, KeepsTabsBeforeTheCaretAndStopsAtTheLineEnd) {
  const auto source = std::make_shared<const SourceText>("t", "\tab");
  EXPECT_EQ(format(error_at({source, 1, 2, 9}, "m")),
            "t:1:2: error: m\n    1 | \tab\n      | \t^~\n");
}

std::string excerpt_of(const std::string& line, std::size_t column, int length) {
  const auto source = std::make_shared<const SourceText>("t", line);
  const std::string text = format(error_at({source, 1, static_cast<int>(column) + 1, length}, "m"));
  return text.substr(text.find('\n') + 1);
}

TEST(Diagnostic, ShowsWhatIsAroundTheCaretOfALongLine) {
  const std::string a(80, 'a'), b(78, 'b'), much(200'000, '.');
  EXPECT_EQ(excerpt_of(much + a + "XY" + b + much, much.size() + 80, 2),
            "    1 | ..." + a + "XY" + b + "...\n      |    " + std::string(80, ' ') + "^~\n");
  EXPECT_EQ(excerpt_of("XY" + a + b + much, 0, 2), "    1 | XY" + a + b + "...\n      | ^~\n");
  EXPECT_EQ(excerpt_of(much + a + b + "XY", much.size() + 158, 2),
            "    1 | ..." + a + b + "XY\n      |    " + std::string(158, ' ') + "^~\n");
  EXPECT_EQ(excerpt_of(a + a, 159, 1),
            "    1 | " + a + a + "\n      | " + std::string(159, ' ') + "^\n");
}

TEST(Diagnostic, UnderlinesNoMoreThanIsShown) {
  const std::string much(1000, 'x');
  EXPECT_EQ(excerpt_of(much, 500, 400), "    1 | ..." + std::string(160, 'x') + "...\n      |    " +
                                            std::string(80, ' ') + "^" + std::string(79, '~') +
                                            "\n");
}

TEST(Diagnostic, CutsNoCharacterInTwo) {
  std::string line;
  for (int i = 0; i < 200; ++i)
    line += "\u00e9";
  std::string shown;
  for (int i = 0; i < 81; ++i)
    shown += "\u00e9";
  EXPECT_EQ(excerpt_of(line + "x" + line, 2 * 200 + 1, 1).substr(0, 11), "    1 | ...");
  EXPECT_NE(excerpt_of(line, 201, 1).find("..." + shown + "..."), std::string::npos);
}

TEST(SourceText, LinesWithAndWithoutCarriageReturn) {
  const SourceText text("t", "one\r\ntwo\n");
  EXPECT_EQ(text.line(1), "one");
  EXPECT_EQ(text.line(2), "two");
  EXPECT_EQ(text.line(3), "");
  EXPECT_EQ(text.line(9), "");
}

TEST(Nearest, SuggestsATypoButNotAStranger) {
  const std::vector<std::string> names = {"bandwidth", "latency", "kind"};
  EXPECT_EQ(nearest("bandwith", names), "bandwidth");
  EXPECT_EQ(nearest("latncy", names), "latency");
  EXPECT_EQ(nearest("colour", names), std::nullopt);
  // Two letters in the wrong order are one slip (gpt would be two substitutions).
  EXPECT_EQ(nearest("mpl", {"gpt", "mlp"}), "mlp");
}

TEST(Result, HoldsAValueOrErrors) {
  const Result<int> good = 3;
  EXPECT_TRUE(good.ok());
  EXPECT_EQ(*good, 3);
  const Result<int> bad = error("no");
  EXPECT_FALSE(bad);
  EXPECT_EQ(format(bad.errors()), "error: no\n");
  EXPECT_DEATH((void)bad.value(), "value of a failed result:\nerror: no");
}

}  // namespace
}  // namespace rehearse
