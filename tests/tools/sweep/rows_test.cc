// Rows of a sweep as lines of text, and what is told of them at the end.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "tools/sweep/manifest.h"
#include "tools/sweep/ranking.h"
#include "tools/sweep/row.h"

namespace rehearse::sweep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string random_text(std::mt19937_64& random) {
  constexpr std::string_view kCharacters = "ab1 ,\"\n'{}[]:;\\/#";
  std::string text;
  for (std::uint64_t n = random() % 12; n > 0; --n)
    text += kCharacters[random() % kCharacters.size()];
  return text;
}

Cell random_cell(std::mt19937_64& random) {
  switch (random() % 5) {
    case 0:
      return random() % 2 == 0;
    case 1:
      return static_cast<std::int64_t>(random() >> 2) - (std::int64_t{1} << 60);
    case 2:
      return std::ldexp(static_cast<double>(random() | 1), static_cast<int>(random() % 200) - 100);
    case 3:
      return random_text(random);
    default:
      return std::monostate();
  }
}

Row random_row(std::mt19937_64& random) {
  Row row;
  row.scenario = random_text(random);
  row.file = random_text(random);
  row.point = random() >> 1;
  row.strategy = random_text(random);
  for (const char* name : {"cluster.nodes", "odd, \"name\""})
    row.values.emplace_back(name, random_cell(random));
  row.status = static_cast<RowStatus>(random() % 3);
  row.reason = row.status == RowStatus::played ? "" : "why: " + random_text(random);
  row.method = "simulate";
  row.tool_version = "1.2.3";
  row.scenario_hash = "0123456789abcdef";
  if (row.status == RowStatus::refused) return row;
  for (std::size_t f = 0; f < figure_names().size(); ++f)
    row.figures.push_back(random_cell(random));
  return row;
}

TEST(SweepRows, SurviveJson) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 500; ++i) {
    const Row row = random_row(random);
    const std::string line = print_json_line(row);
    EXPECT_EQ(line.find('\n'), line.size() - 1) << "one line";
    const Result<Row> again = parse_json_line(line);
    ASSERT_TRUE(again.ok()) << format(again.errors()) << line;
    EXPECT_EQ(*again, row) << line;
  }
}

TEST(SweepRows, AreNotReadOutOfOtherLines) {
  std::mt19937_64 random(2);
  const std::string line = print_json_line(random_row(random));
  for (std::size_t size = 0; size + 2 < line.size(); size += 7)
    EXPECT_FALSE(parse_json_line(line.substr(0, size)).ok());
  EXPECT_FALSE(parse_json_line("{}").ok());
  EXPECT_FALSE(parse_json_line("[1, 2]").ok());
}

// Most figures are of one method only: what there is none of takes no room, and rows that say so,
// as earlier versions wrote them, are the same.
TEST(SweepRows, LeaveOutWhatThereIsNoneOf) {
  Row row;
  row.status = RowStatus::played;
  row.figures.resize(figure_names().size());
  row.figures[0] = 2.0;
  row.figures[1] = std::numeric_limits<double>::infinity();
  const std::string line = print_json_line(row);
  EXPECT_EQ(line.find("null"), std::string::npos) << line;
  EXPECT_THAT(line, HasSubstr("\"" + figure_names()[0] + "\":2.0}"));
  row.figures[1] = {};
  EXPECT_EQ(*parse_json_line(line), row) << "2.0 is no count";
  const std::string wordy =
      line.substr(0, line.size() - 2) + ",\"reason\":null,\"" + figure_names()[1] + "\":null}";
  EXPECT_EQ(*parse_json_line(wordy), row);
}

// RFC 4180, read by its grammar.
std::vector<std::vector<std::string>> read_csv(const std::string& text) {
  std::vector<std::vector<std::string>> rows(1);
  std::string cell;
  bool quoted = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (quoted && c == '"' && text.substr(at + 1, 1) == "\"") {
      cell += text[++at];
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == ',' || c == '\n')) {
      rows.back().push_back(std::exchange(cell, ""));
      if (c == '\n') rows.emplace_back();
    } else {
      cell += c;
    }
  }
  rows.pop_back();
  return rows;
}

