// IDX, the format of MNIST and its relatives (LeCun, Cortes, Burges, yann.lecun.com/exdb/mnist): a
// magic number (0, 0, type, number of dimensions), the dimensions as 32-bit big-endian numbers, and
// the elements, last dimension fastest. Only unsigned bytes (type 0x08) are read.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/base/diagnostic.h"

namespace rehearse::exec {

struct IdxArray {
  std::string path;
  std::int64_t count = 0;           // the first dimension
  std::vector<std::uint8_t> bytes;  // of the whole file
  std::size_t begin = 0;            // where the elements begin
  std::span<const std::uint8_t> elements() const { return std::span(bytes).subspan(begin); }
};

// A file of any number of items with these dimensions, packed with gzip or not.
Result<IdxArray> read_idx(const std::string& path, const std::vector<std::int64_t>& item);

}  // namespace rehearse::exec
