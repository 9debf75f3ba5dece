#include <fmt/format.h>

#include "model/plan/plan_text.h"
#include "model/plan/text/parse_pieces.h"

namespace rehearse {
namespace {

using plan_text::expected;
using plan_text::Line;
using plan_text::Lines;
using plan_text::Malformed;
using plan_text::Word;

// Groups, programs with what is in them, and ranks, in any order but that of their numbers.
class Statements {
 public:
  Statements(Lines& lines, ParsedPlan head)
      : lines_(lines), plan_(std::move(head.plan)), places_(std::move(head.places)) {}

  ParsedPlan run() {
    while (lines_.more())
      statement(lines_.next());
    return {std::move(plan_), std::move(places_)};
  }

 private:
  void statement(Line line) {
    const std::string keyword(line.keyword());
    const Word word = line.word("a statement");
    if (keyword == "group") return group(std::move(line));
    if (keyword == "program") return program(std::move(line));
    if (keyword == "rank") return rank(std::move(line));
    const bool of_class =
        keyword == "class" || keyword == "read_class" || keyword == "parked_class";
    const bool inside = keyword == "lane" || of_class || keyword == "buffer" || keyword == "op";
    if (!inside)
      expected("group, program, lane, class, read_class, parked_class, buffer, op or rank", word);
    if (plan_.programs.empty()) {
      throw Malformed{word.where, fmt::format("'{}' stands before the first program", keyword)};
    }
    if (keyword == "lane") return lane(std::move(line));
    if (of_class) return parameter_class(std::move(line), keyword);
    if (keyword == "buffer") return buffer(std::move(line));
    op(std::move(line));
  }

  // Things are numbered in order: the number is there for people, and has to be right.
  static void number(Line& line, std::size_t next) {
    const Word got = line.word("a number");
    if (plan_text::integer(got) != static_cast<std::int64_t>(next))
      expected(std::to_string(next), got);
  }

  void group(Line line) {
    number(line, plan_.groups.size());
    places_.groups.push_back(lines_.number());
    plan_.groups.push_back({plan_text::ids<RankId>(line.field("ranks"))});
    line.finish();
  }

  void program(Line line) {
    number(line, plan_.programs.size());
    plan_.programs.push_back(plan_text::parse_program(std::move(line)));
    places_.programs.push_back(lines_.number());
    places_.ops.emplace_back();
  }

  void lane(Line line) {
    auto& lanes = plan_.programs.back().lanes;
    number(line, lanes.size());
    lanes.push_back(plan_text::parse_lane(std::move(line)));
  }

  void parameter_class(Line line, std::string_view keyword) {
    auto& classes = plan_.programs.back().parameter_classes;
    number(line, classes.size());
    classes.push_back(plan_text::parse_class(std::move(line), keyword));
  }

  void buffer(Line line) {
    auto& buffers = plan_.programs.back().buffers;
    number(line, buffers.size());
    buffers.push_back(plan_text::parse_buffer(std::move(line)));
  }

  void op(Line line) {
    auto& ops = plan_.programs.back().ops;
    number(line, ops.size());
    ops.push_back(plan_text::parse_op(std::move(line)));
    places_.ops.back().push_back(lines_.number());
  }

  void rank(Line line) {
    number(line, plan_.ranks.size());
    plan_.ranks.push_back(plan_text::parse_rank(std::move(line)));
    places_.ranks.push_back(lines_.number());
  }

  Lines& lines_;
  Plan plan_;
  PlanPlaces places_;
};

}  // namespace

Result<ParsedPlan> parse_plan(const std::string& text, const std::string& name) {
  try {
    Lines lines(text, name);
    ParsedPlan head = plan_text::parse_head(lines);
    return Statements(lines, std::move(head)).run();
  } catch (const Malformed& malformed) {
    return error_at(malformed.where, malformed.message);
  }
}

}  // namespace rehearse
