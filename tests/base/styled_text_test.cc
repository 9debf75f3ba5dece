#include "model/base/styled_text.h"

#include <gtest/gtest.h>

#include "model/base/diagnostic.h"

namespace rehearse {
namespace {

constexpr const char* kRed = "\x1b[1;31m";
constexpr const char* kBold = "\x1b[1m";
constexpr const char* kEnd = "\x1b[0m";

TEST(StyledText, WithoutEmphasisIsTheSameBothWays) {
  const StyledText text("two\nlines\n");
  EXPECT_EQ(text.plain(), "two\nlines\n");
  EXPECT_EQ(text.coloured(), text.plain());
  EXPECT_TRUE(StyledText().empty());
}

TEST(StyledText, KeepsEmphasisWhereTextsAreJoined) {
  StyledText text("a ");
  text.append("b", Emphasis::bad);
  StyledText other;
  other.append("c", Emphasis::strong);
  other += " d";
  text += other;
  EXPECT_EQ(text.plain(), "a bc d");
  EXPECT_EQ(text.coloured(), std::string("a ") + kRed + "b" + kEnd + kBold + "c" + kEnd + " d");
}

TEST(StyledText, MayBeAddedToItself) {
  StyledText text;
  text.append("x", Emphasis::bad);
  text += text;
  EXPECT_EQ(text.plain(), "xx");
  EXPECT_EQ(text.coloured(), std::string(kRed) + "x" + kEnd + kRed + "x" + kEnd);
}

// A pager shows lines one by one: none may be left open, and empty ones need no sequence.
TEST(StyledText, EmphasisEndsBeforeEachLineFeed) {
  StyledText text;
  text.append("one\n\ntwo\n", Emphasis::strong);
  EXPECT_EQ(text.coloured(),
            std::string(kBold) + "one" + kEnd + "\n\n" + kBold + "two" + kEnd + "\n");
}

TEST(StyledText, OfDiagnosticsSaysWhatFormatSays) {
  const auto source = std::make_shared<const SourceText>("f.yaml", "key: 4\n");
  const Diagnostics errors =
      error_at({source, 1, 6, 1}, "no", {{SourceSpan{source, 1, 1, 3}, "this one"}});
  EXPECT_EQ(styled(errors).plain(), format(errors));
  const std::string text = styled(errors).coloured();
  EXPECT_NE(
      text.find(std::string(kBold) + "f.yaml:1:6:" + kEnd + " " + kRed + "error:" + kEnd + " no\n"),
      std::string::npos)
      << text;
  EXPECT_NE(text.find(std::string(kRed) + "^" + kEnd + "\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\x1b[1;36m^~~\x1b[0m\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace rehearse
