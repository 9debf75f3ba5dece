#include "exec/backend.h"

#include <algorithm>

#include "model/base/check.h"

namespace rehearse::exec {
namespace {

struct Row {
  std::string_view name;
  std::unique_ptr<Backend> (*make)();
};

// Sorted by name.
constexpr Row kBackends[] = {
    {"onednn", make_onednn_backend},
    {"reference", [] { return make_reference_backend(DataType::fp32); }},
};

}  // namespace

const std::vector<std::string_view>& backend_names() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> list;
    for (const Row& row : kBackends)
      list.push_back(row.name);
    return list;
  }();
  return names;
}

std::unique_ptr<Backend> make_backend(std::string_view name) {
  const auto* found = std::find_if(std::begin(kBackends), std::end(kBackends),
                                   [&](const Row& row) { return row.name == name; });
  REHEARSE_CHECK(found != std::end(kBackends), "no backend named '{}'", name);
  return found->make();
}

}  // namespace rehearse::exec
