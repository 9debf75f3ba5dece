#include "model/scenario/expression.h"

#include <cmath>

#include "model/base/text.h"
#include "model/scenario/expression_node.h"

namespace rehearse {
namespace {

using Node = Expression::Node;

// Thrown inside this file only.
struct Wrong {
  SourceSpan where;
  std::string message;
};

std::string describe(const ExpressionValue& operand) {
  if (const auto* number = std::get_if<Number>(&operand))
    return std::string(rehearse::describe(number->dimension));
  return std::holds_alternative<bool>(operand) ? "true or false" : "a text";
}

const Number& number_of(const Node& node, const ExpressionValue& operand) {
  if (const auto* number = std::get_if<Number>(&operand)) return *number;
  throw Wrong{node.where,
              fmt::format("'{}' needs numbers, got {}", node.symbol, describe(operand))};
}

bool truth_of(const Node& node, const ExpressionValue& operand) {
  if (const bool* truth = std::get_if<bool>(&operand)) return *truth;
  throw Wrong{node.where, fmt::format("expected a condition, which holds or does not, got {}",
                                      describe(operand))};
}

[[noreturn]] void unlike(const Node& node, const ExpressionValue& a, const ExpressionValue& b) {
  throw Wrong{node.where,
              fmt::format("'{}' between {} and {}", node.symbol, describe(a), describe(b))};
}

Number alike(const Node& node, const Number& a, const Number& b, double value) {
  if (a.dimension != b.dimension) unlike(node, a, b);
  return {value, a.dimension};
}

Number product(const Node& node, const Number& a, const Number& b) {
  if (a.dimension != Dimension::none && b.dimension != Dimension::none) unlike(node, a, b);
  return {a.value * b.value, a.dimension == Dimension::none ? b.dimension : a.dimension};
}

Number quotient(const Node& node, const Number& a, const Number& b) {
  if (b.value == 0) throw Wrong{node.where, fmt::format("'{}' by zero", node.symbol)};
  if (node.symbol == "%") return alike(node, a, b, std::fmod(a.value, b.value));
  if (a.dimension == b.dimension) return {a.value / b.value, Dimension::none};
  if (b.dimension != Dimension::none) unlike(node, a, b);
  return {a.value / b.value, a.dimension};
}

Number calculate(const Node& node, const Number& a, const Number& b) {
  switch (node.symbol.front()) {
    case '+':
      return alike(node, a, b, a.value + b.value);
    case '-':
      return alike(node, a, b, a.value - b.value);
    case '*':
      return product(node, a, b);
    default:
      return quotient(node, a, b);
  }
}

bool compare(const Node& node, const ExpressionValue& a, const ExpressionValue& b) {
  if (a.index() != b.index()) unlike(node, a, b);
  if (node.symbol == "==" || node.symbol == "!=") {
    const auto *x = std::get_if<Number>(&a), *y = std::get_if<Number>(&b);
    if (x != nullptr && x->dimension != y->dimension) unlike(node, a, b);
    return (a == b) == (node.symbol == "==");
  }
  const Number &x = number_of(node, a), &y = number_of(node, b);
  if (x.dimension != y.dimension) unlike(node, a, b);
  if (node.symbol == "<") return x.value < y.value;
  if (node.symbol == "<=") return x.value <= y.value;
  if (node.symbol == ">") return x.value > y.value;
  return x.value >= y.value;
}

ExpressionValue evaluate(const Node& node, std::span<const ExpressionValue> values) {
  const auto of = [&](std::size_t part) { return evaluate(node.parts[part], values); };
  switch (node.kind) {
    case NodeKind::constant:
      return node.constant;
    case NodeKind::variable:
      return values[node.variable];
    case NodeKind::negation: {
      const ExpressionValue operand = of(0);
      const Number& number = number_of(node, operand);
      return Number{-number.value, number.dimension};
    }
    case NodeKind::denial:
      return !truth_of(node.parts[0], of(0));
    case NodeKind::both:
      return truth_of(node.parts[0], of(0)) && truth_of(node.parts[1], of(1));
    case NodeKind::either:
      return truth_of(node.parts[0], of(0)) || truth_of(node.parts[1], of(1));
    case NodeKind::comparison:
      return compare(node, of(0), of(1));
    case NodeKind::arithmetic: {
      const ExpressionValue a = of(0), b = of(1);
      return calculate(node, number_of(node, a), number_of(node, b));
    }
  }
  REHEARSE_UNREACHABLE("node");
}

}  // namespace

std::string_view describe(Dimension dimension) {
  switch (dimension) {
    case Dimension::none:
      return "a plain number";
    case Dimension::bytes:
      return "an amount of bytes";
    case Dimension::seconds:
      return "a time";
    case Dimension::bandwidth:
      return "a bandwidth";
    case Dimension::flop_rate:
      return "a rate of FLOPs";
  }
  REHEARSE_UNREACHABLE("dimension");
}

std::optional<Number> parse_quantity(std::string_view text) {
  if (const auto plain = parse_number(text)) return Number{*plain, Dimension::none};
  if (const auto bytes = parse_bytes(text))
    return Number{static_cast<double>(bytes->bytes()), Dimension::bytes};
  if (const auto time = parse_seconds(text)) return Number{time->seconds(), Dimension::seconds};
  if (const auto rate = parse_bandwidth(text))
    return Number{rate->bytes_per_second(), Dimension::bandwidth};
  if (const auto rate = parse_flop_rate(text))
    return Number{rate->flops_per_second(), Dimension::flop_rate};
  return std::nullopt;
}

Result<Expression> Expression::parse(std::string_view text, const SourceSpan& where,
                                     const ExpressionNames& names) {
  Result<Node> root = parse_condition(text, where, names);
  if (!root) return root.errors();
  return Expression(std::make_shared<const Node>(*std::move(root)));
}

Result<bool> Expression::holds(std::span<const ExpressionValue> values) const {
  try {
    return truth_of(*root_, evaluate(*root_, values));
  } catch (const Wrong& wrong) {
    return error_at(wrong.where, wrong.message);
  }
}

}  // namespace rehearse
