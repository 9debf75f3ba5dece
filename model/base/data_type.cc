#include "model/base/data_type.h"

#include "model/base/check.h"

namespace rehearse {

std::string_view to_string(DataType type) {
  switch (type) {
    case DataType::fp32:
      return "fp32";
    case DataType::fp16:
      return "fp16";
    case DataType::bf16:
      return "bf16";
    case DataType::fp64:
      return "fp64";
    case DataType::tf32:
      return "tf32";
    case DataType::fp8:
      return "fp8";
  }
  REHEARSE_UNREACHABLE("data type");
}

std::int64_t bytes_of(DataType type) {
  switch (type) {
    case DataType::fp32:
    case DataType::tf32:
      return 4;
    case DataType::fp16:
      return 2;
    case DataType::bf16:
    case DataType::fp8:
      return 2;
    case DataType::fp64:
      return 8;
  }
  REHEARSE_UNREACHABLE("data type");
}

const std::vector<DataType>& data_types() {
  static const std::vector<DataType> table = {DataType::bf16, DataType::fp16, DataType::fp32,
                                              DataType::fp64, DataType::fp8, DataType::tf32};
  return table;
}

std::optional<DataType> parse_data_type(std::string_view name) {
  for (const DataType type : data_types()) {
    if (to_string(type) == name) return type;
  }
  return std::nullopt;
}

}  // namespace rehearse
