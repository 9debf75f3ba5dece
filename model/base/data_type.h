// Number formats of tensors.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace rehearse {

// tf32: stored as fp32; products take 10 of the 23 bits behind an operand's point and sum in fp32.
// fp8: stored as bf16; products round their operands to 8 bits and sum in fp32 (Micikevicius et al.,
// arXiv 2209.05433). It is priced; no backend trains in it.
enum class DataType { fp32, fp16, bf16, fp64, tf32, fp8 };
std::string_view to_string(DataType type);
std::int64_t bytes_of(DataType type);
// Sorted by name, for messages and tests.
const std::vector<DataType>& data_types();
std::optional<DataType> parse_data_type(std::string_view name);

}  // namespace rehearse
