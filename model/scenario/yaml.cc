#include "model/scenario/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>

#include "model/scenario/json.h"
#include "model/scenario/tree_builder.h"

namespace rehearse::yaml {
namespace {

class Builder : public YAML::EventHandler {
 public:
  explicit Builder(std::shared_ptr<const SourceText> source) : source_(std::move(source)) {}

  Document take() { return tree_.take(); }
  SourceSpan span(const YAML::Mark& mark, std::size_t length) const {
    return {source_, mark.line + 1, mark.column + 1,
            static_cast<int>(std::max<std::size_t>(length, 1))};
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0)
      throw Refused{span(mark, 1), "a file holds one document, this begins a second one"};
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    // The library's mark of an empty value is where the next thing stands: what it belongs to is
    // the better place.
    tree_.add_nothing(span(mark, 1));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw Refused{span(mark, 1), "aliases are not supported: write the value out"};
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    refuse_anchor(mark, anchor);
    const bool quoted = tag == "!";
    if (!quoted && tag != "?" && !tag.empty())
      throw Refused{span(mark, 1), "tags are not supported"};
    tree_.add({Kind::scalar, span(mark, length_of(text, quoted)), text, quoted, {}, {}});
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Kind::list);
  }
  void OnSequenceEnd() override { tree_.close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Kind::map);
  }
  void OnMapEnd() override { tree_.close(); }

 private:
  static std::size_t length_of(const std::string& text, bool quoted) {
    return std::min(text.find('\n'), text.size()) + (quoted ? 2 : 0);
  }

  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) const {
    if (anchor != 0) throw Refused{span(mark, 1), "anchors are not supported"};
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Kind kind) {
    refuse_anchor(mark, anchor);
    if (tag != "?" && !tag.empty()) throw Refused{span(mark, 1), "tags are not supported"};
    tree_.open(span(mark, 1), kind);
  }

  std::shared_ptr<const SourceText> source_;
  TreeBuilder tree_;
  int documents_ = 0;
};

}  // namespace

std::string_view describe(Kind kind) {
  switch (kind) {
    case Kind::scalar:
      return "a scalar";
    case Kind::list:
      return "a list";
    case Kind::map:
      return "a map";
    case Kind::empty:
      return "nothing";
  }
  REHEARSE_UNREACHABLE("kind");
}

std::string printable(std::string_view text) {
  constexpr std::size_t kLongest = 60;
  std::string result(text.substr(0, kLongest));
  for (char& c : result)
    c = static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  return text.size() > kLongest ? result + "..." : result;
}

namespace {

void append_text(std::string& text, std::string_view scalar, bool quoted) {
  constexpr std::string_view kOfFlows = ",:[]{}'\"#\n";
  if (!quoted && !scalar.empty() && scalar.find_first_of(kOfFlows) == std::string_view::npos) {
    text += scalar;
    return;
  }
  const char quote = quoted ? '"' : '\'';
  text += quote;
  for (const char c : scalar)
    text.append(c == quote ? 2 : 1, c);
  text += quote;
}

void append(std::string& text, const Value& value) {
  switch (value.kind) {
    case Kind::empty:
      text += '~';
      return;
    case Kind::scalar:
      return append_text(text, value.text, value.quoted);
    case Kind::list:
      text += '[';
      for (const Value& item : value.items) {
        if (&item != value.items.data()) text += ", ";
        append(text, item);
      }
      text += ']';
      return;
    case Kind::map: {
      std::vector<const Entry*> entries;
      for (const Entry& entry : value.entries)
        entries.push_back(&entry);
      std::sort(entries.begin(), entries.end(),
                [](const Entry* a, const Entry* b) { return a->key < b->key; });
      text += '{';
      for (const Entry* entry : entries) {
        if (entry != entries.front()) text += ", ";
        append_text(text, entry->key, false);
        text += ": ";
        append(text, entry->value);
      }
      text += '}';
      return;
    }
  }
}

}  // namespace

std::string print_flow(const Value& value) {
  std::string text;
  append(text, value);
  return text;
}

Result<Document> parse(std::shared_ptr<const SourceText> source) {
  if (is_json(source->name())) return parse_json(std::move(source));
  Builder builder(source);
  try {
    std::istringstream stream(source->text());
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Refused& refused) {
    return error_at(refused.where, refused.message);
  } catch (const YAML::Exception& problem) {
    // Some of the library's errors have no mark: line and column are -1 then.
    const bool placed = problem.mark.line >= 0 && problem.mark.column >= 0;
    return error_at(builder.span(placed ? problem.mark : YAML::Mark(), 1),
                    "not well-formed YAML: " + problem.msg);
  }
  return builder.take();
}

}  // namespace rehearse::yaml
