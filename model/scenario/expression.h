// Conditions on named values, as a sweep's `when` has them: "tensor * pipeline <= 64".
//
//   condition  = both {"or" both}             both = denial {"and" denial}
//   denial     = "not" denial | comparison    comparison = sum [("<=" "<" ">=" ">" "==" "!=") sum]
//   sum        = product {("+" "-") product}  product = signed {("*" "/" "%") signed}
//   signed     = "-" signed | number [unit] | 'text' | name | "true" | "false" | "(" condition ")"
//
// Names are of letters, digits, '_', '.' and a '-' that touches letters or digits on both sides: a
// minus beside a name stands in blanks. Quantities are of one of the kinds that scenarios have;
// they are added to and compared with their like, multiplied by plain numbers, and divided by these
// or their like.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "model/base/diagnostic.h"

namespace rehearse {

enum class Dimension { none, bytes, seconds, bandwidth, flop_rate };
std::string_view describe(Dimension dimension);  // "a plain number", "a bandwidth", ...

struct Number {
  double value = 0;  // in base units: bytes, seconds, bytes/s, FLOP/s
  Dimension dimension = Dimension::none;
  friend bool operator==(const Number&, const Number&) = default;
};
// "400 Gb/s", "5 us", "0.25"; none if the text is no such thing.
std::optional<Number> parse_quantity(std::string_view text);

using ExpressionValue = std::variant<Number, bool, std::string>;

// What the names of an expression stand for: numbers of values that are handed in later.
struct ExpressionNames {
  std::function<std::optional<std::size_t>(std::string_view)> find;
  std::vector<std::string> suggestions;
};

class Expression {
 public:
  // where: the place of the text's first character. Errors: what cannot be parsed, and names that
  // stand for nothing.
  static Result<Expression> parse(std::string_view text, const SourceSpan& where,
                                  const ExpressionNames& names);

  // Whether it holds. Errors: operands that do not go together, a division by zero, or something
  // that neither holds nor does not.
  Result<bool> holds(std::span<const ExpressionValue> values) const;

  struct Node;

 private:
  explicit Expression(std::shared_ptr<const Node> root) : root_(std::move(root)) {}
  std::shared_ptr<const Node> root_;
};

}  // namespace rehearse