std::string plain(const nlohmann::json& json) {
  if (json.is_null()) return "";
  return json.is_string() ? json.get<std::string>() : json.dump();
}

// Every cell says what the same row says in JSON.
TEST(SweepRows, SayTheSameInCsv) {
  const std::vector<std::string> swept = {"cluster.nodes", "another file's", "odd, \"name\""};
  std::mt19937_64 random(3);
  std::string text = csv_heading(swept);
  std::vector<Row> rows;
  for (int i = 0; i < 200; ++i) {
    rows.push_back(random_row(random));
    text += print_csv_line(rows.back(), swept);
  }
  const auto cells = read_csv(text);
  ASSERT_EQ(cells.size(), rows.size() + 1);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    ASSERT_EQ(cells[r + 1].size(), cells[0].size());
    const auto json = nlohmann::json::parse(print_json_line(rows[r]));
    for (std::size_t c = 0; c < cells[0].size(); ++c) {
      const std::string &name = cells[0][c], &cell = cells[r + 1][c];
      const auto& values = json["values"];
      const bool is_swept = std::find(swept.begin(), swept.end(), name) != swept.end();
      const nlohmann::json expected = is_swept ? (values.contains(name) ? values[name] : nullptr)
                                               : (json.contains(name) ? json[name] : nullptr);
      if (expected.is_number_float()) {
        EXPECT_EQ(std::stod(cell), expected.get<double>()) << name;
      } else {
        EXPECT_EQ(cell, plain(expected)) << name;
      }
    }
  }
}

TEST(SweepShards, AreNamedByTheirNumber) {
  EXPECT_EQ(*parse_shard("2/4"), (Shard{2, 4}));
  for (const char* text : {"", "2", "0/4", "5/4", "-1/4", "1/0", "1/2/3", "a/b", "1/4 "})
    EXPECT_FALSE(parse_shard(text).ok()) << text;
}

TEST(SweepManifest, ReadsBack) {
  const Manifest manifest{
      "0.1.0", "simulate", {2, 3}, {{"a.yaml", "a \"name\"", "00ff", 7, {"x", "y"}, {"p.q"}}}};
  const Result<Manifest> again = parse_manifest(print_json(manifest), "sweep.json");
  ASSERT_TRUE(again.ok()) << format(again.errors());
  EXPECT_EQ(print_json(*again), print_json(manifest));
  // Ordinals 1, 4 of 0 to 6.
  EXPECT_EQ(rows_of(*again), 2u * 2);
  EXPECT_FALSE(parse_manifest("{\"sweep\": 2}", "sweep.json").ok());
  EXPECT_FALSE(parse_manifest("no json", "sweep.json").ok());
}

// ---- the ranking -------------------------------------------------------------------------------

Row played(std::uint64_t point, const std::string& strategy, double samples) {
  Row row;
  row.scenario = row.file = "s";
  row.point = point;
  row.strategy = strategy;
  row.values.emplace_back("a.nodes", static_cast<std::int64_t>(point));
  row.scenario_hash = fmt::format("{} {}", point, strategy);
  for (const std::string& name : figure_names()) {
    const bool counts = name == "samples_per_s" || name == "run_samples_per_s";
    row.figures.emplace_back();
    if (counts) row.figures.back() = samples;
  }
  return row;
}

Row refused(std::uint64_t point, const std::string& reason) {
  Row row = played(point, "x", 0);
  row.status = RowStatus::refused;
  row.reason = reason;
  row.figures.clear();
  return row;
}

TEST(SweepRanking, HasTheBestOfEveryPoint) {
  Ranking ranking;
  ranking.add({0, 0, 1}, played(1, "ddp", 10));
  ranking.add({0, 1, 1}, played(1, "pipe", 12));
  ranking.add({0, 0, 2}, played(2, "ddp", 11));
  ranking.add({0, 1, 2}, refused(2, "takes 12.5 GiB of 8"));
  ranking.add({0, 0, 3}, refused(3, "takes 1 GiB of 16"));
  ranking.add({0, 1, 3}, refused(3, "no such thing"));
  EXPECT_EQ(ranking.best()->strategy, "pipe");
  EXPECT_EQ(ranking.print({"a.nodes"}).plain(),
            "the best strategy of 3 points\n"
            "nodes  strategy  step time  samples/s  peak memory\n"
            "1          pipe          -         12            -\n"
            "2           ddp          -         11            -\n"
            "3             -          -          -            -\n"
            "\n"
            "6 rows: 3 played and fit, 0 take more memory than there is, 3 refused\n"
            "     2  takes # GiB of #\n"
            "     1  no such thing\n");
}

