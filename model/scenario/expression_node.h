// The tree of an expression, between its parser and its evaluation.
#pragma once

#include "model/scenario/expression.h"

namespace rehearse {

enum class NodeKind {
  constant,
  variable,
  negation,  // of a number
  denial,    // of a condition
  both,
  either,
  comparison,  // the symbol says which
  arithmetic,  // so it does here
};

struct Expression::Node {
  NodeKind kind = NodeKind::constant;
  std::string symbol;  // as it is written
  SourceSpan where;    // of the symbol
  ExpressionValue constant = false;
  std::size_t variable = 0;
  std::vector<Node> parts = {};  // two; one of a negation and a denial
};

// As Expression::parse().
Result<Expression::Node> parse_condition(std::string_view text, const SourceSpan& where,
                                         const ExpressionNames& names);

}  // namespace rehearse
