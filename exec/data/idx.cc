#include "exec/data/idx.h"

#include <fmt/format.h>

#include "exec/data/gzip_file.h"

namespace rehearse::exec {
namespace {

constexpr std::size_t kWord = 4;

std::uint32_t word_at(const std::vector<std::uint8_t>& bytes, std::size_t offset) {
  std::uint32_t word = 0;
  for (std::size_t i = 0; i < kWord; ++i)
    word = word << 8 | bytes[offset + i];
  return word;
}

Diagnostics mismatch(const std::string& path, std::size_t offset, std::string_view text) {
  return error(fmt::format("{}: offset {}: {}", path, offset, text));
}

}  // namespace

Result<IdxArray> read_idx(const std::string& path, const std::vector<std::int64_t>& item) {
  Result<std::vector<std::uint8_t>> read = read_gzip(path);
  if (!read) return read.errors();
  IdxArray array{path, 0, std::move(read).value(), kWord * (2 + item.size())};
  const std::vector<std::uint8_t>& bytes = array.bytes;
  if (bytes.size() < array.begin) {
    return mismatch(
        path, bytes.size(),
        fmt::format("the header has {} bytes, the file only {}", array.begin, bytes.size()));
  }
  const std::size_t dimensions = item.size() + 1;
  const std::size_t magic = 0x0800 + dimensions;
  if (word_at(bytes, 0) != magic) {
    return mismatch(path, 0,
                    fmt::format("expected magic number 0x{:08x} (unsigned bytes, {} dimension{}), "
                                "got 0x{:08x}",
                                magic, dimensions, dimensions == 1 ? "" : "s", word_at(bytes, 0)));
  }
  array.count = word_at(bytes, kWord);
  std::int64_t expected = array.count;
  for (std::size_t d = 0; d < item.size(); ++d) {
    const std::size_t offset = kWord * (2 + d);
    if (word_at(bytes, offset) != item[d]) {
      return mismatch(path, offset,
                      fmt::format("expected dimension {} to be {}, got {}", d + 2, item[d],
                                  word_at(bytes, offset)));
    }
    expected *= item[d];
  }
  const auto got = static_cast<std::int64_t>(array.elements().size());
  if (got != expected) {
    return mismatch(
        path, array.begin,
        fmt::format("expected {} bytes of {} items, got {}", expected, array.count, got));
  }
  return array;
}

}  // namespace rehearse::exec
