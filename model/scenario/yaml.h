// YAML as a tree in which everything knows where it stands.
//
// Built from yaml-cpp's events, not its nodes: those lose duplicate keys and the places of empty
// values. Anchors, aliases, merge keys, tags and several documents are refused: a scenario says what
// it means in one place.
#pragma once

#include <string>
#include <vector>

#include "model/base/diagnostic.h"

namespace rehearse::yaml {

enum class Kind { scalar, list, map, empty };
std::string_view describe(Kind kind);  // "a scalar", "a list", "a map", "nothing"

struct Entry;

struct Value {
  Kind kind = Kind::empty;
  SourceSpan where;
  std::string text;           // of a scalar
  bool quoted = false;
  std::vector<Value> items;   // of a list
  std::vector<Entry> entries; // of a map, in the order they are written; keys are unique
};

struct Entry {
  std::string key;
  SourceSpan key_where;
  Value value;
};

// Errors: what the YAML is not well-formed in, what is refused, and every duplicate key.
Result<Value> parse(std::shared_ptr<const SourceText> source);

}  // namespace rehearse::yaml
