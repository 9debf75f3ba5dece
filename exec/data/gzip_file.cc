#include "exec/data/gzip_file.h"

#include <fmt/format.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

namespace rehearse::exec {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 20;

struct Close {
  void operator()(gzFile file) const { gzclose(file); }
};
using OpenFile = std::unique_ptr<gzFile_s, Close>;

// What zlib has to say after `length` bytes; none at the end of a sound file.
std::optional<std::string> problem(gzFile file, std::size_t length) {
  int code = Z_OK;
  gzerror(file, &code);
  switch (code) {
    case Z_OK:
    case Z_STREAM_END:
      return std::nullopt;
    case Z_BUF_ERROR:
      return fmt::format("offset {}: the packed data end early", length);
    case Z_ERRNO:
      return std::strerror(errno);
    default:
      return "the packed data are damaged";
  }
}

}  // namespace

Result<std::vector<std::uint8_t>> read_gzip(const std::string& path) {
  errno = 0;
  const OpenFile file(gzopen(path.c_str(), "rb"));
  if (!file) return error(fmt::format("{}: {}", path, std::strerror(errno)));
  std::vector<std::uint8_t> bytes;
  std::size_t length = 0;
  while (true) {
    bytes.resize(length + kChunk);
    const int got = gzread(file.get(), bytes.data() + length, static_cast<unsigned>(kChunk));
    if (got > 0) length += static_cast<std::size_t>(got);
    if (got < static_cast<int>(kChunk)) break;
  }
  // A short read is the end of the file or an error; only the error code tells.
  if (const auto text = problem(file.get(), length)) {
    return error(fmt::format("{}: {}", path, *text));
  }
  bytes.resize(length);
  return bytes;
}

}  // namespace rehearse::exec
