// Files that tests make, in a folder of their own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace rehearse::exec {

using FileBytes = std::vector<std::uint8_t>;

class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string path() const { return folder_.string(); }
  void write(const std::string& name, const FileBytes& bytes) const;
  // As gzip files without compression, so that every byte of the data is one byte of the file,
  // behind 15 of headers and before 8 of checksum and length.
  void write_gzip(const std::string& name, const FileBytes& bytes) const;

 private:
  std::filesystem::path folder_;
};

// An IDX file of unsigned bytes: header for these dimensions, then `elements` zeros.
FileBytes idx_file(const std::vector<std::uint32_t>& dimensions, std::size_t elements);

}  // namespace rehearse::exec
