#include "exec/data/idx.h"

#include <gtest/gtest.h>

#include "tests/exec/data/temporary_files.h"

namespace rehearse::exec {
namespace {

class Idx : public testing::Test {
 protected:
  // Of 3 items of 2x5: 16 bytes of header and 30 of elements.
  std::string errors_of(const FileBytes& bytes) {
    folder.write_gzip("f", bytes);
    return errors();
  }
  std::string errors() {
    const Result<IdxArray> read = read_idx(folder.path("f"), {2, 5});
    return read.ok() ? "" : format(read.errors());
  }
  std::string at(int offset, const std::string& text) {
    return "error: " + folder.path("f") + ": offset " + std::to_string(offset) + ": " + text + "\n";
  }
  TemporaryFolder folder;
};

TEST_F(Idx, ReadsElementsPackedOrNot) {
  FileBytes file = idx_file({3, 2, 5}, 30);
  file[16] = 7;
  file[45] = 9;
  for (const bool packed : {false, true}) {
    packed ? folder.write_gzip("f", file) : folder.write("f", file);
    const Result<IdxArray> array = read_idx(folder.path("f"), {2, 5});
    ASSERT_TRUE(array.ok());
    EXPECT_EQ(array->count, 3);
    ASSERT_EQ(array->elements().size(), 30u);
    EXPECT_EQ(array->elements().front(), 7);
    EXPECT_EQ(array->elements().back(), 9);
  }
}

TEST_F(Idx, WrongMagicNumber) {
  EXPECT_EQ(
      errors_of(idx_file({3, 2}, 30)),
      at(0, "expected magic number 0x00000803 (unsigned bytes, 3 dimensions), got 0x00000802"));
}

TEST_F(Idx, WrongDimension) {
  EXPECT_EQ(errors_of(idx_file({3, 2, 6}, 36)), at(12, "expected dimension 3 to be 5, got 6"));
}

TEST_F(Idx, FewerOrMoreElementsThanTheHeaderSays) {
  EXPECT_EQ(errors_of(idx_file({3, 2, 5}, 29)), at(16, "expected 30 bytes of 3 items, got 29"));
  EXPECT_EQ(errors_of(idx_file({3, 2, 5}, 31)), at(16, "expected 30 bytes of 3 items, got 31"));
}

TEST_F(Idx, FileEndsInTheHeader) {
  EXPECT_EQ(errors_of({0, 0, 8, 3, 0}), at(5, "the header has 16 bytes, the file only 5"));
}

// 46 bytes of data; the file ends 8 bytes of trailer and 10 of data early, 36 are left.
TEST_F(Idx, TruncatedGzip) {
  folder.write_gzip("f", idx_file({3, 2, 5}, 30));
  std::filesystem::resize_file(folder.path("f"), 15 + 36);
  EXPECT_EQ(errors(), at(36, "the packed data end early"));
}

TEST_F(Idx, DamagedGzip) {
  folder.write_gzip("f", idx_file({3, 2, 5}, 30));
  FileBytes garbage = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};  // a gzip header
  garbage.resize(60, 0xff);                                  // no such kind of block
  folder.write("f", garbage);
  EXPECT_EQ(errors(), "error: " + folder.path("f") + ": the packed data are damaged\n");
}

TEST_F(Idx, MissingFile) {
  EXPECT_EQ(errors(), "error: " + folder.path("f") + ": No such file or directory\n");
}

}  // namespace
}  // namespace rehearse::exec
