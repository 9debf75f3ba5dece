// Text whose parts stand out on a terminal, and are plain everywhere else.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace rehearse {

struct Diagnostic;

enum class Emphasis { none, strong, good, bad, note };

class StyledText {
 public:
  StyledText() = default;
  // Implicit on purpose: most parts of a text have no emphasis.
  StyledText(std::string text);
  StyledText(const char* text);

  void append(std::string_view text, Emphasis emphasis = Emphasis::none);
  StyledText& operator+=(const StyledText& more);
  friend StyledText operator+(StyledText a, const StyledText& b) { return a += b; }

  const std::string& plain() const { return text_; }
  bool empty() const { return text_.empty(); }
  // With the escape sequences of ECMA-48 (SGR) around parts that stand out; each ends before a line
  // feed, so that a pager may show any line by itself.
  std::string coloured() const;

 private:
  struct Part {
    std::size_t begin, end;  // of text_
    Emphasis emphasis;
  };
  std::string text_;
  std::vector<Part> parts_;  // those that stand out, in order, apart
};

// What format(diagnostics) says: places, "error:" and "note:" and the carets stand out.
StyledText styled(const std::vector<Diagnostic>& diagnostics);

}  // namespace rehearse
