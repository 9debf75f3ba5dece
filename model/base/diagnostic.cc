#include "model/base/diagnostic.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "model/base/styled_text.h"

namespace rehearse {
namespace {

constexpr std::size_t kMostShown = 160;

bool continues_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;  // UTF-8
}

// What is shown of a line, from and to: files of one line may have hundreds of kilobytes.
std::pair<std::size_t, std::size_t> shown_of(std::string_view line, std::size_t column) {
  if (line.size() <= kMostShown) return {0, line.size()};
  const std::size_t last = line.size() - kMostShown;
  std::size_t from = std::min(column - std::min(column, kMostShown / 2), last);
  std::size_t to = from + kMostShown;
  while (from > 0 && continues_character(line[from]))
    --from;
  while (to < line.size() && continues_character(line[to]))
    ++to;
  return {from, to};
}

void append_excerpt(StyledText& text, const SourceSpan& where, Emphasis emphasis) {
  constexpr std::string_view kMore = "...";
  const std::string_view line = where.source->line(where.line);
  if (where.length <= 0 || line.empty()) return;
  const auto column = static_cast<std::size_t>(std::max(where.column, 1)) - 1;
  const auto [from, to] = shown_of(line, column);
  const auto room = to > column ? to - column : 1;
  const auto length = std::min(static_cast<std::size_t>(where.length), room);
  const std::string_view before = from > 0 ? kMore : "", after = to < line.size() ? kMore : "";
  // Tabs are kept in the padding, so that the caret stands under the same screen column.
  std::string padding(line.substr(from, column - from));
  for (char& c : padding)
    c = c == '\t' ? '\t' : ' ';
  text += fmt::format("{:>5} | {}{}{}\n", where.line, before, line.substr(from, to - from), after);
  text += fmt::format("{:>5} | {:{}}{}", "", "", before.size(), padding);
  text.append("^" + std::string(length - 1, '~'), emphasis);
  text += "\n";
}

void append(StyledText& text, const std::optional<SourceSpan>& where, std::string_view severity,
            Emphasis emphasis, std::string_view message) {
  if (where) {
    text.append(fmt::format("{}:{}:{}:", where->source->name(), where->line, where->column),
                Emphasis::strong);
    text += " ";
  }
  text.append(fmt::format("{}:", severity), emphasis);
  text += fmt::format(" {}\n", message);
  if (where) append_excerpt(text, *where, emphasis);
}

// Two letters that changed places count once: that is how people mistype.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last, last, row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0u);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before_last = std::exchange(last, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitution = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({substitution, last[j] + 1, row[j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
  }
  return row[b.size()];
}

}  // namespace

SourceText::SourceText(std::string name, std::string text)
    : name_(std::move(name)), text_(std::move(text)), begins_{0} {
  for (std::size_t at = text_.find('\n'); at != std::string::npos; at = text_.find('\n', at + 1))
    begins_.push_back(at + 1);
}

std::string_view SourceText::line(int number) const {
  if (number < 1 || static_cast<std::size_t>(number) > begins_.size()) return {};
  std::string_view rest =
      std::string_view(text_).substr(begins_[static_cast<std::size_t>(number) - 1]);
  rest = rest.substr(0, rest.find('\n'));
  if (!rest.empty() && rest.back() == '\r') rest.remove_suffix(1);
  return rest;
}

Diagnostics error(std::string message) {
  return error(std::move(message), {});
}

Diagnostics error(std::string message, std::vector<Note> notes) {
  return {Diagnostic{std::nullopt, std::move(message), std::move(notes)}};
}

Diagnostics error_at(SourceSpan where, std::string message, std::vector<Note> notes) {
  return {Diagnostic{std::move(where), std::move(message), std::move(notes)}};
}

StyledText styled(const Diagnostics& diagnostics) {
  StyledText text;
  for (const Diagnostic& diagnostic : diagnostics) {
    append(text, diagnostic.where, "error", Emphasis::bad, diagnostic.message);
    for (const Note& note : diagnostic.notes)
      append(text, note.where, "note", Emphasis::note, note.message);
  }
  return text;
}

std::string format(const Diagnostic& diagnostic) {
  return format(Diagnostics{diagnostic});
}

std::string format(const Diagnostics& diagnostics) {
  return styled(diagnostics).plain();
}

std::optional<std::string> nearest(std::string_view word,
                                   const std::vector<std::string>& candidates) {
  std::optional<std::string> best;
  // A third of the letters may be wrong: beyond that a suggestion misleads.
  std::size_t best_distance = word.size() / 3 + 2;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance >= best_distance || distance >= candidate.size()) continue;
    best_distance = distance;
    best = candidate;
  }
  return best;
}

}  // namespace rehearse
