#include "model/plan/text/plan_line.h"

#include <fmt/format.h>

#include <algorithm>

#include "model/base/text.h"

namespace rehearse::plan_text {
namespace {

constexpr std::int64_t kLargestId = 0xFFFFFFFF;

SourceSpan span(const std::shared_ptr<const SourceText>& source, int line, std::size_t begin,
                std::size_t end) {
  return {source, line, static_cast<int>(begin) + 1, static_cast<int>(end - begin)};
}

}  // namespace

Line::Line(std::shared_ptr<const SourceText> source, int number) {
  const std::string_view text = source->line(number);
  const std::string_view content = text.substr(0, text.find('#'));
  end_ = {source, number, static_cast<int>(content.size()) + 1, 1};
  std::size_t at = 0;
  while ((at = content.find_first_not_of(" \t\r", at)) != std::string_view::npos) {
    const std::size_t stop = std::min(content.find_first_of(" \t\r", at), content.size());
    words_.push_back({content.substr(at, stop - at), span(source, number, at, stop)});
    at = stop;
  }
}

Word Line::word(std::string_view what) {
  if (next_ == words_.size())
    throw Malformed{end_, fmt::format("expected {}, got the line's end", what)};
  return words_[next_++];
}

void Line::literal(std::string_view text) {
  const Word got = word(fmt::format("'{}'", text));
  if (got.text != text)
    throw Malformed{got.where, fmt::format("expected '{}', got '{}'", text, got.text)};
}

bool Line::continues_with(std::string_view key) const {
  if (at_end()) return false;
  const std::string_view text = words_[next_].text;
  return text.size() > key.size() && text.substr(0, key.size()) == key && text[key.size()] == '=';
}

Word Line::field(std::string_view key) {
  const bool matches = continues_with(key);
  const Word got = word(fmt::format("'{}='", key));
  if (!matches) throw Malformed{got.where, fmt::format("expected '{}=', got '{}'", key, got.text)};
  return tail(got, key.size() + 1);
}

void Line::finish() const {
  if (at_end()) return;
  throw Malformed{words_[next_].where,
                  fmt::format("expected the line's end, got '{}'", words_[next_].text)};
}

Lines::Lines(const std::string& text, const std::string& name)
    : source_(std::make_shared<SourceText>(name, text)),
      lines_(static_cast<int>(split(source_->text(), '\n').size())) {}

bool Lines::more() {
  while (number_ < lines_ && Line(source_, number_ + 1).empty())
    ++number_;
  return number_ < lines_;
}

Line Lines::next() {
  if (!more()) throw Malformed{{source_, std::max(lines_, 1), 1, 0}, "the plan ends too early"};
  return Line(source_, ++number_);
}

Word tail(const Word& word, std::size_t from) {
  return part(word, from, word.text.size() - from);
}

Word part(const Word& word, std::size_t from, std::size_t length) {
  Word result{word.text.substr(from, length), word.where};
  result.where.column += static_cast<int>(from);
  result.where.length = std::max(1, static_cast<int>(length));
  return result;
}

void expected(std::string_view what, const Word& got) {
  throw Malformed{got.where, fmt::format("expected {}, got '{}'", what, got.text)};
}

std::int64_t integer(const Word& word) {
  const auto number = parse_integer(word.text);
  if (!number || *number < 0) expected("a number", word);
  return *number;
}

double real(const Word& word) {
  const auto number = parse_number(word.text);
  if (!number) expected("a number", word);
  return *number;
}

std::int64_t id_number(const Word& word) {
  const std::int64_t number = integer(word);
  if (number > kLargestId) expected("an id", word);
  return number;
}

std::vector<Word> items(const Word& word) {
  std::vector<Word> result;
  if (word.text == "-") return result;
  if (word.text.empty()) expected("a list, or - for none", word);
  std::size_t at = 0;
  for (const std::string_view text : split(word.text, ',')) {
    result.push_back(part(word, at, text.size()));
    at += text.size() + 1;
  }
  return result;
}

std::pair<Word, Word> range(const Word& word) {
  const std::size_t dots = word.text.find("..");
  if (dots == std::string_view::npos) expected("a range such as 0..4", word);
  return {part(word, 0, dots), tail(word, dots + 2)};
}

}  // namespace rehearse::plan_text
