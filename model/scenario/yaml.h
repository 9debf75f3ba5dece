// YAML as a tree in which everything knows where it stands.
//
// Built from yaml-cpp's events, not its nodes: those lose duplicate keys and the places of empty
// values. Anchors, aliases, merge keys, tags and several documents are refused: a scenario says
// what it means in one place.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/base/diagnostic.h"

namespace rehearse::yaml {

enum class Kind { scalar, list, map, empty };
std::string_view describe(Kind kind);  // "a scalar", "a list", "a map", "nothing"

struct Entry;

struct Value {
  Kind kind = Kind::empty;
  SourceSpan where;
  std::string text;  // of a scalar
  bool quoted = false;
  std::vector<Value> items;    // of a list
  std::vector<Entry> entries;  // of a map, in the order they are written
};

struct Entry {
  std::string key;
  SourceSpan key_where;
  Value value;
};

// As messages quote it: on one line, and not without end.
std::string printable(std::string_view text);

// On one line, with the keys of maps sorted: trees of the same values print the same, others do
// not.
std::string print_flow(const Value& value);

struct Document {
  Value root;
  Diagnostics duplicates;  // every key that a map has twice; the first one counts
};

// A file whose name ends in ".json" is JSON, and no more than that (model/scenario/json.h).
// Errors: what is not well-formed, or refused; there is no tree then.
Result<Document> parse(std::shared_ptr<const SourceText> source);

}  // namespace rehearse::yaml
