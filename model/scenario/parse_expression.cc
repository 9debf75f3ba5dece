#include <array>
#include <cctype>

#include "model/base/text.h"
#include "model/scenario/expression_node.h"

namespace rehearse {
namespace {

using Node = Expression::Node;

struct Wrong {
  SourceSpan where;
  std::string message;
};

enum class TokenKind { end, symbol, word, text, number };

struct Token {
  TokenKind kind = TokenKind::end;
  std::string_view text;
  SourceSpan where;
  ExpressionValue value = false;  // of a text or a number
};

bool is_letter(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_of_word(char c) {
  return is_letter(c) || is_digit(c) || c == '.';
}
bool is_operator_word(std::string_view word) {
  return word == "and" || word == "or" || word == "not";
}

class Lexer {
 public:
  Lexer(std::string_view text, const SourceSpan& where) : text_(text), where_(where) {}

  Token next() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0)
      ++at_;
    if (at_ == text_.size()) return {TokenKind::end, "the end", place(at_, 1)};
    const char c = text_[at_];
    if (is_letter(c)) return take(TokenKind::word, word_length(at_));
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return number();
    if (c == '\'') return quoted();
    for (const std::string_view two : {"<=", ">=", "==", "!="}) {
      if (text_.substr(at_).starts_with(two)) return take(TokenKind::symbol, 2);
    }
    if (std::string_view("<>+-*/%()").find(c) != std::string_view::npos)
      return take(TokenKind::symbol, 1);
    throw Wrong{place(at_, 1), c == '=' ? std::string("equality is '=='")
                                        : fmt::format("'{}' means nothing here", c)};
  }

 private:
  // An expression stands on one line; folded ones are pointed at as a whole.
  SourceSpan place(std::size_t at, std::size_t length) const {
    SourceSpan place = where_;
    place.column += static_cast<int>(at);
    place.length = static_cast<int>(length);
    return place;
  }

  char peek(std::size_t ahead) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }

  Token take(TokenKind kind, std::size_t length) {
    Token token{kind, text_.substr(at_, length), place(at_, length)};
    at_ += length;
    return token;
  }

  std::size_t word_length(std::size_t from) const {
    std::size_t end = from;
    const auto goes_on = [&] {
      if (end == text_.size()) return false;
      if (is_of_word(text_[end])) return true;
      const bool touches = end > from && end + 1 < text_.size() && text_[end] == '-';
      return touches && is_of_word(text_[end - 1]) && is_of_word(text_[end + 1]);
    };
    while (goes_on())
      ++end;
    return end - from;
  }

  Token quoted() {
    const auto end = text_.find('\'', at_ + 1);
    if (end == std::string_view::npos) throw Wrong{place(at_, 1), "this quote is not closed"};
    Token token = take(TokenKind::text, end + 1 - at_);
    token.value = std::string(token.text.substr(1, token.text.size() - 2));
    return token;
  }

  std::size_t digits_length() const {
    std::size_t end = at_;
    while (end < text_.size() && (is_digit(text_[end]) || text_[end] == '.'))
      ++end;
    const bool signed_exponent = end + 2 < text_.size() &&
                                 (text_[end + 1] == '-' || text_[end + 1] == '+') &&
                                 is_digit(text_[end + 2]);
    const bool exponent = end + 1 < text_.size() && is_digit(text_[end + 1]);
    if (end < text_.size() && (text_[end] == 'e' || text_[end] == 'E') &&
        (exponent || signed_exponent)) {
      end += signed_exponent ? 2 : 1;
      while (end < text_.size() && is_digit(text_[end]))
        ++end;
    }
    return end - at_;
  }

  // With the unit after it, if there is one: "Gb/s" is longer than what "Gb" would be.
  Token number() {
    const std::size_t digits = digits_length();
    std::size_t unit = at_ + digits;
    while (unit < text_.size() && text_[unit] == ' ')
      ++unit;
    std::size_t end = unit;
    while (end < text_.size() && is_letter(text_[end]))
      ++end;
    const std::string_view name = text_.substr(unit, end - unit);
    if (name.empty() || is_operator_word(name)) return quantity(digits);
    const bool per_second = text_.substr(end).starts_with("/s") &&
                            !(end + 2 < text_.size() && is_of_word(text_[end + 2]));
    if (per_second && parse_quantity(text_.substr(at_, end + 2 - at_))) end += 2;
    return quantity(end - at_);
  }

  Token quantity(std::size_t length) {
    Token token = take(TokenKind::number, length);
    const auto value = parse_quantity(token.text);
    if (!value)
      throw Wrong{token.where, fmt::format("'{}' is neither a number nor a quantity such as '400 "
                                           "Gb/s', '80 GiB' or '5 us'",
                                           token.text)};
    token.value = *value;
    return token;
  }

  std::string_view text_;
  const SourceSpan& where_;
  std::size_t at_ = 0;
};

class Parser {
 public:
  Parser(std::string_view text, const SourceSpan& where, const ExpressionNames& names)
      : lexer_(text, where), names_(names), token_(lexer_.next()) {}

