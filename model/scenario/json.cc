#include "model/scenario/json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "model/scenario/tree_builder.h"

namespace rehearse::yaml {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kBetweenTokens = " \t\r\n,:";

// The library checks the text and tells what comes, but not where it stands. All that it has told
// of is known to be JSON, so that walking over that text again needs no checks.
class Places {
 public:
  explicit Places(std::shared_ptr<const SourceText> source)
      : source_(std::move(source)), text_(source_->text()) {
    if (text_.starts_with(kByteOrderMark)) at_ = line_begin_ = kByteOrderMark.size();
  }

  // The next token, which is walked over.
  SourceSpan take() {
    walk_to(next());
    const std::size_t begin = at_, end = end_of_token(begin);
    const SourceSpan where{source_, line_, static_cast<int>(begin - line_begin_) + 1,
                           static_cast<int>(end - begin)};
    at_ = end;  // no token has lines
    return where;
  }
  std::string_view text_of(const SourceSpan& where) const {
    return text_.substr(at_ - static_cast<std::size_t>(where.length),
                        static_cast<std::size_t>(where.length));
  }
  // Of the text that ends with the first character that is wrong.
  SourceSpan wrong(std::size_t characters) {
    return character(std::min(next(), std::max(characters, at_ + 1) - 1));
  }
  // What is there already is walked over.
  SourceSpan character(std::size_t place) {
    walk_to(place);
    if (at_ == text_.size()) step_back();
    return {source_, line_, static_cast<int>(at_ - line_begin_) + 1, 1};
  }

 private:
  std::size_t next() const {
    return std::min(text_.find_first_not_of(kBetweenTokens, at_), text_.size());
  }

  void walk_to(std::size_t place) {
    for (; at_ < place; ++at_) {
      if (text_[at_] != '\n') continue;
      ++line_;
      line_begin_ = at_ + 1;
    }
  }

  // From the end of the text onto the last thing that it has.
  void step_back() {
    const std::size_t last = text_.find_last_not_of(" \t\r\n");
    if (last == std::string_view::npos) return;
    const auto lines =
        std::count(text_.begin() + static_cast<std::ptrdiff_t>(last), text_.end(), '\n');
    line_ -= static_cast<int>(lines);
    const std::size_t feed = text_.rfind('\n', last);
    if (lines > 0) line_begin_ = feed == std::string_view::npos ? 0 : feed + 1;
    at_ = last;
  }

  std::size_t end_of_token(std::size_t begin) const {
    if (text_[begin] == '"') {
      std::size_t end = begin + 1;
      while (text_[end] != '"')
        end += text_[end] == '\\' ? 2 : 1;
      return end + 1;
    }
    constexpr std::string_view kBrackets = "[]{}", kBehind = " \t\r\n,:[]{}\"",
                               kDigits = "0123456789";
    if (kBrackets.find(text_[begin]) != std::string_view::npos) return begin + 1;
    const std::size_t first = begin + (text_[begin] == '-' ? 1 : 0);
    const bool is_zero = text_.substr(first, 1) == "0";
    if (is_zero && text_.find_first_of(kDigits, first + 1) == first + 1) return first + 1;
    return std::min(text_.find_first_of(kBehind, begin), text_.size());
  }

  std::shared_ptr<const SourceText> source_;
  std::string_view text_;
  std::size_t at_ = 0, line_begin_ = 0;
  int line_ = 1;
};

// "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while parsing
// value - unexpected '}'; last read: '[}'; expected ..." without place and what was read.
std::string said(std::string_view message) {
  constexpr std::string_view kPlace = "parse error at ", kRead = "; last read: '";
  if (const auto end = message.find("] "); end != std::string_view::npos)
    message.remove_prefix(end + 2);
  if (const auto end = message.find(": "); message.starts_with(kPlace) && end < message.size())
    message.remove_prefix(end + 2);
  std::string text(message);
  const auto from = text.find(kRead);
  if (from == std::string::npos) return text;
  const auto to = text.find("'; expected ", from + kRead.size());
  text.erase(from, to == std::string::npos ? to : to + 1 - from);
  return text;
}

// The library's handler of events.
class Events {
 public:
  explicit Events(std::shared_ptr<const SourceText> source) : places_(std::move(source)) {}
  TreeBuilder& builder() { return builder_; }

  bool null() {
    builder_.add_nothing(places_.take());
    return true;
  }
  bool boolean(bool) { return plain(); }
  bool number_integer(Json::number_integer_t) { return plain(); }
  bool number_unsigned(Json::number_unsigned_t) { return plain(); }
  bool number_float(Json::number_float_t, const Json::string_t&) { return plain(); }
  bool string(Json::string_t& text) { return quoted(text); }
  bool key(Json::string_t& text) { return quoted(text); }
  bool binary(Json::binary_t&) { REHEARSE_UNREACHABLE("bytes in a text"); }
  bool start_object(std::size_t) { return open(Kind::map); }
  bool start_array(std::size_t) { return open(Kind::list); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool parse_error(std::size_t characters, const std::string&, const Json::exception& problem) {
    throw Refused{places_.wrong(characters), "not well-formed JSON: " + said(problem.what())};
  }

 private:
  // As it is written: no digit is lost.
  bool plain() {
    SourceSpan where = places_.take();
    std::string text(places_.text_of(where));
    builder_.add({Kind::scalar, std::move(where), std::move(text), false, {}, {}});
    return true;
  }
  bool quoted(const std::string& text) {
    builder_.add({Kind::scalar, places_.take(), text, true, {}, {}});
    return true;
  }
  bool open(Kind kind) {
    builder_.open(places_.take(), kind);
    return true;
  }
  bool close() {
    places_.take();
    builder_.close();
    return true;
  }

  Places places_;
  TreeBuilder builder_;
};

}  // namespace

bool is_json(std::string_view path) {
  return path.ends_with(".json");
}

Result<Document> parse_json(std::shared_ptr<const SourceText> source) {
  // The library takes it for the text's end.
  const auto zero = source->text().find('\0');
  if (zero != std::string::npos)
    return error_at(Places(source).character(zero),
                    "not well-formed JSON: a character that is no text (0)");
  Events events(source);
  try {
    Json::sax_parse(source->text(), &events);
  } catch (const Refused& refused) {
    return error_at(refused.where, refused.message);
  }
  return events.builder().take();
}

}  // namespace rehearse::yaml
