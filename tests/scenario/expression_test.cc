// Conditions: what they mean, by hand and beside another way of working them out, and what is said
// about those that mean nothing.
#include "model/scenario/expression.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>

namespace rehearse {
namespace {

const std::map<std::string, ExpressionValue> kValues = {
    {"a", Number{6, Dimension::none}},
    {"b", Number{4, Dimension::none}},
    {"strategies.zb-h1.tensor", Number{8, Dimension::none}},
    {"rate", Number{12.5e9, Dimension::bandwidth}},
    {"size", Number{1048576, Dimension::bytes}},
    {"kind", std::string("1f1b")},
    {"on", true}};

SourceSpan place(const std::string& text) {
  return {std::make_shared<SourceText>("file", text), 1, 1, 1};
}

Result<bool> holds(const std::string& text) {
  ExpressionNames names;
  std::vector<ExpressionValue> values;
  for (const auto& [name, value] : kValues) {
    names.suggestions.push_back(name);
    values.push_back(value);
  }
  names.find = [&](std::string_view name) -> std::optional<std::size_t> {
    const auto found = kValues.find(std::string(name));
    if (found == kValues.end()) return std::nullopt;
    return static_cast<std::size_t>(std::distance(kValues.begin(), found));
  };
  const Result<Expression> expression = Expression::parse(text, place(text), names);
  if (!expression) return expression.errors();
  return expression->holds(values);
}

TEST(Expression, HoldsOrNot) {
  const std::map<std::string, bool> cases = {
      {"a * b <= 24", true},
      {"a * b < 24", false},
      {"a - b == 2", true},
      {"a -b == 2", true},  // the minus touches one name only
      {"2 + 3 * 4 == 14", true},
      {"(2 + 3) * 4 == 20", true},
      {"a - 2 - 3 == 1", true},
      {"64 / 8 / 2 == 4", true},
      {"a % b == 2", true},
      {"-a + 7 == 1", true},
      {"--a == 6", true},
      {"1e2 == 100 and 1.5e-1 == 0.15 and 2E+1 == 20", true},
      {"not a == 6 or b == 4", true},
      {"not (a == 6 or b == 4)", false},
      {"on", true},
      {"not on or false", false},
      {"a == 1 and b == 4 or on", true},  // 'and' binds closer
      {"on or a == 1 and b == 1", true},
      {"strategies.zb-h1.tensor == 8", true},
      {"kind == '1f1b'", true},
      {"kind != 'gpipe'", true},
      {"rate >= 100 Gb/s", true},
      {"rate > 100Gb/s", false},
      {"rate / 2 == 50 Gb/s", true},
      {"2 * rate == 25 GB/s", true},
      {"rate / 100 Gb/s == 1", true},
      {"size == 1 MiB and size + 1 KiB == 1025 KiB", true},
      {"5 us < 1 ms", true},
      {"312 TFLOP/s > 1 GFLOP/s", true},
  };
  for (const auto& [text, expected] : cases) {
    const Result<bool> result = holds(text);
    ASSERT_TRUE(result.ok()) << text << "\n" << format(result.errors());
    EXPECT_EQ(*result, expected) << text;
  }
}

TEST(Expression, IsNotEvaluatedBeyondWhatDecides) {
  EXPECT_FALSE(*holds("a == 1 and 1 / 0 == 1"));
  EXPECT_TRUE(*holds("a == 6 or 1 / 0 == 1"));
}

TEST(Expression, SaysWhatIsWrongWhere) {
  const std::vector<std::tuple<std::string, int, std::string>> cases = {
      {"", 1, "expected a value, and here it ends"},
      {"a <=", 5, "expected a value, and here it ends"},
      {"a = 6", 3, "equality is '=='"},
      {"a <= b <= 8", 8, "comparisons are joined by 'and': a <= b and b <= c"},
      {"(a == 6", 1, "this bracket is not closed"},
      {"a == 6)", 7, "expected an operator or the end, got ')'"},
      {"a b", 3, "expected an operator or the end, got 'b'"},
      {"kind == 'x", 9, "this quote is not closed"},
      {"a & b", 3, "'&' means nothing here"},
      {"rite > 1 Gb/s", 1, "there is no 'rite' here; did you mean 'rate'?"},
      {"a-b == 2", 1,
       "there is no 'a-b' here; there are a, b, kind, on, rate, size, strategies.zb-h1.tensor; a "
       "text stands in quotes"},
      {"rate > 4 Gbs", 8,
       "'4 Gbs' is neither a number nor a quantity such as '400 Gb/s', '80 GiB' or '5 us'"},
      {"and", 1, "expected a value, got 'and'"},
      {"a", 1, "expected a condition, which holds or does not, got a plain number"},
      {"8 and on", 1, "expected a condition, which holds or does not, got a plain number"},
      {"a + on == 2", 3, "'+' needs numbers, got true or false"},
      {"-kind == 2", 1, "'-' needs numbers, got a text"},
      {"rate > 5", 6, "'>' between a bandwidth and a plain number"},
      {"rate == size", 6, "'==' between a bandwidth and an amount of bytes"},
      {"rate * size == 5", 6, "'*' between a bandwidth and an amount of bytes"},
      {"a / rate == 5", 3, "'/' between a plain number and a bandwidth"},
      {"kind == 5", 6, "'==' between a text and a plain number"},
      {"kind < 'x'", 6, "'<' needs numbers, got a text"},
      {"a / (b - 4) == 1", 3, "'/' by zero"},
      {"a % 0 == 1", 3, "'%' by zero"},
  };
  for (const auto& [text, column, message] : cases) {
    const Result<bool> result = holds(text);
    ASSERT_FALSE(result.ok()) << text;
    EXPECT_EQ(result.errors().front().message, message) << text;
    EXPECT_EQ(result.errors().front().where->column, column) << text;
  }
}

TEST(Expression, IsNotNestedWithoutEnd) {
  const std::string deep = std::string(60, '(') + "on" + std::string(60, ')');
  EXPECT_TRUE(*holds(deep));
  const Result<bool> deeper = holds(std::string(10'000, '(') + "on");
  ASSERT_FALSE(deeper.ok());
  EXPECT_EQ(deeper.errors().front().message, "nested too deeply");
}

// Expressions and their values, made together: the value never goes through the parser.
class Maker {
 public:
  explicit Maker(std::uint64_t seed) : random_(seed) {}

  std::pair<std::string, double> number(int depth) {
    if (depth == 0 || below(4) == 0) {
      const std::int64_t n = static_cast<std::int64_t>(below(20));
      if (below(3) == 0) return {"a", 6};
      return {std::to_string(n), static_cast<double>(n)};
    }
    const auto [left, x] = number(depth - 1);
    const auto [right, y] = number(depth - 1);
    switch (below(4)) {
      case 0:
        return {"(" + left + " + " + right + ")", x + y};
      case 1:
        return {"(" + left + " - " + right + ")", x - y};
      case 2:
        return {"(" + left + " * " + right + ")", x * y};
      default:
        return {"(-" + left + ")", -x};
    }
  }

  std::pair<std::string, bool> condition(int depth) {
    if (depth == 0) {
      const auto [left, x] = number(3);
      const auto [right, y] = number(3);
      switch (below(6)) {
        case 0:
          return {left + " < " + right, x < y};
        case 1:
          return {left + " <= " + right, x <= y};
        case 2:
          return {left + " > " + right, x > y};
        case 3:
          return {left + " >= " + right, x >= y};
        case 4:
          return {left + " == " + right, x == y};
        default:
          return {left + " != " + right, x != y};
      }
    }
    const auto [left, x] = condition(depth - 1);
    const auto [right, y] = condition(depth - 1);
    switch (below(3)) {
      case 0:
        return {"(" + left + ") and (" + right + ")", x && y};
      case 1:
        return {"(" + left + ") or (" + right + ")", x || y};
      default:
        return {"not (" + left + ")", !x};
    }
  }

 private:
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  std::mt19937_64 random_;
};

TEST(Expression, MeansWhatItWasMadeToMean) {
  Maker maker(7);
  int held = 0;
  for (int i = 0; i < 2000; ++i) {
    const auto [text, expected] = maker.condition(i % 4);
    const Result<bool> result = holds(text);
    ASSERT_TRUE(result.ok()) << text << "\n" << format(result.errors());
    EXPECT_EQ(*result, expected) << text;
    held += expected ? 1 : 0;
  }
  EXPECT_GT(held, 500);
  EXPECT_LT(held, 1500);
}

// Without brackets: sums of signed products, worked out from left to right here.
TEST(Expression, BindsProductsCloserThanSums) {
  std::mt19937_64 random(11);
  for (int i = 0; i < 500; ++i) {
    std::string text;
    double sum = 0;
    for (std::uint64_t terms = 1 + random() % 5; terms > 0; --terms) {
      const bool minus = !text.empty() && random() % 2 == 0;
      double product = 1;
      std::string term;
      for (std::uint64_t factors = 1 + random() % 4; factors > 0; --factors) {
        const auto n = static_cast<std::int64_t>(random() % 9 + 1);
        const bool divides = !term.empty() && random() % 2 == 0;
        product = divides ? product / static_cast<double>(n) : product * static_cast<double>(n);
        term += (term.empty() ? "" : divides ? "/" : "*") + std::to_string(n);
      }
      sum = minus ? sum - product : sum + product;
      text += (text.empty() ? "" : minus ? " - " : " + ") + term;
    }
    EXPECT_TRUE(*holds(
        fmt::format("{} == {}", text, sum < 0 ? fmt::format("-{}", -sum) : fmt::format("{}", sum))))
        << text << " is " << sum;
  }
}

TEST(Quantities, AreOfOneKindEach) {
  EXPECT_EQ(parse_quantity("5"), (Number{5, Dimension::none}));
  EXPECT_EQ(parse_quantity("5 us")->dimension, Dimension::seconds);
  EXPECT_EQ(parse_quantity("16 Mb/s"), (Number{2e6, Dimension::bandwidth}));
  EXPECT_EQ(parse_quantity("2 KiB"), (Number{2048, Dimension::bytes}));
  EXPECT_EQ(parse_quantity("2 TFLOP/s"), (Number{2e12, Dimension::flop_rate}));
  EXPECT_EQ(parse_quantity("a100"), std::nullopt);
}

}  // namespace
}  // namespace rehearse
