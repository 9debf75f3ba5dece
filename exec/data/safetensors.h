// Files of named tensors in the safetensors format (huggingface.co/docs/safetensors): eight bytes
// with the length of a JSON header, little-endian; the header, which says of every tensor its type,
// shape and place; their elements, dense, one tensor after the other.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "model/base/diagnostic.h"

namespace rehearse::exec {

enum class TensorType { bf16, f32, f64, i32 };
std::int64_t bytes_of(TensorType type);  // of an element

struct NamedTensor {
  std::string name;
  TensorType type = TensorType::f32;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> data;
};

// metadata: texts by key. Errors: the file cannot be written.
Status write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                         const std::map<std::string, std::string>& metadata);

}  // namespace rehearse::exec
