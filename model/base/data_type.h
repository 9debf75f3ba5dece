// Number formats of tensors.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace rehearse {

enum class DataType { fp32, fp16, bf16, fp64 };
std::string_view to_string(DataType type);
std::int64_t bytes_of(DataType type);
// Sorted by name, for messages and tests.
const std::vector<DataType>& data_types();
std::optional<DataType> parse_data_type(std::string_view name);

}  // namespace rehearse
