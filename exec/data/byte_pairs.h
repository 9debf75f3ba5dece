// GPT-2's byte-pair encoding (Radford et al., "Language Models are Unsupervised Multitask
// Learners", 2019, section 2.2; Sennrich, Haddow, Birch, arXiv 1508.07909): text as numbers of
// tokens.
//
// The vocabulary is the file that GPT-2 was published with as vocab.bpe, and that others call
// merges.txt: after a line "#version: 0.2" one merge per line, two tokens with a blank between
// them, the most frequent first. Bytes that are not printable stand in it as characters from U+0100
// on. Tokens are numbered as in GPT-2: 256 bytes, the printable ones first; then what merges make,
// in the order of the lines; the last is the end of a text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/base/diagnostic.h"

namespace rehearse::exec {

class BytePairs {
 public:
  using Token = std::int32_t;

  // Errors, with their line: what is no pair of tokens, or tokens that no line before it makes.
  static Result<BytePairs> read(const std::string& path);
  static Result<BytePairs> parse(const std::string& text, const std::string& name);

  // Tokens in all, the end of a text included.
  std::int64_t size() const { return 256 + static_cast<std::int64_t>(merges_.size()) + 1; }

  // The text is cut into words (GPT-2's pattern: letters, digits or others, with the blank before
  // them), and in every word the pair that the earliest merge makes a token is merged, until there
  // is none. O(n log n) for n bytes in one word. Errors: the first byte that is not UTF-8.
  Result<std::vector<Token>> encode(std::string_view text) const;

 private:
  BytePairs();
  static std::uint64_t pair(Token left, Token right) {
    return (static_cast<std::uint64_t>(left) << 32) | static_cast<std::uint32_t>(right);
  }
  std::vector<Token> encode_word(std::string_view word) const;

  std::vector<Token> bytes_;                         // by byte: its token
  std::unordered_map<std::uint64_t, Token> merges_;  // of two tokens: the one they make
};

}  // namespace rehearse::exec
