#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tools/cli/cli.h"

namespace rehearse::cli {
namespace {
Diagnostics cannot(std::string_view what, const std::string& path) {
  return error(fmt::format("cannot {} '{}': {}", what, path, std::strerror(errno)));
}
}  // namespace

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) return cannot("read", path);
  return text.str();
}

Status write_file(const std::string& path, const std::string& text) {
  const auto directory = std::filesystem::path(path).parent_path();
  std::error_code ignored;  // the file cannot be opened then, which says more
  if (!directory.empty()) std::filesystem::create_directories(directory, ignored);
  std::ofstream file(path, std::ios::binary);
  if (!(file << text) || !file.flush()) return cannot("write", path);
  return success();
}

}  // namespace rehearse::cli
