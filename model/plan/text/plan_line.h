// The lines of a plan's text, field by field.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/base/diagnostic.h"

namespace rehearse::plan_text {

// Thrown where the first malformed field of a line is met; parse_plan catches it.
struct Malformed {
  SourceSpan where;
  std::string message;
};

struct Word {
  std::string_view text;
  SourceSpan where;
};

// The fields of one line, read from left to right.
class Line {
 public:
  Line(std::shared_ptr<const SourceText> source, int number);

  bool empty() const { return words_.empty(); }
  bool at_end() const { return next_ == words_.size(); }
  std::string_view keyword() const { return words_.front().text; }

  Word word(std::string_view what);
  void literal(std::string_view text);
  // Whether the next word is `key=...`.
  bool continues_with(std::string_view key) const;
  // The value of `key=value`.
  Word field(std::string_view key);
  void finish() const;

 private:
  std::vector<Word> words_;
  std::size_t next_ = 0;
  SourceSpan end_;
};

// The lines of a text on which anything stands.
class Lines {
 public:
  Lines(const std::string& text, const std::string& name);

  bool more();
  Line next();
  int number() const { return number_; }  // of the line read last, from 1
  const std::shared_ptr<const SourceText>& source() const { return source_; }

 private:
  std::shared_ptr<const SourceText> source_;
  int lines_ = 0;
  int number_ = 0;
};

// Parts of a word; they know their places.
Word tail(const Word& word, std::size_t from);
Word part(const Word& word, std::size_t from, std::size_t length);

// ---- values ----------------------------------------------------------------------------------

[[noreturn]] void expected(std::string_view what, const Word& got);
std::int64_t integer(const Word& word);  // not below 0
double real(const Word& word);
std::int64_t id_number(const Word& word);
std::vector<Word> items(const Word& word);      // "a,b,c", or "-" for none
std::pair<Word, Word> range(const Word& word);  // "a..b"

template <class T>
T id(const Word& word) {
  return T(id_number(word));
}

template <class T>
std::vector<T> ids(const Word& word) {
  std::vector<T> result;
  for (const Word& item : items(word))
    result.push_back(id<T>(item));
  return result;
}

// The enumerator with this name; all of them are tried, so that there is no second list of names.
template <class Enum>
Enum named(const Word& word, std::string_view what, Enum last) {
  for (int k = 0; k <= static_cast<int>(last); ++k) {
    if (to_string(static_cast<Enum>(k)) == word.text) return static_cast<Enum>(k);
  }
  expected(what, word);
}

}  // namespace rehearse::plan_text