  Node run() {
    Node node = either();
    if (token_.kind != TokenKind::end)
      throw Wrong{token_.where,
                  fmt::format("expected an operator or the end, got '{}'", token_.text)};
    return node;
  }

 private:
  using Rule = Node (Parser::*)();

  bool is(std::string_view text) const {
    const bool names_operator = token_.kind == TokenKind::symbol || token_.kind == TokenKind::word;
    return names_operator && token_.text == text;
  }
  template <std::size_t N>
  bool is_one_of(const std::array<std::string_view, N>& texts) const {
    for (const std::string_view text : texts) {
      if (is(text)) return true;
    }
    return false;
  }
  Token take() { return std::exchange(token_, lexer_.next()); }

  static Node node(NodeKind kind, const Token& token, std::vector<Node> parts) {
    return {kind, std::string(token.text), token.where, false, 0, std::move(parts)};
  }

  // Operators of one rank, from left to right.
  template <std::size_t N>
  Node row(NodeKind kind, const std::array<std::string_view, N>& operators, Rule part) {
    Node left = (this->*part)();
    while (is_one_of(operators)) {
      const Token token = take();
      std::vector<Node> parts;
      parts.push_back(std::move(left));
      parts.push_back((this->*part)());
      left = node(kind, token, std::move(parts));
    }
    return left;
  }

  Node either() { return row(NodeKind::either, std::array{std::string_view("or")}, &Parser::both); }
  Node both() { return row(NodeKind::both, std::array{std::string_view("and")}, &Parser::denial); }

  Node denial() {
    if (!is("not")) return comparison();
    const Token token = take();
    return node(NodeKind::denial, token, {nested(&Parser::denial)});
  }

  Node comparison() {
    constexpr std::array<std::string_view, 6> kOperators{"<=", "<", ">=", ">", "==", "!="};
    Node left = sum();
    if (!is_one_of(kOperators)) return left;
    const Token token = take();
    std::vector<Node> parts;
    parts.push_back(std::move(left));
    parts.push_back(sum());
    if (is_one_of(kOperators))
      throw Wrong{token_.where, "comparisons are joined by 'and': a <= b and b <= c"};
    return node(NodeKind::comparison, token, std::move(parts));
  }

  Node sum() {
    return row(NodeKind::arithmetic, std::array<std::string_view, 2>{"+", "-"}, &Parser::product);
  }
  Node product() {
    return row(NodeKind::arithmetic, std::array<std::string_view, 3>{"*", "/", "%"},
               &Parser::negation);
  }

  Node negation() {
    if (!is("-")) return operand();
    const Token token = take();
    return node(NodeKind::negation, token, {nested(&Parser::negation)});
  }

  Node operand() {
    const Token token = take();
    if (token.kind == TokenKind::number || token.kind == TokenKind::text)
      return {NodeKind::constant, std::string(token.text), token.where, token.value};
    if (token.kind == TokenKind::word && !is_operator_word(token.text)) return named(token);
    if (token.kind != TokenKind::symbol || token.text != "(")
      throw Wrong{token.where, token.kind == TokenKind::end
                                   ? std::string("expected a value, and here it ends")
                                   : fmt::format("expected a value, got '{}'", token.text)};
    Node inner = nested(&Parser::either);
    if (!is(")")) throw Wrong{token.where, "this bracket is not closed"};
    take();
    return inner;
  }

  Node named(const Token& token) {
    Node result{NodeKind::constant, std::string(token.text), token.where};
    if (token.text == "true" || token.text == "false") {
      result.constant = token.text == "true";
      return result;
    }
    const auto variable = names_.find(token.text);
    if (!variable) {
      throw Wrong{token.where, unknown(token.text)};
    }
    result.kind = NodeKind::variable;
    result.variable = *variable;
    return result;
  }

  std::string unknown(std::string_view name) const {
    const auto guess = nearest(name, names_.suggestions);
    if (guess) return fmt::format("there is no '{}' here; did you mean '{}'?", name, *guess);
    const std::string others = names_.suggestions.empty()
                                   ? ""
                                   : fmt::format("there are {}; ", join(names_.suggestions, ", "));
    return fmt::format("there is no '{}' here; {}a text stands in quotes", name, others);
  }

  Node nested(Rule rule) {
    constexpr int kDeepest = 64;  // the parser recurses; no condition nests like that
    if (++depth_ > kDeepest) throw Wrong{token_.where, "nested too deeply"};
    Node inner = (this->*rule)();
    --depth_;
    return inner;
  }

  Lexer lexer_;
  const ExpressionNames& names_;
  Token token_;
  int depth_ = 0;
};

}  // namespace

Result<Node> parse_condition(std::string_view text, const SourceSpan& where,
                             const ExpressionNames& names) {
  try {
    return Parser(text, where, names).run();
  } catch (const Wrong& wrong) {
    return error_at(wrong.where, wrong.message);
  }
}

}  // namespace rehearse
