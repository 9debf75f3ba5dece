#include "tests/exec/data/temporary_files.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <fstream>

namespace rehearse::exec {

TemporaryFolder::TemporaryFolder() {
  std::string pattern = testing::TempDir() + "rehearse_data_XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) ADD_FAILURE() << "no temporary folder " << pattern;
  folder_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::filesystem::remove_all(folder_);
}

void TemporaryFolder::write(const std::string& name, const FileBytes& bytes) const {
  std::ofstream file(folder_ / name, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
}

void TemporaryFolder::write_gzip(const std::string& name, const FileBytes& bytes) const {
  gzFile file = gzopen(path(name).c_str(), "wb0");
  EXPECT_EQ(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())), std::ssize(bytes));
  EXPECT_EQ(gzclose(file), Z_OK);
}

FileBytes idx_file(const std::vector<std::uint32_t>& dimensions, std::size_t elements) {
  FileBytes bytes = {0, 0, 8, static_cast<std::uint8_t>(dimensions.size())};
  for (const std::uint32_t dimension : dimensions) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      bytes.push_back(static_cast<std::uint8_t>(dimension >> shift));
    }
  }
  bytes.resize(bytes.size() + elements);
  return bytes;
}

}  // namespace rehearse::exec
