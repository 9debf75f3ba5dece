#include "exec/data/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/exec/data/temporary_files.h"

namespace rehearse::exec {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

SampleFormat tokens(std::int64_t length, std::int64_t vocabulary = 256) {
  return {ValueType::index, {{length}}, {{length}}, vocabulary};
}

DatasetRequest text_in(const TemporaryFolder& folder, const SampleFormat& wanted) {
  return {"text", wanted, 1, folder.path()};
}

FileBytes bytes(const std::string& text) {
  return {text.begin(), text.end()};
}

std::vector<std::int32_t> tokens_of(const Dataset& data, Split split, std::int64_t number) {
  std::vector<std::int32_t> into(static_cast<std::size_t>(data.format().input.elements()));
  data.copy_tokens(split, std::array{number}, into);
  return into;
}
std::vector<std::int32_t> labels_of(const Dataset& data, Split split, std::int64_t number) {
  std::vector<std::int32_t> into(static_cast<std::size_t>(data.format().labels.elements()));
  data.copy_labels(split, std::array{number}, into);
  return into;
}

// 30 bytes: 27 train, in 8 samples of 3 and the label behind them; 3 test, one of 2 at length 2.
TEST(Text, IsCutIntoSamplesOneAfterTheOther) {
  const TemporaryFolder folder;
  folder.write("b.txt", bytes("nopqrstuvwxyz0123"));
  folder.write("a.txt", bytes("abcdefghijklm"));
  folder.write("c.md", bytes("not this"));
  const auto data = open_dataset(text_in(folder, tokens(2)));
  ASSERT_TRUE(data.ok()) << format(data.errors());
  EXPECT_EQ((*data)->samples(Split::train), 13);
  EXPECT_EQ((*data)->samples(Split::test), 1);
  EXPECT_THAT(tokens_of(**data, Split::train, 0), ElementsAre('a', 'b'));
  EXPECT_THAT(labels_of(**data, Split::train, 0), ElementsAre('b', 'c'));
  EXPECT_THAT(tokens_of(**data, Split::train, 6), ElementsAre('m', 'n'));
  EXPECT_THAT(tokens_of(**data, Split::test, 0), ElementsAre('1', '2'));
  EXPECT_THAT(labels_of(**data, Split::test, 0), ElementsAre('2', '3'));
}

TEST(Text, BytesAreNumbersUpTo255) {
  const TemporaryFolder folder;
  folder.write("a.txt", FileBytes(100, 0xC3));
  const auto data = open_dataset(text_in(folder, tokens(4, 300)));
  ASSERT_TRUE(data.ok()) << format(data.errors());
  EXPECT_THAT(tokens_of(**data, Split::train, 1), ElementsAre(195, 195, 195, 195));
}

std::string problem(const DatasetRequest& request) {
  const auto data = open_dataset(request);
  return data ? "" : format(data.errors());
}

TEST(Text, SaysWhatItNeeds) {
  const TemporaryFolder folder;
  EXPECT_THAT(problem(text_in(folder, tokens(4))), HasSubstr("it has no file *.txt"));
  folder.write("a.txt", bytes("too short for a test set"));
  EXPECT_THAT(problem(text_in(folder, tokens(4))), HasSubstr("24 bytes of text; a tenth of it"));
  EXPECT_EQ(problem(text_in(folder, tokens(4, 100))),
            "error: data set text has 256 tokens, the network a vocabulary of 100\n");
  EXPECT_THAT(problem({"text", tokens(4), 1, {}}), HasSubstr("needs --data-directory"));
  EXPECT_THAT(problem({"text", {ValueType::real, {{4}}, {{1}}, 256}, 1, folder.path()}),
              HasSubstr("has token numbers 4, the network reads pixels 4"));
  EXPECT_THAT(problem({"text", tokens(4), 1, folder.path() + "/none"}),
              HasSubstr("No such file or directory"));
}

TEST(Bible, BeginsInTheBeginning) {
  const auto data = open_dataset({"bible", tokens(22), 1, {}});
  ASSERT_TRUE(data.ok()) << format(data.errors());
  const auto first = tokens_of(**data, Split::train, 0);
  EXPECT_EQ(std::string(first.begin(), first.end()), "Ge1:1 In the beginning");
  EXPECT_EQ((*data)->samples(Split::train), (3'963'971 - 1) / 22);
}

}  // namespace
}  // namespace rehearse::exec