// An estimate beside which messages meet, in the table as in that of 'rehearse estimate'.
TEST(SweepRanking, MarksWhatEstimatesDoNotPrice) {
  for (const bool is_marked : {false, true}) {
    Row row = played(1, "pipe", 12);
    for (std::size_t f = 0; f < row.figures.size(); ++f) {
      if (figure_names()[f] == "step_time_s") row.figures[f] = 0.5;
      if (figure_names()[f] == "is_marked") row.figures[f] = is_marked;
    }
    Ranking ranking;
    ranking.add({0, 0, 1}, row);
    const std::string text = ranking.print({"a.nodes"}).plain();
    EXPECT_EQ(text.find("500 ms*") != std::string::npos, is_marked) << text;
    EXPECT_EQ(text.find("messages meet on links") != std::string::npos, is_marked) << text;
  }
}

// In whatever order they come.
TEST(SweepRanking, HasTheBestRowsOfManyPoints) {
  std::vector<std::pair<RowPlace, Row>> rows;
  for (std::uint64_t n = 0; n < 60; ++n)
    rows.push_back({{0, 0, n}, played(n, "ddp", static_cast<double>(n / 2))});
  std::mt19937_64 random(4);
  std::string first;
  for (int i = 0; i < 5; ++i) {
    Ranking ranking;
    std::shuffle(rows.begin(), rows.end(), random);
    for (const auto& [place, row] : rows)
      ranking.add(place, row);
    const std::string text = ranking.print({"a.nodes"}).plain();
    if (first.empty()) first = text;
    EXPECT_EQ(text, first);
  }
  EXPECT_THAT(first, HasSubstr("the best 10 of 60 rows, those with the same figures once\n"));
  // 58 and 59 have as many: the first of them stands first.
  EXPECT_LT(first.find("\n58 "), first.find("\n59 "));
  EXPECT_EQ(first.find("\n49 "), std::string::npos);
  EXPECT_NE(first.find("\n50 "), std::string::npos);
}

// Where an axis makes no difference to a strategy, as one of another strategy's, its rows are the
// same all along it.
TEST(SweepRanking, HasTheSameFiguresOnce) {
  std::vector<std::pair<RowPlace, Row>> rows;
  for (std::uint64_t n = 0; n < 60; ++n) {
    Row row = played(n, "ddp", static_cast<double>(n % 12));
    row.values.emplace_back("strategies.pipe.stages", std::int64_t{4});
    rows.push_back({{0, 0, n}, row});
  }
  std::mt19937_64 random(5);
  for (int i = 0; i < 20; ++i) {
    Ranking ranking;
    std::shuffle(rows.begin(), rows.end(), random);
    for (const auto& [place, row] : rows)
      ranking.add(place, row);
    const std::string text = ranking.print({"a.nodes", "strategies.pipe.stages"}).plain();
    EXPECT_THAT(text, HasSubstr("\nnodes  stages  strategy  step time  samples/s  peak memory\n"
                                "11          -       ddp          -         11            -\n"
                                "10          -       ddp          -         10            -\n"));
    EXPECT_THAT(text,
                HasSubstr("\n2           -       ddp          -          2            -\n\n"));
  }
}

TEST(SweepRanking, TellsColumnsApart) {
  Ranking ranking;
  ranking.add({}, played(1, "ddp", 10));
  const std::string text =
      ranking.print({"strategies.a.data", "strategies.b.data", "x.nodes"}).plain();
  EXPECT_THAT(text, HasSubstr("a.data  b.data  nodes  strategy"));
}

}  // namespace
}  // namespace rehearse::sweep
