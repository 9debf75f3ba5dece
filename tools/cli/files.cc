#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "tools/cli/cli.h"

namespace rehearse::cli {
namespace {
Diagnostics cannot(std::string_view what, const std::string& path) {
  return error(fmt::format("cannot {} '{}': {}", what, path, std::strerror(errno)));
}
}  // namespace

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  // A folder opens, but cannot be read: read() sets badbit then, an iterator of the buffer throws.
  std::string text;
  std::array<char, 1 << 16> some{};
  while (file.read(some.data(), some.size()) || file.gcount() > 0)
    text.append(some.data(), static_cast<std::size_t>(file.gcount()));
  if (!file.is_open() || file.bad()) return cannot("read", path);
  return text;
}

Status write_file(const std::string& path, const std::string& text) {
  const auto directory = std::filesystem::path(path).parent_path();
  std::error_code ignored;  // the file cannot be opened then, which says more
  if (!directory.empty()) std::filesystem::create_directories(directory, ignored);
  std::ofstream file(path, std::ios::binary);
  if (!(file << text) || !file.flush()) return cannot("write", path);
  return success();
}

Status check_writable(const std::string& path) {
  std::error_code problem;
  const bool existed = std::filesystem::exists(path, problem);
  const auto directory = std::filesystem::path(path).parent_path();
  if (!directory.empty()) std::filesystem::create_directories(directory, problem);
  if (!std::ofstream(path, std::ios::binary | std::ios::app)) return cannot("write", path);
  if (!existed) std::filesystem::remove(path, problem);
  return success();
}

Status check_out(const Arguments& arguments) {
  const auto out = arguments.get("out");
  return out ? check_writable(*out) : success();
}

}  // namespace rehearse::cli
