#include "tools/scoreboard/csv.h"

#include <gtest/gtest.h>

namespace rehearse {
namespace {

TEST(Csv, RowsHaveTheCellsOfTheirColumns) {
  const auto rows =
      parse_csv("name,count, share\nfirst,3,0.5\n\nsecond, 4 ,1\n", "t.csv", {"share", "name"});
  ASSERT_TRUE(rows.ok());
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[1].text("name"), "second");
  EXPECT_EQ(*(*rows)[1].count("count"), 4);
  EXPECT_EQ(*(*rows)[0].number("share"), 0.5);
}

std::string complaint(const Diagnostics& errors) {
  return format(errors).substr(0, format(errors).find('\n'));
}

TEST(Csv, SaysWhatIsMissing) {
  EXPECT_EQ(complaint(parse_csv("a,b\n1,2\n", "t.csv", {"c"}).errors()),
            "t.csv:1:1: error: there is no column 'c'");
  EXPECT_EQ(complaint(parse_csv("a,b\n1\n", "t.csv", {"a"}).errors()),
            "t.csv:2:1: error: expected 2 cells, got 1");
  const auto rows = parse_csv("a\nx\n", "t.csv", {"a"});
  EXPECT_EQ(complaint(rows->front().count("a").errors()),
            "t.csv:2:1: error: 'a' has to be a number, got 'x'");
}

}  // namespace
}  // namespace rehearse
