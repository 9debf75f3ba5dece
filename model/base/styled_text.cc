#include "model/base/styled_text.h"

#include <utility>

#include "model/base/check.h"

namespace rehearse {
namespace {

std::string_view escape(Emphasis emphasis) {
  switch (emphasis) {
    case Emphasis::none:
      return "";
    case Emphasis::strong:
      return "\x1b[1m";
    case Emphasis::good:
      return "\x1b[1;32m";
    case Emphasis::bad:
      return "\x1b[1;31m";
    case Emphasis::note:
      return "\x1b[1;36m";
  }
  REHEARSE_CHECK(false, "no emphasis {}", static_cast<int>(emphasis));
}

constexpr std::string_view kReset = "\x1b[0m";

// Line by line, so that no line feed is inside.
void append_emphasised(std::string& result, std::string_view text, Emphasis emphasis) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (end > 0) {
      result += escape(emphasis);
      result += text.substr(0, end);
      result += kReset;
    }
    if (end < text.size()) result += '\n';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace

StyledText::StyledText(std::string text) : text_(std::move(text)) {}
StyledText::StyledText(const char* text) : text_(text) {}

void StyledText::append(std::string_view text, Emphasis emphasis) {
  if (emphasis != Emphasis::none && !text.empty())
    parts_.push_back({text_.size(), text_.size() + text.size(), emphasis});
  text_ += text;
}

StyledText& StyledText::operator+=(const StyledText& more) {
  const std::size_t offset = text_.size();
  const std::vector<Part> parts = more.parts_;  // `more` may be this text
  text_ += std::string(more.text_);
  for (const Part& part : parts)
    parts_.push_back({part.begin + offset, part.end + offset, part.emphasis});
  return *this;
}

std::string StyledText::coloured() const {
  std::string result;
  std::size_t at = 0;
  for (const Part& part : parts_) {
    result += std::string_view(text_).substr(at, part.begin - at);
    append_emphasised(result, std::string_view(text_).substr(part.begin, part.end - part.begin),
                      part.emphasis);
    at = part.end;
  }
  return result + text_.substr(at);
}

}  // namespace rehearse
