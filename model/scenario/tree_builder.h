// A tree of values, built from the events of a parser: of YAML or of JSON.
#pragma once

#include <string>
#include <vector>

#include "model/scenario/yaml.h"

namespace rehearse::yaml {

// What the builder refuses, wherever it stands; ends the parse.
struct Refused {
  SourceSpan where;
  std::string message;
};

class TreeBuilder {
 public:
  // A list or a map begins or ends. Throws Refused where they nest too deeply.
  void open(SourceSpan where, Kind kind);
  void close();
  // The next key, item or value. Throws Refused for what can be no key.
  void add(Value value);
  // Nothing, where a value could be: it stands where what it belongs to does, or else here.
  void add_nothing(const SourceSpan& here);

  Document take() { return {std::move(root_), std::move(duplicates_)}; }

 private:
  struct Open {
    Value value;
    bool has_key = false;  // of a map: a key that waits for its value
    Entry entry;
  };

  void take_key(Open& level, Value key);

  Value root_;
  std::vector<Open> open_;
  Diagnostics duplicates_;
};

}  // namespace rehearse::yaml
