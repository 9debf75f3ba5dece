// JSON is read as strictly as it is written: whatever is none is refused where it stands.
#include "model/scenario/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/scenario/files.h"

namespace rehearse::yaml {
namespace {

using ::testing::HasSubstr;

Result<Document> tree_of(const std::string& text, const std::string& name) {
  return parse(std::make_shared<const SourceText>(name, text));
}

Document read(const std::string& text) {
  Result<Document> document = tree_of(text, "x.json");
  EXPECT_TRUE(document.ok()) << (document.ok() ? "" : format(document.errors()));
  return *std::move(document);
}

// The first line of what is said.
std::string refusal(const std::string& text) {
  const Result<Document> document = tree_of(text, "x.json");
  if (document) return "accepted";
  const std::string said = format(document.errors());
  return said.substr(0, said.find('\n'));
}

// The slow twin: YAML is nearly a superset of JSON.
TEST(Json, IsTheTreeThatYamlMakesOfIt) {
  const std::string text =
      "{\"a\": [1, -2.50, 1e5, true, null, \"x, y: {\"],\n\t\"b\" :{},\"c\": {\"d\": \"400 "
      "Gb/s\", \"e\\\"\\u00e9\": []}}\n";
  const Document json = read(text);
  const Result<Document> yaml = tree_of(text, "x.yaml");
  ASSERT_TRUE(yaml.ok()) << format(yaml.errors());
  EXPECT_EQ(print_flow(json.root), print_flow(yaml->root));
  const auto check = [](const auto& self, const Value& a, const Value& b) -> void {
    EXPECT_EQ(a.kind, b.kind);
    EXPECT_EQ(a.quoted, b.quoted);
    EXPECT_EQ(a.where.line, b.where.line) << print_flow(a);
    EXPECT_EQ(a.where.column, b.where.column) << print_flow(a);
    ASSERT_EQ(a.items.size(), b.items.size());
    for (std::size_t i = 0; i < a.items.size(); ++i)
      self(self, a.items[i], b.items[i]);
    ASSERT_EQ(a.entries.size(), b.entries.size());
    for (std::size_t i = 0; i < a.entries.size(); ++i) {
      EXPECT_EQ(a.entries[i].key_where.line, b.entries[i].key_where.line);
      EXPECT_EQ(a.entries[i].key_where.column, b.entries[i].key_where.column);
      self(self, a.entries[i].value, b.entries[i].value);
    }
  };
  check(check, json.root, yaml->root);
}

TEST(Json, KeepsEveryDigit) {
  const Document document = read("[18446744073709551616, 0.10000000000000000001, 1E+2]");
  EXPECT_EQ(print_flow(document.root), "[18446744073709551616, 0.10000000000000000001, 1E+2]");
}

TEST(Json, MarksWholeTokens) {
  const Document document = read("\xEF\xBB\xBF{\"a\\\"\": \"\\u0041b\", \"c\": 125}");
  ASSERT_EQ(document.root.entries.size(), 2u);
  EXPECT_EQ(document.root.where.column, 1);
  EXPECT_EQ(document.root.entries[0].key, "a\"");
  EXPECT_EQ(document.root.entries[0].value.text, "Ab");
  EXPECT_EQ(document.root.entries[0].value.where.column, 9);
  EXPECT_EQ(document.root.entries[0].value.where.length, 9);
  EXPECT_EQ(document.root.entries[1].value.where.length, 3);
}

TEST(Json, HasDuplicatesWithBothPlaces) {
  const Document document = read("{\"a\": 1,\n \"a\": 2}");
  ASSERT_EQ(document.duplicates.size(), 1u);
  EXPECT_THAT(format(document.duplicates), HasSubstr("x.json:2:2: error: duplicate key 'a'"));
  EXPECT_THAT(format(document.duplicates), HasSubstr("x.json:1:2: note: first here"));
}

TEST(Json, IsRefusedWhereItIsNone) {
  const std::string wrong = ": error: not well-formed JSON: ";
  const std::pair<std::string, std::string> cases[] = {
      {"{\"a\": 1,\n}", "x.json:2:1" + wrong +
                            "syntax error while parsing object key - "
                            "unexpected '}'; expected string literal"},
      {"[1, 2, ]", "x.json:1:8" + wrong +
                       "syntax error while parsing value - unexpected ']'; "
                       "expected '[', '{', or a literal"},
      {"[1,,2]", "x.json:1:4" + wrong +
                     "syntax error while parsing value - unexpected ','; "
                     "expected '[', '{', or a literal"},
      {"{\"a\": 1 \"b\": 2}", "x.json:1:9" + wrong +
                                  "syntax error while parsing object - "
                                  "unexpected string literal; expected '}'"},
      {"{\"a\" 1}", "x.json:1:6" + wrong +
                        "syntax error while parsing object separator - "
                        "unexpected number literal; expected ':'"},
      {"{a: 1}", "x.json:1:2" + wrong +
                     "syntax error while parsing object key - invalid literal; "
                     "expected string literal"},
      {"{\"a\": 01}", "x.json:1:8" + wrong +
                          "syntax error while parsing object - unexpected "
                          "number literal; expected '}'"},
      {"[1\"a\"]", "x.json:1:3" + wrong +
                       "syntax error while parsing array - unexpected string "
                       "literal; expected ']'"},
      {"{\"a\": .5}", "x.json:1:7" + wrong + "syntax error while parsing value - invalid literal"},
      {"[NaN]", "x.json:1:2" + wrong + "syntax error while parsing value - invalid literal"},
      {"['a']", "x.json:1:2" + wrong + "syntax error while parsing value - invalid literal"},
      {"# a\n{}", "x.json:1:1" + wrong + "syntax error while parsing value - invalid literal"},
      {"{} {}", "x.json:1:4" + wrong +
                    "syntax error while parsing value - unexpected '{'; "
                    "expected end of input"},
      {"{\"a\": [1,\n 2\n\n", "x.json:2:2" + wrong +
                                  "syntax error while parsing array - "
                                  "unexpected end of input; expected ']'"},
      {"", "x.json:1:1" + wrong +
               "syntax error while parsing value - unexpected end of input; "
               "expected '[', '{', or a literal"},
      {"[\"\\ud83d\"]", "x.json:1:2" + wrong +
                            "syntax error while parsing value - invalid "
                            "string: surrogate U+D800..U+DBFF must be followed by U+DC00..U+DFFF"},
      {"[\"a\tb\"]", "x.json:1:2" + wrong +
                         "syntax error while parsing value - invalid string: "
                         "control character U+0009 (HT) must be escaped to \\u0009 or \\t"},
      {"[1e999]", "x.json:1:2" + wrong + "number overflow parsing '1e999'"},
      {std::string("{}\n \0 []", 7), "x.json:2:2" + wrong + "a character that is no text (0)"},
      {std::string(65, '['), "x.json:1:65: error: nested too deeply"},
  };
  for (const auto& [text, message] : cases)
    EXPECT_EQ(refusal(text), message) << text;
}

}  // namespace
}  // namespace rehearse::yaml
