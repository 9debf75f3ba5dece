#include "model/schedule/schedule_csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>

#include "model/base/text.h"

namespace rehearse {
namespace {

struct Code {
  std::string_view text;
  ActionKind kind;
};
constexpr std::array<Code, 11> kCodes = {{
    {"B", ActionKind::backward},
    {"F", ActionKind::forward},
    {"I", ActionKind::backward_input},
    {"RECV_B", ActionKind::receive_backward},
    {"RECV_F", ActionKind::receive_forward},
    {"REDUCE_GRAD", ActionKind::reduce_gradients},
    {"RESHARD", ActionKind::reshard},
    {"SEND_B", ActionKind::send_backward},
    {"SEND_F", ActionKind::send_forward},
    {"UNSHARD", ActionKind::unshard},
    {"W", ActionKind::backward_weight},
}};

bool has_micro_batch(ActionKind kind) {
  switch (kind) {
    case ActionKind::forward:
    case ActionKind::backward:
    case ActionKind::backward_input:
    case ActionKind::backward_weight:
    case ActionKind::send_forward:
    case ActionKind::receive_forward:
    case ActionKind::send_backward:
    case ActionKind::receive_backward:
      return true;
    case ActionKind::unshard:
    case ActionKind::reshard:
    case ActionKind::reduce_gradients:
      return false;
  }
  REHEARSE_UNREACHABLE("action kind");
}

// A file that is no schedule at all would say the same thing of every cell.
constexpr std::size_t kMostErrors = 20;

class Reader {
 public:
  Reader(const std::string& text, const std::string& name)
      : source_(std::make_shared<SourceText>(name, text)) {}

  Result<ScheduleTable> run() {
    std::vector<std::string_view> rows = split(source_->text(), '\n');
    // What follows the last row may be blank lines.
    while (!rows.empty() && trim(rows.back()).empty())
      rows.pop_back();
    if (rows.empty()) return error_at({source_, 1, 1, 0}, "expected a row per rank, got nothing");
    for (std::size_t rank = 0; rank < rows.size(); ++rank)
      row(static_cast<int>(rank) + 1, rows[rank]);
    if (table_.has_messages) refuse_blanks();
    if (!errors_.empty()) return std::move(errors_);
    return std::move(table_);
  }

 private:
  void row(int line, std::string_view text) {
    if (text.ends_with('\r')) text.remove_suffix(1);
    table_.ranks.emplace_back();
    table_.places.emplace_back();
    std::size_t at = 0;
    bool idle = true;
    for (const std::string_view cell : split(text, ',')) {
      const std::string_view content = trim(cell);
      const std::size_t begin = content.empty() ? at : at + cell.find(content);
      const SourceSpan where = span(line, begin, content.size());
      if (content.empty()) {
        blanks_.push_back(where);
      } else {
        idle = false;
        action(content, where);
      }
      at += cell.size() + 1;
    }
    if (idle) fail(span(line, 0, text.size()), "expected the actions of a rank, got none");
  }

  void action(std::string_view cell, const SourceSpan& where) {
    if (cell.front() == '(') {
      return fail(where,
                  fmt::format("joint actions are not supported, got '{}'; write its parts as "
                              "cells of their own, in the order in which they run",
                              cell));
    }
    constexpr std::string_view kDigits = "0123456789";
    const std::size_t type = std::min(cell.find_first_not_of(kDigits), cell.size());
    const std::size_t rest = std::min(cell.find_first_of(kDigits, type), cell.size());
    const auto stage = number(cell.substr(0, type));
    if (!stage || type == rest) {
      return fail(
          where,
          fmt::format("expected an action such as 2F0, 1UNSHARD or 3SEND_F1, got '{}'", cell));
    }
    const std::string_view code = cell.substr(type, rest - type);
    const auto kind = kind_of(code, part(where, type, code.size()));
    if (!kind) return;
    const auto micro_batch = number(cell.substr(rest));
    if (rest < cell.size() && !micro_batch) {
      return fail(part(where, rest, cell.size() - rest),
                  fmt::format("expected a micro-batch's number, got '{}'", cell.substr(rest)));
    }
    if (has_micro_batch(*kind) != micro_batch.has_value()) {
      return fail(where, fmt::format("expected {} after '{}', got '{}'",
                                     micro_batch ? "no micro-batch" : "a micro-batch's number",
                                     code, cell));
    }
    add(*kind, *stage, micro_batch, where);
  }

