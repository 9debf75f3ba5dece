#include "exec/data/byte_pairs.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <queue>
#include <tuple>

#include "model/base/check.h"
#include "model/base/text.h"

namespace rehearse::exec {
namespace {

// Of GPT-2's encoder.
constexpr std::string_view kWords =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

bool is_printable(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

// The characters that stand for bytes in the file, by token number: the printable bytes for
// themselves, then the others from U+0100 on.
struct ByteToken {
  int byte;
  char32_t character;
};
std::vector<ByteToken> byte_tokens() {
  std::vector<ByteToken> tokens;
  for (int byte = 0; byte < 256; ++byte) {
    if (is_printable(byte)) tokens.push_back({byte, static_cast<char32_t>(byte)});
  }
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    if (!is_printable(byte)) tokens.push_back({byte, next++});
  }
  return tokens;
}

// All of them are below U+0800: one or two bytes of UTF-8.
std::string utf8(char32_t character) {
  if (character < 0x80) return {static_cast<char>(character)};
  return {static_cast<char>(0xC0 | (character >> 6)), static_cast<char>(0x80 | (character & 0x3F))};
}

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeMatch {
  void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
};

// The words of a text, one after the other.
class Words {
 public:
  explicit Words(std::string_view text) : text_(text) {
    int problem = 0;
    PCRE2_SIZE offset = 0;
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(kWords.data()), kWords.size(),
                              PCRE2_UTF | PCRE2_UCP, &problem, &offset, nullptr));
    REHEARSE_CHECK(code_ != nullptr, "the pattern of words is wrong at {}", offset);
    pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE);  // where there is none it is only slower
    match_.reset(pcre2_match_data_create_from_pattern(code_.get(), nullptr));
  }

  // Empty at the end of the text, or where it is not UTF-8 (bad_byte).
  std::string_view next() {
    if (at_ == text_.size()) return {};
    // What has been checked once is not checked again.
    const std::uint32_t options = at_ == 0 ? 0 : PCRE2_NO_UTF_CHECK;
    const int found = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text_.data()),
                                  text_.size(), at_, options, match_.get(), nullptr);
    if (found < 0) {
      REHEARSE_CHECK(at_ == 0, "no word from byte {} on: {}", at_, found);
      bad_byte_ = pcre2_get_startchar(match_.get());
      return {};
    }
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(match_.get());
    REHEARSE_CHECK(bounds[0] == at_, "bytes {} to {} are in no word", at_, bounds[0]);
    at_ = bounds[1];
    return text_.substr(bounds[0], bounds[1] - bounds[0]);
  }
  std::optional<std::size_t> bad_byte() const { return bad_byte_; }

 private:
  std::string_view text_;
  std::unique_ptr<pcre2_code, FreeCode> code_;
  std::unique_ptr<pcre2_match_data, FreeMatch> match_;
  std::size_t at_ = 0;
  std::optional<std::size_t> bad_byte_;
};

}  // namespace

BytePairs::BytePairs() : bytes_(256) {
  Token number = 0;
  for (const ByteToken& token : byte_tokens())
    bytes_[static_cast<std::size_t>(token.byte)] = number++;
}

Result<BytePairs> BytePairs::read(const std::string& path) {
  if (std::filesystem::is_directory(path)) return error(fmt::format("'{}' is a folder", path));
  std::ifstream file(path, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  if (!file) return error(fmt::format("cannot read '{}': {}", path, std::strerror(errno)));
  return parse(text, path);
}

Result<BytePairs> BytePairs::parse(const std::string& text, const std::string& name) {
  BytePairs pairs;
  std::unordered_map<std::string, Token> known;  // by their characters in the file
  Token number = 0;
  for (const ByteToken& token : byte_tokens())
    known[utf8(token.character)] = number++;
  const auto source = std::make_shared<SourceText>(name, text);
  const auto lines = split(source->text(), '\n');
  for (std::size_t k = 0; k < lines.size(); ++k) {
    std::string_view line = lines[k];
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || (k == 0 && line.starts_with("#version"))) continue;
    const SourceSpan where{source, static_cast<int>(k) + 1, 1, static_cast<int>(line.size())};
    const auto words = split(line, ' ');
    if (words.size() != 2) return error_at(where, "expected two tokens with a blank between them");
    for (const std::string_view word : words) {
      if (known.count(std::string(word)) == 0)
        return error_at(where, fmt::format("'{}' is no byte, and no line before makes it", word));
    }
    const std::uint64_t both =
        pair(known.at(std::string(words[0])), known.at(std::string(words[1])));
    if (!pairs.merges_.try_emplace(both, number).second)
      return error_at(where, "these two are merged by a line before");
    known.try_emplace(std::string(words[0]) + std::string(words[1]), number);
    ++number;
  }
  if (pairs.merges_.empty()) return error(fmt::format("{}: it has no merges", name));
  return pairs;
}

Result<std::vector<BytePairs::Token>> BytePairs::encode(std::string_view text) const {
  std::vector<Token> tokens;
  std::unordered_map<std::string_view, std::vector<Token>> known;  // by word
  Words words(text);
  for (std::string_view word = words.next(); !word.empty(); word = words.next()) {
    const auto [entry, is_new] = known.try_emplace(word);
    if (is_new) entry->second = encode_word(word);
    tokens.insert(tokens.end(), entry->second.begin(), entry->second.end());
  }
  if (words.bad_byte()) return error(fmt::format("byte {} is not UTF-8", *words.bad_byte()));
  return tokens;
}

// Tokens in a list from which the right one of a merged pair is taken out.
std::vector<BytePairs::Token> BytePairs::encode_word(std::string_view word) const {
  constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  struct Node {
    Token token = 0;
    std::size_t before = kNone, after = kNone;
    bool gone = false;
  };
  std::vector<Node> nodes(word.size());
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    nodes[k].token = bytes_[static_cast<unsigned char>(word[k])];
    nodes[k].before = k == 0 ? kNone : k - 1;
    nodes[k].after = k + 1 == nodes.size() ? kNone : k + 1;
  }
  // The earliest merge first, then from the left. What is no pair any more is passed over.
  struct Candidate {
    Token made;
    std::size_t left, right;
    Token left_token, right_token;
    bool operator>(const Candidate& other) const {
      return std::tie(made, left) > std::tie(other.made, other.left);
    }
  };
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates;
  const auto consider = [&](std::size_t left) {
    if (left == kNone || nodes[left].after == kNone) return;
    const std::size_t right = nodes[left].after;
    const auto made = merges_.find(pair(nodes[left].token, nodes[right].token));
    if (made == merges_.end()) return;
    candidates.push({made->second, left, right, nodes[left].token, nodes[right].token});
  };
  for (std::size_t k = 0; k < nodes.size(); ++k)
    consider(k);
  while (!candidates.empty()) {
    const Candidate next = candidates.top();
    candidates.pop();
    Node &left = nodes[next.left], &right = nodes[next.right];
    if (left.gone || right.gone || left.after != next.right || left.token != next.left_token ||
        right.token != next.right_token)
      continue;
    left.token = next.made;
    left.after = right.after;
    right.gone = true;
    if (left.after != kNone) nodes[left.after].before = next.left;
    consider(left.before);
    consider(next.left);
  }
  std::vector<Token> tokens;
  for (const Node& node : nodes) {
    if (!node.gone) tokens.push_back(node.token);
  }
  return tokens;
}

}  // namespace rehearse::exec
