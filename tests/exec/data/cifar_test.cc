#include "exec/data/cifar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/exec/data/temporary_files.h"

namespace rehearse::exec {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t kPixels = 3072;

SampleFormat images(std::int64_t classes) {
  return {ValueType::real, {{32, 32, 3}}, {{1}}, classes};
}

// Images of one colour per plane: red 0, green 255, blue 51 of them, with these labels.
FileBytes records(const std::vector<FileBytes>& labels) {
  FileBytes file;
  for (const FileBytes& label : labels) {
    file.insert(file.end(), label.begin(), label.end());
    for (const int colour : {0, 255, 51})
      file.insert(file.end(), kPixels / 3, static_cast<std::uint8_t>(colour));
  }
  return file;
}

void write_cifar_10(const TemporaryFolder& folder) {
  for (std::uint8_t k = 1; k <= 5; ++k)
    folder.write("data_batch_" + std::to_string(k) + ".bin", records({{k}, {0}}));
  folder.write("test_batch.bin", records({{9}}));
}

std::int32_t label_of(const Dataset& data, Split split, std::int64_t number) {
  std::int32_t label = -1;
  data.copy_labels(split, std::array{number}, {&label, 1});
  return label;
}

TEST(Cifar, ReadsAllBatchesChannelsLast) {
  const TemporaryFolder folder;
  write_cifar_10(folder);
  const auto data = open_dataset({"cifar-10", images(10), 1, folder.path()});
  ASSERT_TRUE(data.ok()) << format(data.errors());
  EXPECT_EQ((*data)->samples(Split::train), 10);
  EXPECT_EQ((*data)->samples(Split::test), 1);
  EXPECT_EQ(label_of(**data, Split::train, 4), 3);
  EXPECT_EQ(label_of(**data, Split::test, 0), 9);
  std::vector<float> pixels(kPixels);
  (*data)->copy_pixels(Split::train, std::array<std::int64_t, 1>{7}, pixels);
  for (std::size_t p = 0; p < kPixels; p += 3) {
    ASSERT_FLOAT_EQ(pixels[p], static_cast<float>((0 - 0.4914) / 0.2470));
    ASSERT_FLOAT_EQ(pixels[p + 1], static_cast<float>((1 - 0.4822) / 0.2435));
    ASSERT_FLOAT_EQ(pixels[p + 2], static_cast<float>((0.2 - 0.4465) / 0.2616));
  }
}

TEST(Cifar, OfAHundredClassesUsesTheFineLabel) {
  const TemporaryFolder folder;
  folder.write("train.bin", records({{19, 99}, {3, 42}}));
  folder.write("test.bin", records({{0, 7}}));
  const auto data = open_dataset({"cifar-100", images(100), 1, folder.path()});
  ASSERT_TRUE(data.ok()) << format(data.errors());
  EXPECT_EQ(label_of(**data, Split::train, 1), 42);
  EXPECT_EQ(label_of(**data, Split::test, 0), 7);
}

TEST(Cifar, SaysWhatIsWrongWithItsFiles) {
  const TemporaryFolder folder;
  const auto problem = [&] {
    const auto data = open_dataset({"cifar-10", images(10), 1, folder.path()});
    return data ? "" : format(data.errors());
  };
  EXPECT_THAT(problem(), HasSubstr("data_batch_1.bin: no such file"));
  write_cifar_10(folder);
  FileBytes truncated = records({{1}, {2}});
  truncated.pop_back();
  folder.write("data_batch_3.bin", truncated);
  EXPECT_THAT(problem(), HasSubstr("data_batch_3.bin: offset 3073: expected whole images of 3073 "
                                   "bytes, got 6145 bytes"));
  folder.write("data_batch_3.bin", records({{1}, {10}}));
  EXPECT_THAT(problem(),
              HasSubstr("data_batch_3.bin: offset 3073: expected a label below 10, got 10"));
  EXPECT_THAT(format(open_dataset({"cifar-10", images(10), 1, {}}).errors()),
              HasSubstr("needs --data-directory"));
}

}  // namespace
}  // namespace rehearse::exec