  void add(ActionKind kind, std::int64_t stage, std::optional<std::int64_t> micro_batch,
           const SourceSpan& where) {
    Action action{kind, StageId(stage), std::nullopt};
    if (micro_batch) action.micro_batch = MicroBatchId(*micro_batch);
    table_.has_messages = table_.has_messages || !is_pass(kind);
    table_.ranks.back().push_back(action);
    table_.places.back().push_back(where);
  }

  std::optional<ActionKind> kind_of(std::string_view text, const SourceSpan& where) {
    const auto code = std::find_if(kCodes.begin(), kCodes.end(),
                                   [&](const Code& known) { return known.text == text; });
    if (code != kCodes.end()) return code->kind;
    std::vector<std::string> names;
    for (const Code& known : kCodes)
      names.emplace_back(known.text);
    const auto guess = nearest(text, names);
    fail(where, fmt::format("there is no action type '{}'{}", text,
                            guess ? fmt::format("; did you mean '{}'?", *guess) : ""));
    return std::nullopt;
  }

  // Ids are 32 bits wide; "007" is not how a number is written.
  static std::optional<std::int64_t> number(std::string_view digits) {
    const auto value = parse_integer(digits);
    if (!value || *value < 0 || *value > std::numeric_limits<std::uint32_t>::max()) return {};
    return value;
  }

  void refuse_blanks() {
    for (const SourceSpan& blank : blanks_)
      fail(blank, "idle steps may stand only in a schedule without messages");
  }

  SourceSpan span(int line, std::size_t begin, std::size_t length) const {
    return {source_, line, static_cast<int>(begin) + 1, std::max(1, static_cast<int>(length))};
  }
  static SourceSpan part(SourceSpan where, std::size_t from, std::size_t length) {
    where.column += static_cast<int>(from);
    where.length = static_cast<int>(length);
    return where;
  }

  void fail(const SourceSpan& where, std::string message) {
    if (errors_.size() < kMostErrors) errors_.push_back({where, std::move(message), {}});
  }

  std::shared_ptr<const SourceText> source_;
  ScheduleTable table_;
  std::vector<SourceSpan> blanks_;
  Diagnostics errors_;
};

}  // namespace

bool is_pass(ActionKind kind) {
  switch (kind) {
    case ActionKind::forward:
    case ActionKind::backward:
    case ActionKind::backward_input:
    case ActionKind::backward_weight:
      return true;
    case ActionKind::send_forward:
    case ActionKind::receive_forward:
    case ActionKind::send_backward:
    case ActionKind::receive_backward:
    case ActionKind::unshard:
    case ActionKind::reshard:
    case ActionKind::reduce_gradients:
      return false;
  }
  REHEARSE_UNREACHABLE("action kind");
}

Result<ScheduleTable> parse_schedule_csv(const std::string& text, const std::string& name) {
  return Reader(text, name).run();
}

std::string to_string(const Action& action) {
  const auto code = std::find_if(kCodes.begin(), kCodes.end(),
                                 [&](const Code& known) { return known.kind == action.kind; });
  std::string text = fmt::format("{}{}", action.stage.value(), code->text);
  if (action.micro_batch) text += std::to_string(action.micro_batch->value());
  return text;
}

std::string print_schedule_csv(const ScheduleTable& table) {
  std::string text;
  for (const auto& rank : table.ranks) {
    std::vector<std::string> cells;
    for (const Action& action : rank)
      cells.push_back(to_string(action));
    text += join(cells, ",") + "\n";
  }
  return text;
}

ScheduleTable without_messages(const ScheduleTable& table) {
  ScheduleTable passes;
  for (const auto& rank : table.ranks) {
    auto& kept = passes.ranks.emplace_back();
    std::copy_if(rank.begin(), rank.end(), std::back_inserter(kept),
                 [](const Action& action) { return is_pass(action.kind); });
  }
  return passes;
}

}  // namespace rehearse
