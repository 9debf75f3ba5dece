// Jobs of two ranks that must end, on every transport, with this message and none of the ranks
// left.
#pragma once

#include <string_view>
#include <vector>

#include "exec/transport.h"

namespace rehearse::exec {

struct FailureCase {
  std::string_view name;
  void (*run)(Transport& transport);
  std::string_view message;
};

const std::vector<FailureCase>& transport_failures();

}  // namespace rehearse::exec
