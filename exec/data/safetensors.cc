#include "exec/data/safetensors.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include <nlohmann/json.hpp>

namespace rehearse::exec {
namespace {

std::string_view name_of(TensorType type) {
  switch (type) {
    case TensorType::bf16:
      return "BF16";
    case TensorType::f32:
      return "F32";
    case TensorType::f64:
      return "F64";
    case TensorType::i32:
      return "I32";
  }
  return "";
}

// Padded with blanks, so that the elements begin at a multiple of eight bytes.
std::string header_of(const std::vector<NamedTensor>& tensors,
                      const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header;
  header["__metadata__"] = metadata;
  std::size_t at = 0;
  for (const NamedTensor& tensor : tensors) {
    const std::size_t end = at + tensor.data.size();
    header[tensor.name] = {
        {"dtype", name_of(tensor.type)}, {"shape", tensor.shape}, {"data_offsets", {at, end}}};
    at = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace

std::int64_t bytes_of(TensorType type) {
  switch (type) {
    case TensorType::bf16:
      return 2;
    case TensorType::f32:
    case TensorType::i32:
      return 4;
    case TensorType::f64:
      return 8;
  }
  return 0;
}

Status write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                         const std::map<std::string, std::string>& metadata) {
  const std::string header = header_of(tensors, metadata);
  std::string length;
  for (std::size_t byte = 0; byte < 8; ++byte)
    length += static_cast<char>(header.size() >> (8 * byte) & 0xFF);
  std::ofstream file(path, std::ios::binary);
  file << length << header;
  for (const NamedTensor& tensor : tensors) {
    file.write(reinterpret_cast<const char*>(tensor.data.data()),
               static_cast<std::streamsize>(tensor.data.size()));
  }
  file.close();
  if (file) return success();
  return error(fmt::format("cannot write '{}': {}", path, std::strerror(errno)));
}

}  // namespace rehearse::exec
