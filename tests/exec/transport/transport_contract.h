// What every transport must do: each case runs on all ranks of a job of any size.
#pragma once

#include <string_view>
#include <vector>

#include "exec/transport.h"

namespace rehearse::exec {

struct ContractCase {
  std::string_view name;
  void (*run)(Transport& transport);  // reports through gtest's EXPECT
};

const std::vector<ContractCase>& transport_contract();

}  // namespace rehearse::exec
