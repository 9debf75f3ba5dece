#include "model/scenario/tree_builder.h"

#include <algorithm>
#include <utility>

namespace rehearse::yaml {
namespace {

constexpr std::size_t kDeepest = 64;  // the reader recurses; no scenario nests like that

}  // namespace

void TreeBuilder::open(SourceSpan where, Kind kind) {
  if (open_.size() == kDeepest) throw Refused{where, "nested too deeply"};
  Open level;
  level.value.kind = kind;
  level.value.where = std::move(where);
  open_.push_back(std::move(level));
}

void TreeBuilder::close() {
  Value value = std::move(open_.back().value);
  open_.pop_back();
  add(std::move(value));
}

void TreeBuilder::add(Value value) {
  if (open_.empty()) {
    root_ = std::move(value);
    return;
  }
  Open& level = open_.back();
  if (level.value.kind == Kind::list) {
    level.value.items.push_back(std::move(value));
  } else if (!level.has_key) {
    take_key(level, std::move(value));
  } else {
    level.entry.value = std::move(value);
    level.has_key = false;
    level.value.entries.push_back(std::move(level.entry));
  }
}

void TreeBuilder::add_nothing(const SourceSpan& here) {
  Value value;
  value.where = here;
  if (!open_.empty()) {
    const Open& level = open_.back();
    value.where = level.has_key ? level.entry.key_where : level.value.where;
  }
  add(std::move(value));
}

void TreeBuilder::take_key(Open& level, Value key) {
  if (key.kind != Kind::scalar) throw Refused{key.where, "a key is a plain word"};
  if (key.text == "<<" && !key.quoted) throw Refused{key.where, "merge keys are not supported"};
  const auto& entries = level.value.entries;
  const auto first = std::find_if(entries.begin(), entries.end(),
                                  [&](const Entry& known) { return known.key == key.text; });
  if (first != entries.end()) {
    duplicates_.push_back({key.where,
                           fmt::format("duplicate key '{}'", printable(key.text)),
                           {{first->key_where, "first here"}}});
  }
  level.entry = {key.text, key.where, {}};
  level.has_key = true;
}

}  // namespace rehearse::yaml
