#include "exec/data/byte_pairs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "exec/data/text.h"
#include "model/base/random.h"
#include "tests/exec/data/temporary_files.h"

namespace rehearse::exec {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using Tokens = std::vector<BytePairs::Token>;

// Of the 188 printable bytes '!' is the first: a character's token is its distance from it. The
// blank is the 33rd of the others, written as U+0120.
constexpr BytePairs::Token kBlank = 188 + 32;
BytePairs::Token byte(char c) {
  return c == ' ' ? kBlank : c - '!';
}

BytePairs parsed(const std::string& text) {
  return BytePairs::parse(text, "vocab.bpe").value();
}

// Merged: 256 "he", 257 "ll", 258 "hell", 259 "hello", 260 " w", 261 "lo".
const char* const kVocabulary = "#version: 0.2\nh e\nl l\nhe ll\nhell o\n\xC4\xA0 w\nl o\n";

Tokens encoded(const BytePairs& pairs, std::string_view text) {
  return pairs.encode(text).value();
}

TEST(BytePairs, MergesInTheOrderOfTheLines) {
  const BytePairs pairs = parsed(kVocabulary);
  EXPECT_EQ(pairs.size(), 256 + 6 + 1);
  EXPECT_THAT(encoded(pairs, "hello"), ElementsAre(259));
  // "l l" stands before "l o": of three, the first two are merged.
  EXPECT_THAT(encoded(pairs, "lllo"), ElementsAre(257, 261));
  EXPECT_THAT(encoded(pairs, "hhe"), ElementsAre(byte('h'), 256));
  EXPECT_THAT(encoded(pairs, ""), ElementsAre());
}

TEST(BytePairs, NoMergeReachesIntoAnotherWord) {
  const BytePairs pairs = parsed(kVocabulary);
  EXPECT_THAT(encoded(pairs, "hello w"), ElementsAre(259, 260));
  // The second blank belongs to "w", the first is a word of its own.
  EXPECT_THAT(encoded(pairs, "  w"), ElementsAre(kBlank, 260));
  EXPECT_THAT(encoded(pairs, "he1ll"), ElementsAre(256, byte('1'), 257));
}

TEST(BytePairs, EveryByteOfAnotherScriptIsAToken) {
  const BytePairs pairs = parsed(kVocabulary);
  // U+00E9 is C3 A9 in UTF-8: the 128th and 102nd printable bytes after the 94 of ASCII, from A1 on
  // without AD.
  EXPECT_THAT(encoded(pairs, "\xC3\xA9"), ElementsAre(94 + 0xC3 - 0xA1 - 1, 94 + 0xA9 - 0xA1));
}

// The method as its paper gives it: of all pairs that are there, the one merged first, everywhere.
Tokens merged_slowly(const std::map<std::pair<int, int>, int>& merges, Tokens word) {
  while (true) {
    int best = std::numeric_limits<int>::max();
    for (std::size_t k = 0; k + 1 < word.size(); ++k) {
      const auto made = merges.find({word[k], word[k + 1]});
      if (made != merges.end()) best = std::min(best, made->second);
    }
    if (best == std::numeric_limits<int>::max()) return word;
    Tokens next;
    for (std::size_t k = 0; k < word.size(); ++k) {
      const bool is_pair = k + 1 < word.size() && merges.count({word[k], word[k + 1]}) > 0 &&
                           merges.at({word[k], word[k + 1]}) == best;
      next.push_back(is_pair ? best : word[k]);
      if (is_pair) ++k;
    }
    word = next;
  }
}

TEST(BytePairs, AgreesWithTheSlowTwinOnRandomWords) {
  Random random(7, 1);
  for (int round = 0; round < 200; ++round) {
    // Random merges over a, b and c.
    std::vector<std::string> known = {"a", "b", "c"};
    std::vector<int> numbers = {byte('a'), byte('b'), byte('c')};
    std::map<std::pair<int, int>, int> merges;
    std::string file;
    for (int made = 256; made < 256 + 12; ++made) {
      const auto left = static_cast<std::size_t>(random.below(known.size()));
      const auto right = static_cast<std::size_t>(random.below(known.size()));
      const std::string both = known[left] + known[right];
      if (std::count(known.begin(), known.end(), both) > 0) {
        --made;
        continue;
      }
      file += known[left] + " " + known[right] + "\n";
      merges[{numbers[left], numbers[right]}] = made;
      known.push_back(both);
      numbers.push_back(made);
    }
    std::string word;
    Tokens bytes;
    for (int k = 0; k < 40; ++k) {
      word += "abc"[random.below(3)];
      bytes.push_back(byte(word.back()));
    }
    EXPECT_THAT(encoded(parsed(file), word), ElementsAreArray(merged_slowly(merges, bytes)))
        << word << "\n"
        << file;
  }
}

std::string problem(const std::string& text) {
  const auto pairs = BytePairs::parse(text, "vocab.bpe");
  return pairs ? "" : format(pairs.errors());
}

TEST(BytePairs, WrongLinesAreFound) {
  EXPECT_EQ(problem("#version: 0.2\nh e\nh e l\n"),
            "vocab.bpe:3:1: error: expected two tokens with a blank between them\n"
            "    3 | h e l\n"
            "      | ^~~~~\n");
  EXPECT_EQ(problem("h e\nhel lo\n"),
            "vocab.bpe:2:1: error: 'hel' is no byte, and no line before makes it\n"
            "    2 | hel lo\n"
            "      | ^~~~~~\n");
  EXPECT_EQ(problem("h e\nh e\n"),
            "vocab.bpe:2:1: error: these two are merged by a line before\n"
            "    2 | h e\n"
            "      | ^~~\n");
  EXPECT_EQ(problem("#version: 0.2\n"), "error: vocab.bpe: it has no merges\n");
  const auto tokens = parsed(kVocabulary).encode("good \xFF");
  ASSERT_FALSE(tokens.ok());
  EXPECT_EQ(format(tokens.errors()), "error: byte 5 is not UTF-8\n");
}

TEST(TextBpe, ReadsTextBesideItsVocabulary) {
  const TemporaryFolder folder;
  const auto write = [&](const std::string& name, const std::string& text) {
    folder.write(name, {text.begin(), text.end()});
  };
  const auto open = [&](std::int64_t classes) {
    const SampleFormat wanted{ValueType::index, {{2}}, {{2}}, classes};
    return open_dataset({"text-bpe", wanted, 1, folder.path()});
  };
  EXPECT_EQ(format(open(300).errors()),
            "error: " + folder.path() + ": it has no vocabulary, vocab.bpe or merges.txt\n");
  write("merges.txt", kVocabulary);
  EXPECT_EQ(format(open(300).errors()), "error: " + folder.path() + ": it has no file *.txt\n");
  // Each repeat is 259 260: 40 tokens, of which four are the test set.
  std::string text;
  for (int k = 0; k < 20; ++k)
    text += "hello w";
  write("a.txt", text);
  const auto data = open(263);
  ASSERT_TRUE(data.ok()) << format(data.errors());
  EXPECT_EQ((*data)->samples(Split::train), (36 - 1) / 2);
  EXPECT_EQ((*data)->samples(Split::test), (4 - 1) / 2);
  Tokens into(2);
  (*data)->copy_tokens(Split::train, std::array<std::int64_t, 1>{3}, into);
  EXPECT_THAT(into, ElementsAre(259, 260));
  (*data)->copy_labels(Split::train, std::array<std::int64_t, 1>{3}, into);
  EXPECT_THAT(into, ElementsAre(260, 259));
  EXPECT_EQ(format(open(262).errors()),
            "error: data set text-bpe has 263 tokens, the network a vocabulary of 262\n");
  // 263 padded to a multiple of 128, and more.
  EXPECT_TRUE(open(384).ok());
  EXPECT_EQ(format(open(385).errors()),
            "error: data set text-bpe has 263 tokens, the network a vocabulary of 385\n");
  write("b.txt", "\xC3");
  EXPECT_EQ(format(open(263).errors()),
            "error: " + folder.path() + "/b.txt: byte 0 is not UTF-8\n");
}

}  // namespace
}  // namespace rehearse::exec
