// The `sweep` of a scenario file: which of its values are varied, and how.
#pragma once

#include <string>
#include <vector>

#include "model/scenario/expression.h"
#include "model/scenario/yaml.h"

namespace rehearse {

// A place in the file's tree: keys and, in lists, numbers or names of items, joined by dots
// ("strategies.pipe.pipeline.stages").
struct SweptPath {
  std::string text;
  std::vector<std::size_t> steps;  // entries of maps and items of lists, from the root
  SourceSpan where;                // in the sweep
};

// What gets one value after the other: one place, or several that always have the same value.
struct SweptColumn {
  std::string name;  // of the results' column, and in conditions
  std::vector<SweptPath> paths;
  std::vector<yaml::Value> values;  // each is located where the sweep says it
};

// Columns that move together; all have equally many values, one or more.
struct SweptAxis {
  std::vector<SweptColumn> columns;
  std::size_t size() const { return columns.front().values.size(); }
};

// All conditions have to hold. Their names are, in this order, the columns and the constants:
// values of the file that conditions name by their path.
struct Sweep {
  std::vector<SweptAxis> axes;  // in the order in which they are written: the last one moves first
  std::vector<Expression> conditions;
  std::vector<ExpressionValue> constants;

  std::vector<const SweptColumn*> columns() const;
};

// A scalar as conditions see it; any other value is the text it prints as.
ExpressionValue expression_value(const yaml::Value& value);

// The value at a path that was found in this tree, or in another one of the same shape.
const yaml::Value& value_at(const yaml::Value& root, const std::vector<std::size_t>& steps);
yaml::Value& value_at(yaml::Value& root, const std::vector<std::size_t>& steps);

}  // namespace rehearse
