#include "exec/backend.h"

#include <algorithm>

#include "model/base/check.h"

namespace rehearse::exec {
namespace {

struct Row {
  std::string_view name;
  std::vector<DataType> types;  // that it computes in, here
  std::unique_ptr<Backend> (*make)(DataType, const BackendOptions&);
};

// Sorted by name.
const std::vector<Row>& rows() {
  static const std::vector<Row> table = {
      {"onednn", onednn_types(),
       [](DataType type, const BackendOptions& options) {
         return make_onednn_backend(options, type);
       }},
      {"reference",
       {DataType::bf16, DataType::fp32, DataType::fp64},
       [](DataType type, const BackendOptions&) { return make_reference_backend(type); }},
  };
  return table;
}

const Row& row_of(std::string_view name) {
  const auto found =
      std::find_if(rows().begin(), rows().end(), [&](const Row& row) { return row.name == name; });
  REHEARSE_CHECK(found != rows().end(), "no backend named '{}'", name);
  return *found;
}

}  // namespace

const std::vector<std::string_view>& backend_names() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> list;
    for (const Row& row : rows())
      list.push_back(row.name);
    return list;
  }();
  return names;
}

const std::vector<DataType>& backend_types(std::string_view name) {
  return row_of(name).types;
}

std::unique_ptr<Backend> make_backend(std::string_view name, DataType type,
                                      const BackendOptions& options) {
  const Row& row = row_of(name);
  REHEARSE_CHECK(std::find(row.types.begin(), row.types.end(), type) != row.types.end(),
                 "backend '{}' does not compute in {}", name, to_string(type));
  return row.make(type, options);
}

}  // namespace rehearse::exec
