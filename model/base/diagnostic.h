// What users, files and machines get wrong, as values.
//
// A Diagnostic is an error with a place (file:line:column), the line it is about, and notes that
// point at the other end. Result<T> is either a T or the diagnostics that prevented it. Formatted:
//
//   scenarios/h100.yaml:14:18: error: expected a bandwidth such as '400 Gb/s', got '400'
//      14 |       bandwidth: 400
//         |                  ^~~
//   scenarios/h100.yaml:3:1: note: ...
//
// Messages are lower case, without a final period, and give both numbers of a comparison.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "model/base/check.h"

namespace rehearse {

// A text that was read: diagnostics quote its lines.
class SourceText {
 public:
  // name: the path as the user gave it.
  SourceText(std::string name, std::string text);
  const std::string& name() const { return name_; }
  const std::string& text() const { return text_; }
  // The line (from 1) without its end; empty beyond the last one. O(1).
  std::string_view line(int number) const;

 private:
  std::string name_;
  std::string text_;
  std::vector<std::size_t> begins_;  // of the lines
};

// A place in a text; line and column count from 1, length in bytes (0: no caret line).
struct SourceSpan {
  std::shared_ptr<const SourceText> source;
  int line = 1;
  int column = 1;
  int length = 1;
};

struct Note {
  std::optional<SourceSpan> where;
  std::string message;
};

struct Diagnostic {
  std::optional<SourceSpan> where;
  std::string message;
  std::vector<Note> notes;
};

using Diagnostics = std::vector<Diagnostic>;

// An error about no particular place in a file.
Diagnostics error(std::string message);
Diagnostics error(std::string message, std::vector<Note> notes);
// An error at a place.
Diagnostics error_at(SourceSpan where, std::string message, std::vector<Note> notes = {});

// The text people see, one line feed after each line; no colour.
std::string format(const Diagnostic& diagnostic);
std::string format(const Diagnostics& diagnostics);

// "name1" if one of the candidates is near enough to the word to be worth suggesting.
std::optional<std::string> nearest(std::string_view word,
                                   const std::vector<std::string>& candidates);

// A value, or the non-empty list of errors that prevented it.
template <class T>
class [[nodiscard]] Result {
 public:
  // Implicit on purpose: `return value;` and `return error(...);` both read as what they mean.
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Diagnostics errors) : state_(std::in_place_index<1>, std::move(errors)) {
    REHEARSE_CHECK(!std::get<1>(state_).empty(), "a failed result needs at least one error");
  }

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  const T& value() const& { return checked(), std::get<0>(state_); }
  T& value() & { return checked(), std::get<0>(state_); }
  T&& value() && { return checked(), std::get<0>(std::move(state_)); }
  const T& operator*() const& { return value(); }
  T& operator*() & { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  const T* operator->() const { return &value(); }
  T* operator->() { return &value(); }

  const Diagnostics& errors() const {
    REHEARSE_CHECK(!ok(), "a successful result has no errors");
    return std::get<1>(state_);
  }

 private:
  void checked() const {
    REHEARSE_CHECK(ok(), "value of a failed result:\n{}", format(std::get<1>(state_)));
  }
  std::variant<T, Diagnostics> state_;
};

// Success without a value, or errors.
struct Nothing {};
using Status = Result<Nothing>;
inline Status success() {
  return Nothing{};
}

}  // namespace rehearse
